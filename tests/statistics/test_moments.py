"""Merged means and variances against NumPy's over everything together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.statistics.moments import merged_sums, merged_variances, Moments

SIZES = ([5, 5], [1, 40, 3], [200, 1, 1, 7])
merge_sums, merge_variances = jax.jit(merged_sums), jax.jit(merged_variances)


def batches(sizes: list[int]) -> list[np.ndarray]:
    rng = np.random.default_rng(sum(sizes))
    return [rng.normal(3.0 + 10 * i, 2.0, (size, 4)).astype(np.float32) for i, size in enumerate(sizes)]


@pytest.mark.parametrize("sizes", SIZES)
def test_merged_sums_are_numpys(sizes: list[int]) -> None:
    seen, n = Moments(jnp.zeros(4), jnp.zeros(4)), jnp.zeros(())
    for x in batches(sizes):
        new = Moments(jnp.asarray(x.mean(0)), jnp.asarray(((x - x.mean(0)) ** 2).sum(0)))
        seen, n = merge_sums(seen, new, n, jnp.float32(len(x)), n + len(x)), n + len(x)
    everything = np.concatenate(batches(sizes)).astype(np.float64)
    np.testing.assert_allclose(seen.mean, everything.mean(0), rtol=1e-5)
    np.testing.assert_allclose(seen.spread, everything.var(0) * len(everything), rtol=1e-4)


@pytest.mark.parametrize("sizes", SIZES)
def test_merged_variances_are_numpys(sizes: list[int]) -> None:
    seen, n = Moments(jnp.zeros(4), jnp.ones(4)), 0
    for x in batches(sizes):
        n += len(x)
        seen = merge_variances(seen, Moments(jnp.asarray(x.mean(0)), jnp.asarray(x.var(0))), jnp.float32(len(x) / n))
    everything = np.concatenate(batches(sizes)).astype(np.float64)
    np.testing.assert_allclose(seen.mean, everything.mean(0), rtol=1e-5)
    np.testing.assert_allclose(seen.spread, everything.var(0), rtol=1e-4)


def test_a_share_of_none_changes_nothing() -> None:
    old = Moments(jnp.array([1.0, -2.0]), jnp.array([0.5, 3.0]))
    new = Moments(jnp.array([7.0, 7.0]), jnp.array([1.0, 1.0]))
    for before, after in zip(old, merge_variances(old, new, jnp.zeros(())), strict=True):
        np.testing.assert_array_equal(before, after)
