"""What the updates did: their gradient, and how far they moved policy and critic."""

import dataclasses

import numpy as np

from ...algorithms.base import GRADIENT_NORM, SIGNAL_TO_NOISE
from ...measurements import LENGTH
from ..charts import Chart, IntervalRow, Intervals, Level, Line, Lines, shown
from ..folders import Told
from ..measure import Examination
from ..series import Series, series
from .learning import STEPS

_OF_GRADIENT = (GRADIENT_NORM.name, SIGNAL_TO_NOISE.name)  # drawn together, with what follows from them
WITHOUT_MEANING = (
    "explained_variance",
    "cosine_to_the_rest",
    "cosine_of_halves",
)  # checks, where all episodes are equal


def gradient(told: list[Told], measured: list[Examination]) -> list[Chart]:
    """Norm and noise of the gradient over training, the batch that they suggest, and fresh numbers by layer."""
    found = [_norm(told), _signal(told), _scale(told)]
    return [chart for chart in found if chart.lines] + _fresh(told, measured)


def updates(told: list[Told]) -> list[Chart]:
    """What else the algorithms measure, and how long episodes are. One that is 0 all along is left out."""
    declared = {m.name: m for each in told for m in (*each.run.measurements, LENGTH)}
    charts: list[Chart] = []
    for name, m in declared.items():
        if name in _OF_GRADIENT or not m.title:
            continue
        lines = [line for each in told for line in _lines(each, series(each, name), len(told) == 1)]
        if any(np.nansum(np.abs(line.y)) for line in lines):
            levels = () if m.level is None else (Level(m.level, m.level_meaning),)
            charts.append(
                Lines(name, m.title, m.meaning, STEPS, m.unit, tuple(lines), levels, m.log and _positive(lines))
            )
    return charts


def _lines(told: Told, found: Series, seeds: bool) -> list[Line]:
    """The middle of a measurement with its band, and each seed; nothing where there is no number."""
    if not np.isfinite(found.middle).any():
        return []
    low, high = found.band if len(told.run.seeds) > 1 else (None, None)
    lines = []
    if seeds and len(told.run.seeds) > 1:
        lines = [
            Line(f"seed {seed}", found.steps, curve, seconds=found.seconds, run=told.index, style="seed")
            for seed, curve in zip(told.run.seeds, found.seeds, strict=True)
        ]
    return [*lines, Line(told.name, found.steps, found.middle, low, high, found.seconds, told.index)]


def nothing_left(measured: Examination) -> str | None:
    """That the fresh episodes of the audited seed are all alike, and what that means for its gradient and critic."""
    played = measured.evaluations.get(False)
    if measured.audit is None or played is None or played.returns.shape[1] < 2:
        return None
    returns, lengths = played.returns[0], played.lengths[0]
    if not np.isfinite(returns).all() or np.ptp(returns) > 1e-6 * np.abs(returns).max() or np.ptp(lengths) > 0:
        return None
    return (
        f"All {len(returns)} fresh episodes of seed {played.seeds[0]} are equal: return {shown(float(returns[0]))} in "
        f"{shown(float(lengths[0]))} steps. No action in them did better than another: either the task is solved, or "
        "no reward that tells actions apart has been found yet. So signal-to-noise, cosines and explained variance of "
        "this policy are noise and the critic's own error."
    )


def _norm(told: list[Told]) -> Lines:
    """The norm, and the standard error that the signal-to-noise ratio implies: norm / sqrt(1 + ratio)."""
    lines = []
    for each in told:
        norm, ratio = series(each, GRADIENT_NORM.name), series(each, SIGNAL_TO_NOISE.name)
        lines += [
            dataclasses.replace(line, name="norm") if len(told) == 1 else line for line in _lines(each, norm, False)
        ]
        noise = norm.middle / np.sqrt(1 + ratio.middle)
        if np.isfinite(noise).any():
            name = "its noise" if len(told) == 1 else f"{each.name}, noise"
            lines.append(Line(name, norm.steps, noise, seconds=norm.seconds, run=each.index, style="second"))
    about = (
        "Of the mean gradient of a rollout. Dashed: the root of its variance, tr Σ / n; where the two meet, the "
        "gradient is all noise."
    )
    return Lines("gradient_norm", "Norm of the gradient", about, STEPS, "norm", tuple(lines), log=_positive(lines))


def _signal(told: list[Told]) -> Lines:
    lines = [line for each in told for line in _lines(each, series(each, SIGNAL_TO_NOISE.name), len(told) == 1)]
    about = (
        "|G|² over the variance of a rollout's gradient. Above 1 two rollouts mostly agree (McCandlish et al. 2018)."
    )
    level = (Level(1.0, "as much noise as signal"),)
    title = "Signal-to-noise of the gradient"
    return Lines("signal_to_noise", title, about, STEPS, "ratio", tuple(lines), level, log=_positive(lines))


def _scale(told: list[Told]) -> Lines:
    """The batch whose gradient is as large as its noise: rows of a rollout over their signal-to-noise."""
    lines, levels = [], []
    for each in told:
        ratio, rows = series(each, SIGNAL_TO_NOISE.name), each.run.settings.steps_per_rollout
        with np.errstate(all="ignore"):
            scale = np.where(ratio.middle > 0, rows / ratio.middle, np.nan)
        if np.isfinite(scale).any():
            lines.append(Line(each.name, ratio.steps, scale, seconds=ratio.seconds, run=each.index))
            levels.append(Level(float(rows), f"the rollout of {each.name}" if len(told) > 1 else "this run's rollout"))
    about = "The batch whose gradient is as large as its noise, tr Σ / |G|²: larger ones bring little more."
    title = "Gradient noise scale"
    levels = levels if len({level.value for level in levels}) > 1 else levels[:1]
    return Lines("noise_scale", title, about, STEPS, "agent steps", tuple(lines), tuple(levels), log=_positive(lines))


def _positive(lines: list[Line]) -> bool:
    """Whether a logarithmic axis can show some of the curves, and they need one."""
    values = np.concatenate([line.y for line in lines if line.style != "seed"] or [np.zeros(0)])
    values = values[np.isfinite(values) & (values > 0)]
    return len(values) > 1 and bool(values.max() > 20 * values.min())


def _fresh(told: list[Told], measured: list[Examination]) -> list[Chart]:
    """What the audits of the last policies say of the gradient."""
    by_layer, shares = [], []
    for each, fresh in zip(told, measured, strict=True):
        prefix = f"{each.name}: " if len(told) > 1 else ""
        for check in () if fresh.audit is None else fresh.audit.checks:
            row = (check.size, check.size - 1.96 * check.error, check.size + 1.96 * check.error, each.index)
            measure, _, layer = check.key.partition(".")
            if measure in _SIGNALS:
                name = layer or _SIGNALS[measure]
                by_layer.append(IntervalRow(f"{prefix}{name}", *row, strong=name == "all"))
            if measure in _SHARES:
                name = f"{_SHARES[measure]}, {layer}" if layer else _SHARES[measure]
                shares.append(IntervalRow(f"{prefix}{name}", *row))
    found: list[Chart] = []
    if by_layer:
        about = "Fresh rollouts of the last policy, |G|² over tr Σ of one; 95 % intervals by the jackknife."
        levels = (Level(1.0, "as much noise as signal"),)
        found.append(Intervals("by_layer", "Signal-to-noise by layer", about, "ratio", tuple(by_layer), levels))
    if shares:
        about = " ".join(["Fresh rollouts and updates of the last policy; 95 % intervals.", *_notes(told, measured)])
        levels = (Level(0.0, ""), Level(1.0, ""))
        found.append(Intervals("last_update", "The last policy's updates", about, "share", tuple(shares), levels))
    return found


def _notes(told: list[Told], measured: list[Examination]) -> list[str]:
    """What a reader of the last policies' numbers should know first."""
    texts = zip(told, map(nothing_left, measured), strict=True)
    return [f"{each.name}: {text}" if len(told) > 1 else text for each, text in texts if text]


_SIGNALS = {"signal_to_noise": "all", "surrogate_signal_to_noise": "surrogate alone"}
_SHARES = {
    "cosine_of_halves": "cosine between halves of the rollouts",
    "cosine_to_the_rest": "cosine of a rollout to the others",
    "effective_sample_size": "effective sample size after an update",
    "clipped_rows": "clipped rows",
    "explained_variance": "critic: explained variance of Monte-Carlo returns",
}
