"""Averages with their intervals. Agarwal et al. 2021 (arXiv:2108.13264) for those over seeds."""

import dataclasses

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class Interval:
    """An average, and the interval of 95 % around it; NaN where there are too few values for one."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


def mean_interval(values: Float[np.ndarray, " n"]) -> Interval:
    """The mean, and the interval by Student's t; NaN bounds for a single value."""
    from scipy.special import stdtrit  # not scipy.stats, which takes as long to import as JAX

    values = np.asarray(values, np.float64)
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def interquartile_mean(values: Float[np.ndarray, "*batch n"]) -> Float[np.ndarray, "*batch"]:
    """The mean of the middle half, along the last axis."""
    outside = values.shape[-1] // 4
    middle = np.sort(values, axis=-1)[..., outside : values.shape[-1] - outside]
    return np.asarray(middle.mean(-1))


def iqm_interval(values: Float[np.ndarray, " n"], resamples: int = 2000) -> Interval:
    """The interquartile mean over seeds, and its percentile bootstrap interval (always the same resamples)."""
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return Interval(float(values[0]), float("nan"), float("nan"))
    drawn = np.random.default_rng(0).choice(values, (resamples, len(values)))
    low, high = np.quantile(interquartile_mean(drawn), [0.025, 0.975])
    return Interval(float(interquartile_mean(values)), float(low), float(high))
