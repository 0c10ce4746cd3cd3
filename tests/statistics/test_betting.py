"""Evidence for a mean above a threshold: seldom where there is none, soon where there is."""

import numpy as np
import pytest

from logpi.statistics.betting import Evidence

LOOKS, VALUES = 20, 20
FAMILIES = {
    "bounded, and as rarely low as can be": lambda rng: np.where(rng.random(VALUES) < 0.95, 500.0, 0.0),
    "normal": lambda rng: rng.normal(475, 60, VALUES),
    "skewed": lambda rng: 525 - rng.exponential(50, VALUES),
}


def highest(family, rng, threshold=475.0, bound=None) -> float:
    """The most evidence that ever was in one game."""
    evidence, most = Evidence(), 0.0
    for _ in range(LOOKS):
        evidence = evidence.staked(1 / LOOKS).after(FAMILIES[family](rng), threshold, bound)
        most = max(most, evidence.total)
    return most


@pytest.mark.parametrize(("family", "bound"), [*((family, None) for family in FAMILIES), (next(iter(FAMILIES)), 0.0)])
def test_at_the_threshold_itself_it_is_seldom_much(family, bound):
    """At most 1 of 20 games may come to 20; of 400, more than 33 in fewer than one case of 500 by chance."""
    most = np.array([highest(family, np.random.default_rng([1, i]), bound=bound) for i in range(400)])
    assert np.sum(most >= 20) <= 33


@pytest.mark.parametrize("family", FAMILIES)
def test_above_the_threshold_it_grows_without_bound(family):
    assert np.median([highest(family, np.random.default_rng([2, i]), 440.0) for i in range(40)]) > 1000


def test_what_is_kept_back_is_for_what_comes_later():
    bad, good = np.full(200, 0.0), np.full(200, 500.0)
    early = Evidence().staked(1.0).after(bad, 475, 0.0).after(good, 475, 0.0)
    later = Evidence().staked(0.5).after(bad, 475, 0.0).staked(0.5).after(good, 475, 0.0)
    assert later.total > 1000 > early.total


def test_nothing_is_bet_on_the_first_values_where_no_bound_is_known():
    first = Evidence().staked(1.0).after(np.full(100, 500.0), 475)
    assert first.total == 1.0 and (first.lowest, first.highest) == (500.0, 500.0)
    assert first.after(np.full(100, 500.0), 475).total > 20


def test_a_mean_at_the_threshold_is_no_evidence_of_one_above_it():
    evidence = Evidence().staked(1.0)
    for _ in range(3):
        evidence = evidence.after(np.full(50, 475.0), 475)
    assert evidence.total == 1.0


def test_a_value_below_what_was_taken_for_the_lowest_costs_no_more_than_all():
    evidence = Evidence().staked(1.0).after(np.full(9, 480.0), 475).after(np.array([-1e6]), 475)
    assert evidence.total == 0.0 and evidence.lowest == -1e6
