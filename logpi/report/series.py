"""From rows to curves: a training divided into parts, and what each part came to."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float

from ..runs.metrics import curve_of
from ..statistics.curves import band, Curves, middle, Points, where_all
from .folders import Told

POINTS = 200  # along a curve, at most: more cannot be told apart on a screen
FEWEST, ROWS = 40, 3  # points, where there are as many rows; and rows for each, where there are more
_OF_A_CURVE = ("mean", "error", "least", "most")


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
        return middle(self.seeds)

    @property
    def median(self) -> Points:
        """Over seeds."""
        return where_all(self.seeds, np.median(self.seeds, axis=0))

    @functools.cached_property
    def band(self) -> tuple[Points, Points]:
        """Of 95 %: over seeds by the percentile bootstrap of their interquartile mean; of one, over its own numbers."""
        return band(self.seeds, self.error)


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
    curves = [curve_of(_with(told.columns[seed], name), name, edges) for seed in told.run.seeds]
    mean, error, least, most = (np.stack([getattr(c, what) for c in curves]) for what in _OF_A_CURVE)
    with np.errstate(all="ignore"):
        least, most = np.fmin.reduce(least), np.fmax.reduce(most)
    return Series(steps, mean, error, least, most, rows / count, seconds_at(told, steps))


def _with(columns: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The columns, with one of no numbers for what the algorithm did not measure."""
    return columns if name in columns else columns | {name: np.full(len(columns["steps"]), np.nan)}


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
        with np.errstate(over="ignore"):  # a file may hold numbers as large as there are
            found.append(np.average(columns["return_mean"][last], weights=weight) if weight.sum() else np.nan)
    return np.array(found, np.float64)
