"""Surrogates and errors, value by value, and where their gradients stop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.surrogates import (
    approximate_kl,
    clipped_ratio,
    clipped_squared_error,
    quantile_error,
    ratio,
    score,
    squared_error,
    standardise,
    weighted_mean,
)

RATIOS = jnp.asarray([0.5, 0.9, 1.0, 1.1, 1.5])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_clipped_ratio_is_the_paper_s_figure_1(sign):
    log_prob, zero = jnp.log(RATIOS), jnp.zeros(5)
    value = clipped_ratio(log_prob, zero, jnp.full(5, sign), 0.2)
    np.testing.assert_allclose(value, [0.5, 0.9, 1, 1.1, 1.2] if sign > 0 else [-0.8, -0.9, -1, -1.1, -1.5], rtol=1e-6)
    pull = jax.grad(lambda x: jnp.sum(clipped_ratio(x, zero, jnp.full(5, sign), 0.2)))(log_prob)
    inside = [0.5, 0.9, 1, 1.1, 0] if sign > 0 else [0, -0.9, -1, -1.1, -1.5]
    np.testing.assert_allclose(pull, inside, rtol=1e-6)


def test_where_gradients_stop():
    x, y = jnp.asarray([0.3, -0.4]), jnp.asarray([1.0, 2.0])
    np.testing.assert_allclose(jax.grad(lambda lp: jnp.sum(score(lp, y)))(x), y)
    for function in (
        lambda c: score(x, c),
        lambda c: clipped_ratio(x, c, y, 0.2),
        lambda c: clipped_ratio(x, x, c, 0.2),
        lambda c: squared_error(x, c),
        lambda c: clipped_squared_error(x, x, c, 0.1),
    ):
        assert (jax.grad(lambda c, f=function: jnp.sum(f(c)))(y) == 0).all()


def test_the_ratio_is_the_advantage_under_another_policy():
    """Of two choices, exactly: E_b[r A] = E[A]. At the policy that acted its slope is the score's."""
    b, p, advantage = jnp.array([0.3, 0.7]), jnp.array([0.9, 0.1]), jnp.array([2.0, -1.0])
    assert float(b @ ratio(jnp.log(p), jnp.log(b), advantage)) == pytest.approx(float(p @ advantage), rel=1e-6)
    slopes = jax.grad(lambda x, y, z: jnp.sum(ratio(x, y, z)), argnums=(0, 1, 2))(jnp.log(b), jnp.log(b), advantage)
    assert jnp.allclose(slopes[0], advantage) and not np.any(slopes[1]) and not np.any(slopes[2])


def test_errors_of_the_critic():
    value, old, target = jnp.asarray([1.0, 3.0, 0.9]), jnp.asarray([0.0, 0.0, 1.0]), jnp.asarray([2.0, 2.5, 0.0])
    np.testing.assert_allclose(squared_error(value, target), [0.5, 0.125, 0.405], rtol=1e-6)
    np.testing.assert_allclose(clipped_squared_error(value, old, target, 0.2), [1.62, 2.645, 0.405], rtol=1e-6)
    unlimited = clipped_squared_error(value, old, target, np.inf)
    np.testing.assert_allclose(unlimited, squared_error(value, target), rtol=1e-6)
    slope = jax.grad(lambda v: jnp.sum(clipped_squared_error(v, old, target, np.inf)))(value)
    np.testing.assert_allclose(slope, value - target, rtol=1e-6)


def test_the_approximate_divergence_is_unbiased_and_never_negative():
    p, q = jnp.asarray([0.2, 0.5, 0.3]), jnp.asarray([0.25, 0.35, 0.4])
    estimates = approximate_kl(jnp.log(q), jnp.log(p))
    assert (estimates >= 0).all()
    np.testing.assert_allclose(p @ estimates, p @ jnp.log(p / q), rtol=1e-5)


def test_to_standardise():
    random = np.random.default_rng(0)
    x, weight = random.normal(3, 7, (5, 4)).astype(np.float32), (random.uniform(size=(5, 4)) < 0.7).astype(np.float32)
    standard = np.asarray(standardise(jnp.asarray(x), jnp.asarray(weight)))[weight > 0]
    np.testing.assert_allclose([standard.mean(), standard.std()], [0, 1], atol=1e-5)
    kept = x[weight > 0]
    np.testing.assert_allclose(standard, (kept - kept.mean()) / kept.std(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("x", "weight"), [([5.0], [1]), ([2.0, 2.0], [1, 1]), ([3.0, 9.0], [0, 1]), ([3.0], [0])])
def test_one_row_or_equal_rows_become_zero_and_never_nan(x, weight):
    standard = standardise(jnp.asarray(x), jnp.asarray(weight, jnp.float32))
    assert np.isfinite(standard).all()
    assert (np.asarray(standard)[np.asarray(weight) > 0] == 0).all()


def test_weighted_mean():
    assert float(weighted_mean(jnp.asarray([1.0, 5.0, 100.0]), jnp.asarray([1.0, 3.0, 0.0]))) == 4
    assert float(weighted_mean(jnp.asarray([1.0]), jnp.zeros(1))) == 0


def test_quantile_error_is_the_sum_by_hand_and_its_slope_is_that_of_a_quantile() -> None:
    rng = np.random.default_rng(0)
    quantiles, target = rng.normal(size=(4, 5)) * 2, rng.normal(size=(4, 7)) * 2
    by_hand = np.zeros(4)
    for row, (theirs, atoms) in enumerate(zip(quantiles, target, strict=True)):
        for m, theta in enumerate(theirs):
            for y in atoms:
                u = y - theta
                huber = 0.5 * u**2 if abs(u) <= 1 else abs(u) - 0.5
                by_hand[row] += abs((m + 0.5) / 5 - (u < 0)) * huber / 35
    np.testing.assert_allclose(quantile_error(jnp.asarray(quantiles), jnp.asarray(target)), by_hand, rtol=1e-6)
    # Atoms farther off than 1 pull with the share that a quantile has on that side: at (2m - 1) / 2M of them, nothing.
    atoms = 100.0 * jnp.arange(10)
    slope = jax.grad(lambda q: quantile_error(q, atoms))(jnp.asarray([50.0, 250.0, 450.0, 650.0, 850.0]))
    np.testing.assert_allclose(slope, 0, atol=1e-7)
    assert float(jnp.max(jax.grad(lambda t: quantile_error(jnp.zeros(3), t))(atoms))) == 0  # the target is a constant
