"""Several runs beside each other, by the statistics of Agarwal et al. 2021 (arXiv:2108.13264)."""

import itertools

import numpy as np

from ...statistics.intervals import bootstrap_interval
from ...statistics.scores import (
    iqm,
    mean,
    median,
    performance_profile,
    probability_of_improvement,
    profile_band,
    spread,
)
from ..charts import Chart, IntervalRow, Intervals, Level, Line, Lines
from ..folders import Told
from ..series import final_scores

THRESHOLDS = 120
SCORE = "mean return of the episodes in the last tenth of training"
_STATISTICS = (("IQM", iqm), ("mean", mean), ("median", median), ("interquartile range", spread))


def scored(told: list[Told]) -> list[tuple[Told, np.ndarray]]:
    """The runs with a score for every seed, and their scores: (seeds, 1)."""
    found = [(each, final_scores(each)[:, None]) for each in told if not each.empty]
    return [(each, scores) for each, scores in found if np.isfinite(scores).all()]


def charts(told: list[Told]) -> list[Chart]:
    """Probabilities of improvement and performance profiles of runs in one environment; none for fewer than two."""
    runs = scored(told)
    return [] if len(runs) < 2 else [_improvement(runs), _profiles(runs)]


def table(told: list[Told]) -> tuple[list[str], list[list[str]]]:
    """The final scores of each run: IQM, mean, median and spread over seeds, each with its interval."""
    from ..charts import shown

    rows = []
    for each, scores in scored(told):
        cells = []
        for _, statistic in _STATISTICS:
            found = bootstrap_interval(statistic, scores)
            bounds = f" [{shown(found.low)}, {shown(found.high)}]" if np.isfinite(found.low) else ""
            cells.append(shown(found.value) + bounds)
        rows.append([each.name, str(len(scores)), f"{each.steps:,}", *cells])
    return ["run", "seeds", "steps", *(name for name, _ in _STATISTICS)], rows


def improvements(runs: list[tuple[Told, np.ndarray]]) -> list[tuple[Told, Told, IntervalRow]]:
    """Of each pair, the probability that a seed of the better beats one of the other, the better one first."""
    found = []
    for (one, first), (other, second) in itertools.combinations(runs, 2):
        if probability_of_improvement(first, second) < 0.5:
            one, first, other, second = other, second, one, first
        p = bootstrap_interval(probability_of_improvement, first, second)
        found.append((one, other, IntervalRow(f"{one.name} above {other.name}", p.value, p.low, p.high, one.index)))
    return found


def _improvement(runs: list[tuple[Told, np.ndarray]]) -> Intervals:
    rows = tuple(estimate for _, _, estimate in improvements(runs))
    about = (
        f"That a seed of one ends above a seed of the other, by the {SCORE}; ties count half. "
        "95 % stratified bootstrap intervals."
    )
    return Intervals(
        "improvement", "Probability of improvement", about, "probability", rows,
        (Level(0.0, ""), Level(0.5, "no difference"), Level(1.0, "")),
    )  # fmt: skip


def _profiles(runs: list[tuple[Told, np.ndarray]]) -> Lines:
    values = np.concatenate([scores.ravel() for _, scores in runs])
    margin = 0.05 * (np.ptp(values) or 1.0)
    thresholds = np.linspace(values.min() - margin, values.max() + margin, THRESHOLDS)
    lines = []
    for each, scores in runs:
        low, high = profile_band(scores, thresholds) if len(scores) > 1 else (None, None)
        share = performance_profile(scores, thresholds)
        lines.append(Line(each.name, thresholds, share, low, high, None, each.index, "step"))
    about = "The share of seeds that end above each return; higher is better. Bands: 95 %, pointwise."
    return Lines("profiles", "Performance profiles", about, "return τ", "share of seeds above τ", tuple(lines))
