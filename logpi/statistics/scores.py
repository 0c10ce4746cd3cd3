"""Comparisons of runs by the definitions of Agarwal et al. 2021 (arXiv:2108.13264), as rliable has them.

Scores are (runs, tasks): a row for each seed, a column for each environment. The bootstrap is stratified: it draws
seeds anew for each task, because only they are chance.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from .intervals import interquartile_mean, Interval

Scores = Float[np.ndarray, "runs tasks"]
Any2D = Float[np.ndarray, "_ _"]  # scores of several algorithms, each with runs of its own
RESAMPLES = 2000


def mean(scores: Scores) -> float:
    """Over all runs and tasks."""
    return float(scores.mean())


def median(scores: Scores) -> float:
    """Over tasks, of the mean over runs; of a single task, over its runs, or it would be its mean."""
    return float(np.median(scores) if scores.shape[1] == 1 else np.median(scores.mean(0)))


def iqm(scores: Scores) -> float:
    """The mean of the middle half of all scores."""
    return float(interquartile_mean(scores.ravel()))


def spread(scores: Scores) -> float:
    """The interquartile range over runs, averaged over tasks."""
    low, high = np.quantile(scores, [0.25, 0.75], axis=0)
    return float(np.mean(high - low))


def probability_of_improvement(one: Any2D, other: Any2D) -> float:
    r"""$\frac{1}{M}\sum_m P(X_m > Y_m)$: that a run of one beats a run of the other; ties count half.

    Agarwal et al. 2021, section 4.3, by the U statistic of Mann and Whitney. Raises `InputError` unless both have the
    same tasks.
    """
    _check_tasks(one, other)
    above = one[:, None] > other[None]
    equal = one[:, None] == other[None]
    return float((above + 0.5 * equal).mean())


def performance_profile(scores: Scores, thresholds: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    r"""$\hat F(\tau)$: the share of all runs with a score above each threshold (Agarwal et al. 2021, eq. 2)."""
    return (scores.ravel()[:, None] > thresholds).mean(0)


def resampled(scores: Scores, rng: np.random.Generator) -> Scores:
    """As many runs, drawn with replacement for each task by itself."""
    drawn = rng.integers(len(scores), size=scores.shape)
    return np.take_along_axis(scores, drawn, axis=0)


def interval(statistic: Callable[..., float], *scores: Any2D, resamples: int = RESAMPLES) -> Interval:
    """A statistic, and its stratified percentile bootstrap interval of 95 %; always the same resamples.

    NaN bounds where a single run leaves nothing to draw from.
    """
    value = float(statistic(*scores))
    if min(len(each) for each in scores) < 2:
        return Interval(value, float("nan"), float("nan"))
    rng = np.random.default_rng(0)
    found = [statistic(*(resampled(each, rng) for each in scores)) for _ in range(resamples)]
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def profile_band(
    scores: Scores, thresholds: Float[np.ndarray, " points"], resamples: int = RESAMPLES
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """The pointwise stratified bootstrap band of 95 % around a performance profile."""
    rng = np.random.default_rng(0)
    found = np.stack([performance_profile(resampled(scores, rng), thresholds) for _ in range(resamples)])
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    return low, high


def _check_tasks(one: Any2D, other: Any2D) -> None:
    if one.shape[1] != other.shape[1]:
        raise InputError(
            f"One has scores of {one.shape[1]} tasks and the other of {other.shape[1]}: give both the same tasks."
        )
