"""Averages with their intervals. Agarwal et al. 2021 (arXiv:2108.13264) for those over seeds."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from .bootstrap import percentile_interval, RESAMPLES, Sample


@dataclasses.dataclass(frozen=True)
class Interval:
    """An average, and the interval of 95 % around it; NaN where there are too few values for one."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there were enough values for an interval."""
        return self.low == self.low and self.high == self.high

    def __str__(self) -> str:
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]" if self.known else f"{self.value:.1f}"


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


def bootstrap_interval(statistic: Callable[..., Any], *samples: Sample, resamples: int = RESAMPLES) -> Interval:
    """A statistic, and its percentile bootstrap interval, stratified by columns; always the same resamples.

    NaN bounds where a single row leaves nothing to draw from.
    """
    value = float(statistic(*samples))
    if min(len(sample) for sample in samples) < 2:
        return Interval(value, float("nan"), float("nan"))
    low, high = percentile_interval(statistic, *samples, resamples=resamples)
    return Interval(value, float(low), float(high))


def iqm_interval(values: Float[np.ndarray, " n"], resamples: int = RESAMPLES) -> Interval:
    """The interquartile mean over seeds, and its percentile bootstrap interval."""
    return bootstrap_interval(interquartile_mean, np.asarray(values, np.float64), resamples=resamples)
