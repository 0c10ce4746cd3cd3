"""The learning curves of a run, drawn with matplotlib; small and without it, the return alone."""

import dataclasses
import functools
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import check_path, InputError, missing, printable, said
from ..measurements import Measurement, RETURN, RETURN_SQUARES
from ..statistics.curves import band, Curve, Curves, middle, Points
from ..statistics.intervals import Interval
from .journals import evaluation_curve
from .metrics import as_columns, curve_of

POINTS = 240  # along a curve
SMOOTHING = 0.01  # standard deviation of the Gaussian that a point is an average under, as a share of the training
# Okabe and Ito's colours, which everyone can tell apart.
_BLUE, _ORANGE, _GREY, _INK = "#0072B2", "#D55E00", "#8C8C8C", "#262626"
SVG_SIZE = (320, 90)  # of a small curve, in pixels
PANELS = 6  # measurements beside each other, at most
_STYLE: Any = {
    "font.size": 9.0,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same picture on every machine
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#BFBFBF",
    "axes.labelcolor": _INK,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.titlecolor": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#EDEDED",
    "grid.linewidth": 0.8,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
}


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What is drawn: the columns of each seed, by name, along so many steps."""

    title: str
    columns: dict[int, dict[str, Float[np.ndarray, " _"]]]
    planned: float  # steps that the axes reach to, at least
    # On the way: steps, mean return, its bounds.
    evaluated: Float[np.ndarray, "4 evaluations"] = dataclasses.field(default_factory=lambda: np.empty((4, 0)))

    @property
    def edges(self) -> Float[np.ndarray, " edges"]:
        """Of equal parts, as far as every seed came."""
        last = min((each["steps"][-1] for each in self.columns.values() if len(each["steps"])), default=0)
        # At least one: of a seed whose environments have only broken down, no step counts.
        return np.linspace(0, max(last, 1), POINTS + 1)

    @property
    def steps(self) -> Points:
        """In the middle of each part."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    def of(self, name: str) -> list[Curve]:
        """The smooth curves of a column, of each seed."""
        return [curve_of(each, name, self.edges, SMOOTHING * POINTS) for each in self.columns.values()]


def plot_curves(
    title: str,
    seeds: Sequence[int],
    rows: Sequence[dict[str, Any]],
    measurements: Sequence[Measurement] = (),
    planned: float = 0,
    path: str | Path | None = None,
    *,
    evaluations: Sequence[dict[str, Any]] = (),
):
    """The return of every seed against agent steps, what all seeds come to, and what the algorithm measures.

    With several seeds: the interquartile mean over seeds, with its 95 % bootstrap band. With one: the band is that of
    the mean over the episodes of which each point is made. Points are `evaluations` on the way, with their intervals.
    The axes reach to `planned` steps where the rows do not.
    Returns a `matplotlib.figure.Figure`; written to `path` too, in the form that its ending names. Raises `InputError`
    where matplotlib is missing, or there is no such form.
    """
    path = None if path is None else check_path("path", path)
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise missing("The plot", "matplotlib", "plot") from None
    panels = [m for m in measurements if m.short][:PANELS]
    names = ("steps", "episodes", RETURN.name, RETURN_SQUARES.name, *(m.name for m in panels))
    drawn = Drawing(title, as_columns(seeds, rows, names), planned, evaluation_curve(evaluations, len(seeds)))
    with matplotlib.rc_context(_STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
        figure = Figure(figsize=(9.0, 5.4), dpi=130, layout=layout)
        grid = figure.add_gridspec(2, max(len(panels), 1), height_ratios=(2.4, 1.0 if panels else 0.01), hspace=0.04)
        _draw_returns(figure.add_subplot(grid[0, :]), drawn)
        for i, m in enumerate(panels):
            _draw_measurement(figure.add_subplot(grid[1, i]), drawn, m)
        if path is not None:
            _write(figure, path)
    return in_notebooks(figure)


def as_html(lines: Sequence[str], seeds: Sequence[int], rows: Sequence[dict[str, Any]]) -> str:
    """Lines of text, the return at the end of the rows with its interval, and a small curve, for a notebook.

    Curve, band and numbers are those of `plot_curves`. Without returns it is the lines alone.
    """
    found = Drawing("", as_columns(seeds, rows, ("steps", "episodes", RETURN.name, RETURN_SQUARES.name)), 0)
    curves = found.of(RETURN.name)
    means, errors = np.stack([each.mean for each in curves]), np.stack([each.error for each in curves])
    central, (low, high) = middle(means), band(means, errors)
    known = np.flatnonzero(np.isfinite(central))
    picture = ""
    if len(known) > 1:
        last = Interval(*(float(points[known[-1]]) for points in (central, low, high)))
        over = f"interquartile mean of {len(seeds)} seeds" if len(seeds) > 1 else "mean"
        lines = [*lines, f"return at the end of the training, {over}: {last}{' (95 %)' * last.known}"]
        low, high = (np.where(np.isfinite(points), points, central) for points in (low, high))
        picture = _as_svg(found.steps[known], *(points[known] for points in (central, low, high)), found.edges[-1])
    return "<div>" + "<br/>".join(html.escape(printable(line)) for line in lines) + f"</div>{picture}"


def _as_svg(at: Points, central: Points, low: Points, high: Points, steps: float) -> str:
    """A curve in its band, known `at` some of so many steps, with the least and the most of it beside it."""
    bottom, top = low.min(), high.max()
    across = SVG_SIZE[0] * at / steps

    def path(points: Points) -> list[str]:
        down = SVG_SIZE[1] * (1 - (points - bottom) / (top - bottom or 1.0))
        return [f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True)]

    width, height = SVG_SIZE
    text = 'font-size="11" font-family="sans-serif" fill="currentColor"'
    return (
        f'<svg width="{width + 80}" height="{height + 28}" viewBox="-70 -8 {width + 80} {height + 28}" role="img">'
        f'<polygon points="{" ".join(path(low) + path(high)[::-1])}" fill="{_BLUE}" fill-opacity="0.2"/>'
        f'<polyline points="{" ".join(path(central))}" fill="none" stroke="{_BLUE}" stroke-width="2"/>'
        f'<text x="-6" y="4" text-anchor="end" {text}>{top:,.4g}</text>'
        f'<text x="-6" y="{height + 4}" text-anchor="end" {text}>{bottom:,.4g}</text>'
        f'<text x="{width}" y="{height + 16}" text-anchor="end" {text}>{steps:,.0f} steps</text></svg>'
    )


def in_notebooks(figure: Any) -> Any:
    """The figure, as one that a notebook shows where a cell ends with it: of itself it does so for pyplot's alone."""
    figure._repr_png_ = functools.partial(_as_png, figure)
    return figure


def _as_png(figure: Any) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _write(figure: Any, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except ValueError as error:  # matplotlib lists the endings that it knows
        raise InputError(
            f"{path} cannot be drawn ({said(error)}): give a name that ends in .png, .svg or .pdf."
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): give another.") from None


def _draw_returns(axes: Any, drawn: Drawing) -> None:
    found = drawn.of(RETURN.name)
    means, errors = np.stack([each.mean for each in found]), np.stack([each.error for each in found])
    axes.set_title(drawn.title, fontsize=11, pad=10)
    axes.set_ylabel("return of an episode")
    axes.set_xlabel("agent steps of each seed" if len(means) > 1 else "agent steps")
    if len(means) > 1:
        label = "interquartile mean over seeds, with its 95 % bootstrap band"
        _draw_seeds(axes, drawn.steps, means, f"each of {len(means)} seeds")
    else:
        label = "mean, with its 95 % band over episodes"
    axes.fill_between(drawn.steps, *band(means, errors), color=_BLUE, alpha=0.2, linewidth=0)
    axes.plot(drawn.steps, middle(means), color=_BLUE, linewidth=2.0, label=label)
    steps, mean, low, high = drawn.evaluated
    if len(steps):
        bars = np.nan_to_num([mean - low, high - mean])
        label = "evaluated on the way"
        axes.errorbar(steps, mean, bars, fmt="o", color=_ORANGE, markersize=3, linewidth=1, label=label)
    axes.legend(loc="best", frameon=False)
    _scale(axes, drawn, 6)


def _draw_measurement(axes: Any, drawn: Drawing, m: Measurement) -> None:
    means = np.stack([each.mean for each in drawn.of(m.name)])
    axes.set_title(f"{m.short}, {m.unit}", fontsize=8)
    if len(means) > 1:
        _draw_seeds(axes, drawn.steps, means, None)
    axes.plot(drawn.steps, middle(means), color=_BLUE, linewidth=1.4)
    axes.tick_params(labelsize=7)
    if m.log and (means > 0).any():
        axes.set_yscale("log", nonpositive="mask")
        axes.minorticks_off()
    if m.level is not None and np.isfinite(means).any():
        axes.axhline(m.level, color=_INK, linewidth=0.8, linestyle=":")
    _scale(axes, drawn, 3)


def _draw_seeds(axes: Any, steps: Points, means: Curves, label: str | None) -> None:
    for i, mean in enumerate(means):
        axes.plot(steps, mean, color=_GREY, linewidth=0.8, alpha=0.5, label=None if i else label)


def _scale(axes: Any, drawn: Drawing, ticks: int) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.set_xlim(0, max(drawn.planned, drawn.edges[-1]))
    axes.xaxis.set_major_locator(MaxNLocator(ticks - 1, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
