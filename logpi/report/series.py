"""From rows to curves: a training divided into parts, and what each part came to."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float

from ..statistics.intervals import interquartile_mean
from .folders import Told

POINTS = 200  # along a curve, at most: more cannot be told apart on a screen
FEWEST, ROWS = 40, 3  # points, where there are as many rows; and rows for each, where there are more
RESAMPLES = 1000
Points = Float[np.ndarray, " points"]
Curves = Float[np.ndarray, "seeds points"]


@dataclasses.dataclass(frozen=True)
class Series:
    """A measurement of a run in parts of equally many steps.

    In a part without a number it lies between those beside it; NaN before the first and after the last.
    """

    steps: Points  # in the middle of each part
    seeds: Curves  # mean of each seed
    error: Curves  # its standard error, over the episodes where there are some and over the rows elsewhere
    least: Points  # of all rows of all seeds
    most: Points
    rows: float  # of one seed, in a part
    seconds: Points | None  # wall time of training

    @property
    def middle(self) -> Points:
        """The interquartile mean over seeds, where every seed has a value."""
        return _where_all(self.seeds, interquartile_mean(self.seeds.T))

    @property
    def median(self) -> Points:
        """Over seeds."""
        return _where_all(self.seeds, np.median(self.seeds, axis=0))

    @functools.cached_property
    def band(self) -> tuple[Points, Points]:
        """Of 95 %: over seeds by the percentile bootstrap of their interquartile mean; of one, over its own numbers."""
        if len(self.seeds) == 1:
            return self.seeds[0] - 1.96 * self.error[0], self.seeds[0] + 1.96 * self.error[0]
        drawn = np.random.default_rng(0).integers(len(self.seeds), size=(RESAMPLES, len(self.seeds)))
        means = interquartile_mean(self.seeds[drawn].transpose(0, 2, 1))
        low, high = np.quantile(means, [0.025, 0.975], axis=0)
        return _where_all(self.seeds, low), _where_all(self.seeds, high)


def series(told: Told, name: str) -> Series:
    """A column of a run; of `return_mean` and `length_mean`, the mean over the episodes of each part."""
    if name not in told.found:
        told.found[name] = _series(told, name)
    return told.found[name]


def _series(told: Told, name: str) -> Series:
    rows = min((len(c["steps"]) for c in told.columns.values()), default=0)
    count = max(1, min(rows, POINTS, max(FEWEST, rows // ROWS)))
    edges = np.linspace(0, max(told.steps, 1), count + 1)
    steps = (edges[1:] + edges[:-1]) / 2
    parts = [_parts(told.columns[seed], name, edges) for seed in told.run.seeds]
    mean, error, least, most = (np.stack(each) for each in zip(*parts, strict=True))
    with np.errstate(all="ignore"):
        least, most = np.fmin.reduce(least), np.fmax.reduce(most)
    return Series(steps, mean, error, least, most, rows / count, seconds_at(told, steps))


def _parts(columns: dict[str, np.ndarray], name: str, edges: np.ndarray) -> tuple[Points, Points, Points, Points]:
    """Mean, standard error, least and most of a seed's rows in each part."""
    value, count = columns[name], len(edges) - 1
    kept = np.isfinite(value) & (np.isfinite(columns["return_squares"]) | (name != "return_mean"))
    value = value[kept]
    place = np.clip(np.searchsorted(edges, columns["steps"][kept], side="left") - 1, 0, count - 1)
    of_episodes = name in ("return_mean", "length_mean")
    weight = columns["episodes"][kept] if of_episodes else np.ones_like(value)
    square = columns["return_squares"][kept] if name == "return_mean" else weight * value**2
    total, first, second = (np.bincount(place, x, count)[:count] for x in (weight, weight * value, square))
    with np.errstate(all="ignore"):
        mean = np.where(total > 0, first / total, np.nan)
        spread = np.sqrt(np.maximum(second / total - mean**2, 0) / np.maximum(total - 1, 1))
        error = np.where(total > 1, spread, np.nan)  # one number alone says nothing of how sure it is
    mean, error = _without_gaps(mean), _without_gaps(error)
    least, most = np.full(count, np.nan), np.full(count, np.nan)
    np.fmin.at(least, place, value)
    np.fmax.at(most, place, value)
    return mean, error, least, most


def _without_gaps(values: Points) -> Points:
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return values
    return np.interp(np.arange(len(values)), known, values[known], left=np.nan, right=np.nan)


def seconds_at(told: Told, steps: Points) -> Points | None:
    """The wall time of training at some steps; `None` where it was not kept."""
    iterations, seconds = told.times
    columns = told.columns[told.run.seeds[0]]
    if not len(iterations) or not len(columns["steps"]):
        return None
    done = np.interp(steps, np.r_[0, columns["steps"]], np.r_[0, columns["iteration"]])
    return np.interp(done, np.r_[0, iterations], np.r_[0.0, seconds])


def final_scores(told: Told, share: float = 0.1) -> Float[np.ndarray, " seeds"]:
    """Of each seed, the mean return of the episodes that ended in the last tenth of its steps; NaN where none did."""
    found = []
    for seed in told.run.seeds:
        columns = told.columns[seed]
        last = (columns["steps"] > (1 - share) * told.steps) & (columns["episodes"] > 0)
        weight = columns["episodes"][last]
        found.append(np.average(columns["return_mean"][last], weights=weight) if weight.sum() else np.nan)
    return np.array(found, np.float64)


def _where_all(curves: Curves, points: Points) -> Points:
    return np.where(np.isnan(curves).any(0), np.nan, points)
