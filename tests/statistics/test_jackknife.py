"""The jackknife's standard error against a loop, and against what is known of a mean."""

import math

import numpy as np
import pytest

from logpi.statistics.jackknife import standard_error


@pytest.mark.parametrize("n", [2, 3, 20])
def test_it_is_the_sum_over_what_is_left_out(n: int) -> None:
    x = np.random.default_rng(n).gamma(2.0, size=n)
    left_out = [math.log(sum(x[j] for j in range(n) if j != i)) for i in range(n)]
    middle = sum(left_out) / n
    by_hand = math.sqrt((n - 1) / n * sum((value - middle) ** 2 for value in left_out))
    assert standard_error(np.array(left_out)) == pytest.approx(by_hand, rel=1e-9)


def test_of_a_mean_it_is_the_usual_error() -> None:
    x = np.random.default_rng(0).normal(size=30)
    left_out = (x.sum() - x) / 29
    assert standard_error(left_out) == pytest.approx(x.std(ddof=1) / math.sqrt(30))


def test_nothing_is_known_where_a_value_is_infinite() -> None:
    assert math.isnan(standard_error(np.array([1.0, math.inf, 2.0])))
