"""Comparisons of runs by the definitions of Agarwal et al. 2021 (arXiv:2108.13264), as rliable has them.

Scores are (runs, tasks): a row for each seed, a column for each environment. Their intervals are
`bootstrap_interval`'s: seeds are drawn anew for each task, because only they are chance.
"""

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from .bootstrap import percentile_interval, RESAMPLES
from .intervals import interquartile_mean

Scores = Float[np.ndarray, "runs tasks"]
Any2D = Float[np.ndarray, "_ _"]  # scores of several algorithms, each with runs of its own


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


def profile_band(
    scores: Scores, thresholds: Float[np.ndarray, " points"], resamples: int = RESAMPLES
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """The pointwise stratified bootstrap band of 95 % around a performance profile."""
    return percentile_interval(lambda drawn: performance_profile(drawn, thresholds), scores, resamples=resamples)


def _check_tasks(one: Any2D, other: Any2D) -> None:
    if one.shape[1] != other.shape[1]:
        raise InputError(
            f"One has scores of {one.shape[1]} tasks and the other of {other.shape[1]}: give both the same tasks."
        )
