"""The statistics of a comparison against their definitions, and those of SciPy that rliable calls."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats

from logpi.errors import InputError
from logpi.statistics.intervals import bootstrap_interval
from logpi.statistics.scores import (
    iqm,
    mean,
    median,
    performance_profile,
    probability_of_improvement,
    profile_band,
    spread,
)


@pytest.fixture(params=range(6))
def scores(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Two matrices of the same tasks, with ties."""
    rng = np.random.default_rng(request.param)
    runs, others, tasks = rng.integers(2, 12, 3)
    return rng.integers(0, 9, (runs, tasks)) * 1.0, rng.integers(0, 9, (others, tasks)) * 1.0


def test_iqm_is_the_trimmed_mean_of_all_scores(scores) -> None:
    np.testing.assert_allclose(iqm(scores[0]), scipy.stats.trim_mean(scores[0], 0.25, axis=None))


def test_mean_and_median_are_of_task_means(scores) -> None:
    by_task = scores[0].mean(0)
    np.testing.assert_allclose(mean(scores[0]), by_task.mean())
    if len(by_task) > 1:
        np.testing.assert_allclose(median(scores[0]), np.median(by_task))


def test_the_median_of_a_single_task_is_over_its_runs() -> None:
    assert median(np.array([[1.0], [2.0], [9.0]])) == 2.0


def test_spread_is_the_interquartile_range() -> None:
    assert spread(np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])) == 2.0


def test_probability_of_improvement_counts_pairs(scores) -> None:
    one, other = scores
    by_task = []
    for task in range(one.shape[1]):
        pairs = list(itertools.product(one[:, task], other[:, task]))
        by_task.append(sum(1.0 if x > y else 0.5 if x == y else 0.0 for x, y in pairs) / len(pairs))
    found = probability_of_improvement(one, other)
    np.testing.assert_allclose(found, np.mean(by_task))
    np.testing.assert_allclose(found + probability_of_improvement(other, one), 1.0)


def test_probability_of_improvement_is_mann_whitney(scores) -> None:
    one, other = scores
    u = [scipy.stats.mannwhitneyu(x, y, alternative="greater").statistic for x, y in zip(one.T, other.T, strict=True)]
    np.testing.assert_allclose(probability_of_improvement(one, other), np.mean(u) / (len(one) * len(other)))


def test_other_tasks_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="the same tasks"):
        probability_of_improvement(np.zeros((2, 1)), np.zeros((2, 3)))


def test_a_profile_is_the_share_above(scores) -> None:
    thresholds = np.linspace(-1, 9, 21)
    expected = [np.mean(scores[0] > tau) for tau in thresholds]
    np.testing.assert_allclose(performance_profile(scores[0], thresholds), expected)
    low, high = profile_band(scores[0], thresholds, 50)
    assert ((low <= high) & (low >= 0) & (high <= 1)).all()


def test_the_interval_of_a_mean_covers_as_often_as_it_says() -> None:
    """Of 200 normal samples of 30, the percentile bootstrap covers some 93 %; fewer than 170 in one of 10^9."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        found = bootstrap_interval(mean, rng.normal(size=(30, 1)), resamples=200)
        hits += found.low <= 0 <= found.high
    assert 170 <= hits < 200, hits


def test_a_single_run_has_no_interval() -> None:
    found = bootstrap_interval(iqm, np.array([[3.0]]))
    assert found.value == 3.0 and np.isnan(found.low) and np.isnan(found.high)
