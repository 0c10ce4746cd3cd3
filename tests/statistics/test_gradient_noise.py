"""Signal and variance of a mean gradient against the definition, pair by pair."""

import itertools

import numpy as np
import pytest

from logpi.statistics.gradient_noise import signal_and_variance


@pytest.mark.parametrize("n", [2, 7])
def test_the_signal_is_the_mean_product_of_different_estimates(n: int) -> None:
    """An unbiased estimate of $|G|^2$ from independent estimates is the mean of $g_i \\cdot g_j$ over $i \\ne j$."""
    g = np.random.default_rng(n).normal(0.5, 1.0, (n, 6))
    signal, variance = signal_and_variance(np.sum(g.mean(0) ** 2), np.mean(np.sum(g**2, axis=1)), n)
    assert signal == pytest.approx(np.mean([a @ b for a, b in itertools.permutations(g, 2)]))
    assert variance == pytest.approx(np.sum(g.var(0, ddof=1)) / n)
