"""What a run earned: its learning curve, and evaluations by each way to act."""

import math
from typing import Any

import numpy as np

from ...runs.journals import evaluation_curve
from ..charts import Chart, IntervalRow, Intervals, Line, Lines
from ..folders import Told
from ..measure import Examination
from ..series import Series, series

STEPS = "agent steps of each seed"


def charts(told: list[Told], measured: list[Examination]) -> list[Chart]:
    """The learning curves of the runs of one environment, and what their policies earn in fresh episodes."""
    found: list[Chart] = [curves(told)]
    if (evaluations := _evaluations(told, measured)) is not None:
        found.append(evaluations)
    return found


def curves(told: list[Told]) -> Lines:
    """The return over steps: each seed, the interquartile mean and its band, the median."""
    lines, parts = [], []
    for each in told:
        found = series(each, "return_mean")
        parts.append(found)
        lines += _one(each, found, alone=len(told) == 1)
    return Lines(
        "return", "Return of an episode", _about(told, parts), STEPS, "return", tuple(lines), wide=True,
    )  # fmt: skip


def _one(told: Told, found: Series, alone: bool) -> list[Line]:
    low, high = found.band
    several = len(told.run.seeds) > 1
    lines = []
    if alone:
        whole = Line("all rows", found.steps, found.middle, found.least, found.most, found.seconds, told.index, "range")
        lines.append(whole)
    if several:
        lines += [
            Line(f"{told.name}, seed {seed}", found.steps, curve, seconds=found.seconds, run=told.index, style="seed")
            for seed, curve in zip(told.run.seeds, found.seeds, strict=True)
        ]
        if alone:
            line = Line("median", found.steps, found.median, None, None, found.seconds, told.index, "second")
            lines.append(line)
    name = told.name if not alone else "interquartile mean" if several else "mean"
    lines.append(Line(name, found.steps, found.middle, low, high, found.seconds, told.index))
    steps, mean, low, high = evaluation_curve(told.run.evaluations, len(told.run.seeds))
    if len(steps):
        seconds = None if found.seconds is None else np.interp(steps, found.steps, found.seconds)
        name = "evaluated on the way" if alone else f"{told.name}, evaluated on the way"
        lines.append(Line(name, steps, mean, low, high, seconds, told.index, "second"))
    return lines


def _about(told: list[Told], parts: list[Series]) -> str:
    """What the curves and their bands are."""
    seeds = max(len(each.run.seeds) for each in told)
    if seeds > 1:
        text = "Thick: interquartile mean over seeds; band: its 95 % stratified bootstrap interval. Thin: each seed."
    else:
        text = "Mean over the episodes that ended; band: its 95 % interval over episodes."
    rows = max(found.rows for found in parts)
    text += f" Each point is the mean of {rows:.0f} updates" if rows > 1.5 else " Each point is one update"
    if len(told) > 1:
        return text + ". Actions are drawn, as in training."
    return text + "; the palest area reaches from the lowest to the highest. Actions are drawn, as in training."


def _evaluations(told: list[Told], measured: list[Examination]) -> Intervals | None:
    rows = []
    for each, fresh in zip(told, measured, strict=True):
        prefix = f"{each.name}: " if len(told) > 1 else ""
        for how, name in ((False, "actions drawn"), (True, "likeliest actions")):
            if how in fresh.evaluations:
                rows += _rows(f"{prefix}{name}", fresh.evaluations[how].as_dict(), each.index)
        if each.evaluation is not None and not fresh.evaluations:
            name = "likeliest actions" if each.evaluation.get("deterministic") else "actions drawn"
            rows += _rows(f"{prefix}{name}", each.evaluation, each.index)
    if not rows:
        return None
    about = (
        "Fresh episodes of the last policy, acting by chance as in training, or always by its likeliest action. "
        "95 % intervals: of a seed over its episodes, of all over seeds."
    )
    return Intervals("evaluation", "Return in fresh episodes", about, "return", tuple(rows), wide=True)


def _rows(name: str, evaluation: dict[str, Any], run: int) -> list[IntervalRow]:
    """All seeds together, then each."""
    found = evaluation.get("by_seed")
    by_seed = found if isinstance(found, dict) else {}
    rows = [_estimate(name if len(by_seed) < 2 else f"{name}, IQM", evaluation.get("iqm"), run, True)]
    if len(by_seed) < 2:
        rows = [_estimate(name, evaluation.get("mean"), run, True)]
    else:
        rows += [_estimate(f"seed {seed}", found, run, False) for seed, found in by_seed.items()]
    return [row for row in rows if math.isfinite(row.value)]


def _estimate(name: str, found: object, run: int, strong: bool) -> IntervalRow:
    known = found if isinstance(found, dict) else {}
    value, low, high = (_number(known.get(key)) for key in ("value", "low", "high"))
    return IntervalRow(name, value, low, high, run, strong)


def _number(x: object) -> float:
    """NaN for what is no number: a file may be damaged."""
    if isinstance(x, bool) or not isinstance(x, int | float | str):
        return math.nan
    try:
        return float(x)
    except (ValueError, OverflowError):
        return math.nan
