"""The percentile bootstrap: an interval of a statistic, from samples drawn anew with replacement."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

RESAMPLES = 2000
LEVELS = (0.025, 0.975)  # of the interval's ends
Sample = Float[np.ndarray, "..."]  # its first axis is what is drawn


def whole_rows(sample: Sample, rng: np.random.Generator) -> Sample:
    """As many rows, drawn with replacement."""
    return sample[rng.integers(len(sample), size=len(sample))]


def each_column(sample: Sample, rng: np.random.Generator) -> Sample:
    """As many entries, drawn with replacement for each column by itself: the stratified bootstrap."""
    return np.take_along_axis(sample, rng.integers(len(sample), size=sample.shape), axis=0)


def percentile_interval(
    statistic: Callable[..., Any],
    *samples: Sample,
    draw: Callable[[Sample, np.random.Generator], Sample] = each_column,
    resamples: int = RESAMPLES,
) -> tuple[Float[np.ndarray, "*entries"], Float[np.ndarray, "*entries"]]:
    """The 95 % interval of a statistic of one sample or of several independent ones; always the same resamples.

    Of a statistic with many entries, the interval of each. Efron & Tibshirani 1993, "An Introduction to the Bootstrap",
    section 13.3.
    """
    rng = np.random.default_rng(0)
    found = [statistic(*(draw(sample, rng) for sample in samples)) for _ in range(resamples)]
    low, high = np.quantile(found, LEVELS, axis=0)
    return np.asarray(low), np.asarray(high)
