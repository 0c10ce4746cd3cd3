"""A tail index finds what has no mean or no variance, and lets pass what has both."""

import numpy as np
import pytest

from logpi.statistics.tails import heavy_tail, tail_index

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("index", [0.8, 1.5])
def test_the_index_of_a_power_law(index):
    numbers = RNG.pareto(index, 100_000)
    assert tail_index(numbers, 1000) == pytest.approx(index, rel=0.15)


def both(value, gradient=None):
    rows = np.zeros((2, 1024))
    rows[0, : len(value)] = value
    rows[1, : len(value)] = RNG.standard_normal(len(value)) if gradient is None else gradient
    return heavy_tail(rows, len(value))


@pytest.mark.parametrize("count", [128, 1000])
def test_what_has_no_mean(count):
    found = [both(RNG.standard_cauchy(count)) for _ in range(50)]
    assert np.mean([bool(why) for why in found]) > (0.7 if count == 1000 else 0.3)
    assert any("heavy tail" in why for why in found) or count < 512
    assert "the gradient" in both(RNG.standard_normal(1000), RNG.pareto(0.5, 1000))


@pytest.mark.parametrize("kind", ["standard_normal", "standard_exponential", "random"])
@pytest.mark.parametrize("count", [32, 128, 1000])
def test_what_has_a_variance(kind, count):
    assert sum(bool(both(getattr(RNG, kind)(count))) for _ in range(200)) <= 1


def test_what_does_not_vary():
    assert tail_index(np.ones(100), 10) == np.inf and both(np.ones(1000), np.zeros(1000)) == ""


def test_one_that_outweighs_all_others():
    numbers = RNG.standard_normal(200)
    numbers[7] = 1e3
    assert "a single replicate makes up 100% of the spread of the value" in both(numbers)


@pytest.mark.parametrize("size", [1.0, -6.0, 1e12, 1e-12])
def test_what_varies_by_rounding_has_no_tail(size: float) -> None:
    """A single number of a thousand that was rounded another way is all of the spread."""
    numbers = np.full(1024, size, np.float32)
    numbers[7] = np.nextafter(numbers[7], np.float32(0))
    assert heavy_tail(np.stack([numbers, numbers]), 1024) == ""
    numbers[7] *= 1.5
    assert "a single replicate" in heavy_tail(np.stack([numbers, numbers]), 1024)
