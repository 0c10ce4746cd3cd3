"""Learning curves: what rows of numbers come to along a training, for one stream of rows and over several."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float

from .bootstrap import percentile_interval, whole_rows
from .intervals import interquartile_mean

RESAMPLES = 1000  # of the streams, for the band
Rows = Float[np.ndarray, " rows"]
Points = Float[np.ndarray, " points"]
Curves = Float[np.ndarray, "streams points"]


@dataclasses.dataclass(frozen=True)
class Curve:
    """One stream's numbers, in each part of a training.

    In a part without a number, mean and error lie between those beside it; NaN before the first and after the last.
    """

    mean: Points
    error: Points  # the standard error of the mean, over what the rows are averages of
    least: Points  # of the rows, NaN where there are none
    most: Points


def learning_curve(
    steps: Rows,
    values: Rows,
    edges: Float[np.ndarray, " edges"],
    weights: Rows | None = None,
    squares: Rows | None = None,
    *,
    smoothing: float = 0.0,
) -> Curve:
    """The mean of the rows in each part between two edges, and how sure it is; rows that are not finite are left out.

    A row is the mean of `weights` numbers, such as episodes, whose squares sum up to `squares`; it is one number if
    they are not given. With `smoothing`, a mean is over the rows around it, under a Gaussian of that standard
    deviation, in parts, which ends at three of them. An error is known where the rows stand for more than one number.
    """
    weights = np.ones(len(values)) if weights is None else weights
    kept = np.isfinite(values) & (True if squares is None else np.isfinite(squares))
    count = len(edges) - 1
    part = np.clip(np.searchsorted(edges, steps[kept], side="left") - 1, 0, count - 1)
    with np.errstate(over="ignore"):
        squares = weights * values**2 if squares is None else squares
    values, weights, squares = values[kept], weights[kept], squares[kept]
    number, first, second = (np.bincount(part, x, count) for x in (weights, weights * values, squares))
    total = number
    if smoothing:
        kernel = _gaussian(count, smoothing)
        total, first, second = kernel @ number, kernel @ first, kernel @ second
        number = total**2 / np.maximum(kernel**2 @ number, 1e-300)  # as many, all of one weight, would be as sure
    with np.errstate(all="ignore"):
        mean = np.where(total > 0, first / total, np.nan)
        spread = np.sqrt(np.maximum(second / total - mean**2, 0) / np.maximum(number - 1, 1))
        error = np.where(number > 1 + 1e-9, spread, np.nan)
    least, most = np.full(count, np.nan), np.full(count, np.nan)
    np.fmin.at(least, part, values)
    np.fmax.at(most, part, values)
    return Curve(_without_gaps(mean), _without_gaps(error), least, most)


@functools.lru_cache(maxsize=4)
def _gaussian(count: int, deviation: float) -> Float[np.ndarray, "count count"]:
    place = np.arange(count)
    distance = (place[:, None] - place[None, :]) / deviation
    return np.where(abs(distance) < 3, np.exp(-(distance**2) / 2), 0.0)


def _without_gaps(values: Points) -> Points:
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return values
    return np.interp(np.arange(len(values)), known, values[known], left=np.nan, right=np.nan)


def middle(means: Curves) -> Points:
    """The interquartile mean over streams, where every one has a value."""
    return where_all(means, interquartile_mean(means.T))


def band(means: Curves, errors: Curves) -> tuple[Points, Points]:
    """Of 95 %: over streams by the percentile bootstrap of their interquartile mean; of one, over its own numbers."""
    if len(means) == 1:
        return means[0] - 1.96 * errors[0], means[0] + 1.96 * errors[0]
    # Whole streams are drawn: the same for all points.
    iqm = lambda drawn: interquartile_mean(drawn.T)  # noqa: E731
    low, high = percentile_interval(iqm, means, draw=whole_rows, resamples=RESAMPLES)
    return where_all(means, low), where_all(means, high)


def where_all(means: Curves, points: Points) -> Points:
    """The points where every stream has a value, NaN elsewhere."""
    return np.where(np.isnan(means).any(0), np.nan, points)
