"""The mean of the others against two loops, for NumPy and JAX."""

import jax.numpy as jnp
import numpy as np
import pytest

from logpi.statistics.leave_one_out import less_others_of_group, mean_of_others

LIBRARIES = pytest.mark.parametrize("array", [np.asarray, jnp.asarray])


@LIBRARIES
def test_the_mean_of_the_others(array) -> None:
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    by_hand = [[np.mean([row[j] for j in range(5) if j != i]) for i in range(5)] for row in x]
    np.testing.assert_allclose(mean_of_others(array(x)), by_hand, rtol=1e-5)


def test_an_offset_of_all_is_not_rounded_away() -> None:
    x = np.float32([1, 2, 4])
    np.testing.assert_array_equal(mean_of_others(x + np.float32(2**22)) - 2**22, mean_of_others(x))


@LIBRARIES
def test_the_others_of_a_group(array) -> None:
    rng = np.random.default_rng(1)
    x, group = rng.normal(size=(4, 9)).astype(np.float32), rng.integers(0, 4, (4, 9))
    by_hand = np.zeros(x.shape)
    for row in range(4):
        for i in range(9):
            others = [x[row, j] for j in range(9) if j != i and group[row, j] == group[row, i]]
            by_hand[row, i] = x[row, i] - np.mean(others) if others else 0.0
    np.testing.assert_allclose(less_others_of_group(array(x), array(group)), by_hand, atol=1e-6)


def test_a_group_of_one_gets_0() -> None:
    x, group = np.array([[1.0, 2.0, 6.0, 5.0]]), np.array([[0, 1, 0, 2]])
    np.testing.assert_array_equal(less_others_of_group(x, group), [[-5.0, 0.0, 5.0, 0.0]])
