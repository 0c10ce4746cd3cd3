"""The figures of a report for Python and notebooks: the same charts as on the page, drawn by matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import missing
from ..runs.plot import in_notebooks
from ..runs.run import Run
from .charts import Chart, Columns, Heat, Intervals, Line, Lines
from .document import gather

# Okabe and Ito's: everyone can tell them apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_INK, _GREY = "#262626", "#8C8C8C"
_LOOKS: dict[str, dict[str, Any]] = {
    "main": {"linewidth": 1.8},
    "seed": {"linewidth": 0.7, "alpha": 0.45},
    "second": {"linewidth": 1.0, "linestyle": "--"},
    "dashed": {"linewidth": 1.4, "linestyle": "--"},
    "step": {"linewidth": 1.8, "drawstyle": "steps-post"},
}


def figures(
    runs: Sequence[Run | str | Path] | Run | str | Path, *, fresh: bool = False, episodes: int | None = None,
    env: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """Every figure of the report on some runs, by its key ("return", ...), as `matplotlib.figure.Figure`s.

    `runs`, `fresh`, `episodes` and `env` as in `logpi.report.page`. A notebook shows a figure that a cell ends with.
    Raises `InputError` for a folder without a run, or a damaged one, and where matplotlib is missing.
    """
    _, _, sections = gather(runs, fresh=fresh, episodes=episodes, env=env)
    return {chart.key: draw(chart) for section in sections for chart in section.charts}


def draw(chart: Chart) -> Any:
    """A chart as a `matplotlib.figure.Figure`, with its title, its axes and their units."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise missing("A figure", "matplotlib", "plot") from None
    rows = len(chart.rows) if isinstance(chart, Intervals | Heat) else 0
    figure = Figure(figsize=(9.0 if chart.wide else 6.0, max(3.4, 1.2 + 0.3 * rows)), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.set_title(chart.title, loc="left", fontsize=11, color=_INK)
    axes.set_xlabel(chart.x)
    axes.spines[["top", "right"]].set_visible(False)
    match chart:
        case Lines():
            _lines(axes, chart)
        case Intervals():
            _intervals(axes, chart)
        case Heat():
            _heat(figure, axes, chart)
        case Columns():
            _columns(axes, chart)
    return in_notebooks(figure)


def _colour(run: int) -> str:
    return COLOURS[run % len(COLOURS)]


def _lines(axes: Any, chart: Lines) -> None:
    axes.grid(color="#EDEDED")
    for line in chart.lines:
        _line(axes, line, "o" if chart.marks else "")
    for level in chart.levels:
        axes.axhline(level.value, color=_GREY, linewidth=0.9, linestyle=":")
        axes.annotate(level.text, (1.0, level.value), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                      fontsize=8, color=_GREY)  # fmt: skip
    axes.set_ylabel(chart.y)
    if chart.log:
        axes.set_yscale("log")
    elif (room := chart.span - np.ptp(axes.get_ylim())) > 0:
        low, high = axes.get_ylim()
        axes.set_ylim(low - room / 2, high + room / 2)
    if sum(line.style not in ("seed", "range") for line in chart.lines) > 1:
        axes.legend(frameon=False, fontsize=8)


def _line(axes: Any, line: Line, marker: str) -> None:
    """A curve with its band; seeds and ranges are in no legend."""
    colour = _colour(line.run)
    named = line.style not in ("seed", "range")
    if line.style != "range":
        label = line.name if named else None
        axes.plot(line.x, line.y, color=colour, label=label, marker=marker, markersize=4, **_LOOKS[line.style])
    if line.low is not None and line.high is not None:
        alpha = 0.08 if line.style == "range" else 0.2
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=alpha, linewidth=0)


def _intervals(axes: Any, chart: Intervals) -> None:
    """The first row on top, as in a list."""
    axes.grid(color="#EDEDED", axis="x")
    for place, row in enumerate(chart.rows):
        colour = _colour(row.run)
        if np.isfinite([row.low, row.high]).all():
            axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2.2 if row.strong else 1.0)
        axes.plot(row.value, place, "o", color=colour, markersize=6 if row.strong else 4)
    for level in chart.levels:
        axes.axvline(level.value, color=_GREY, linewidth=0.9, linestyle=":")
        axes.annotate(level.text, (level.value, 1.0), xycoords=("data", "axes fraction"), fontsize=8, color=_GREY)
    axes.set_yticks(range(len(chart.rows)), [row.name for row in chart.rows])
    axes.set_ylim(len(chart.rows) - 0.5, -0.5)
    if chart.log:
        axes.set_xscale("log")


def _heat(figure: Any, axes: Any, chart: Heat) -> None:
    """Shares from 0 to 1; a white line between groups of columns."""
    image = axes.imshow(chart.values, aspect="auto", vmin=0, vmax=1, cmap="Blues", interpolation="nearest")
    names = [f"{group}: {name}" for group, members in chart.groups for name in members]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=7)
    axes.set_yticks(range(len(chart.rows)), chart.rows, fontsize=7)
    axes.set_ylabel(chart.y)
    for end in np.cumsum([len(members) for _, members in chart.groups])[:-1]:
        axes.axvline(end - 0.5, color="white", linewidth=2)
    figure.colorbar(image, ax=axes, label="share")


def _columns(axes: Any, chart: Columns) -> None:
    """Kinds on top of each other; of several runs, each with its own shade."""
    axes.grid(color="#EDEDED", axis="y")
    edges, bottom = np.asarray(chart.edges), np.zeros(len(chart.edges) - 1)
    for i, stack in enumerate(chart.stacks):
        axes.bar(edges[:-1], stack.counts, np.diff(edges), bottom=bottom, align="edge", label=stack.name,
                 color=_colour(stack.run), alpha=max(0.25, 0.9 - 0.35 * i))  # fmt: skip
        bottom = bottom + np.asarray(stack.counts)
    axes.set_ylabel(chart.y)
    if len(chart.stacks) > 1:
        axes.legend(frameon=False, fontsize=8)
