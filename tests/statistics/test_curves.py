"""Learning curves against ones made by hand."""

import numpy as np
import pytest

from logpi.statistics.curves import band, learning_curve, middle

NAN = float("nan")
EDGES = np.array([0.0, 10.0, 20.0, 30.0, 40.0])


def test_a_part_is_the_mean_of_its_rows() -> None:
    steps, values = np.array([1.0, 5, 10, 12, 35]), np.array([1.0, 2, 6, 7, 5])
    curve = learning_curve(steps, values, EDGES)
    np.testing.assert_allclose(curve.mean, [3, 7, 6, 5])  # an edge belongs to what is before it; between 7 and 5 lies 6
    np.testing.assert_allclose(curve.error, [np.std([1, 2, 6]) / np.sqrt(2), NAN, NAN, NAN])
    np.testing.assert_array_equal(curve.least, [1, 7, NAN, 5])
    np.testing.assert_array_equal(curve.most, [6, 7, NAN, 5])


def test_before_the_first_and_after_the_last_there_is_nothing() -> None:
    curve = learning_curve(np.array([15.0, 25, 35]), np.array([1.0, 2, NAN]), EDGES)
    np.testing.assert_array_equal(curve.mean, [NAN, 1, 2, NAN])
    assert np.isnan(learning_curve(np.zeros(0), np.zeros(0), EDGES).mean).all()


def test_a_row_may_stand_for_many_numbers() -> None:
    """As if every episode had a row of its own."""
    rng = np.random.default_rng(0)
    episodes = [rng.normal(i, 1.0, size) for i, size in enumerate([1, 4, 9, 2, 30, 5])]
    places = np.array([2.0, 4.0, 8.0, 15.0, 22.0, 38.0])
    means, sizes, squares = (np.array([f(x) for x in episodes], float) for f in (np.mean, len, lambda x: np.sum(x**2)))
    for smoothing in (0.0, 0.7):
        single = learning_curve(
            np.repeat(places, sizes.astype(int)), np.concatenate(episodes), EDGES, smoothing=smoothing
        )
        rows = learning_curve(places, means, EDGES, sizes, squares, smoothing=smoothing)
        np.testing.assert_allclose(rows.mean, single.mean)
        np.testing.assert_allclose(rows.error, single.error)


def test_smoothing_is_a_weighted_mean_of_the_parts_around() -> None:
    steps, values = np.array([5.0, 15, 25, 35]), np.array([0.0, 0, 8, 0])
    weights = np.exp(-0.5 * (np.arange(4)[:, None] - np.arange(4)) ** 2)
    weights[0, 3] = weights[3, 0] = 0.0  # three deviations away
    curve = learning_curve(steps, values, EDGES, smoothing=1.0)
    by_hand = weights @ values / weights.sum(1)
    np.testing.assert_allclose(curve.mean, by_hand)
    number = weights.sum(1) ** 2 / (weights**2).sum(1)
    np.testing.assert_allclose(curve.error, np.sqrt((weights @ values**2 / weights.sum(1) - by_hand**2) / (number - 1)))


@pytest.mark.parametrize("smoothing", [0.0, 2.0])
def test_an_error_is_that_of_the_mean(smoothing: float) -> None:
    """Of 400 streams of noise, the errors are what the means vary by; 400 deviations tell it to 4 %."""
    rng, steps = np.random.default_rng(1), np.arange(200.0)
    edges = np.linspace(0, 200, 11)
    found = [learning_curve(steps, rng.normal(size=200), edges, smoothing=smoothing) for _ in range(400)]
    means, errors = (np.stack([getattr(c, what) for c in found])[:, 5] for what in ("mean", "error"))
    assert 0.8 < np.mean(errors) / np.std(means) < 1.2


def test_over_streams() -> None:
    means = np.array([[0.0, 1, NAN], [2, 1, 1], [4, 1, 1], [100, 1, 1]])
    np.testing.assert_array_equal(middle(means), [3, 1, NAN])
    low, high = band(means, np.zeros_like(means))
    assert 0 <= low[0] < 3 < high[0] <= 100 and low[1] == high[1] == 1 and np.isnan([low[2], high[2]]).all()


def test_over_a_single_stream_the_band_is_of_its_numbers() -> None:
    low, high = band(np.array([[1.0, 2.0]]), np.array([[0.5, NAN]]))
    np.testing.assert_allclose(low, [1 - 0.98, NAN])
    np.testing.assert_allclose(high, [1 + 0.98, NAN])
