"""The noise of deterministic policies: a Gaussian put onto -1 and 1, against numbers found in other ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from logpi.audit import policy as audit_policy
from logpi.distributions import nearest_uniform, Normal, Point
from logpi.distributions.normal import ClippedNormal
from logpi.distributions.quantiles import quantiles_of
from logpi.models import AbstractPolicy, Noisy, WarmingUp

CASES = [(0.0, 0.0), (0.7, -0.5), (-1.4, 0.3), (0.2, -3.0), (3.0, 1.0)]


def one(mean: float, log_std: float) -> ClippedNormal:
    return ClippedNormal(jnp.full(1, mean), jnp.full(1, log_std))


def density(d: ClippedNormal, x: float) -> float:
    return float(jnp.exp(d.log_prob(jnp.full(1, x))))


def expected(d: ClippedNormal, f) -> float:
    """Over both atoms and the density between them."""
    between = integrate.quad(lambda x: density(d, x) * f(x), -1 + 1e-9, 1 - 1e-9, points=[0.0], epsabs=1e-12)[0]
    return between + sum(density(d, x) * f(x) for x in (-1.0, 1.0))


@pytest.mark.parametrize(("mean", "log_std"), CASES)
def test_probabilities_entropy_and_divergence(mean: float, log_std: float) -> None:
    with jax.enable_x64(True):
        d, other = one(mean, log_std), one(0.3, -0.2)
        assert expected(d, lambda x: 1.0) == pytest.approx(1, abs=1e-7)
        assert density(d, 1.0) == pytest.approx(stats.norm.sf(1, mean, np.exp(log_std)), rel=1e-10)
        assert density(d, -1.0) == pytest.approx(stats.norm.cdf(-1, mean, np.exp(log_std)), rel=1e-10)

        def log_prob(d, x):
            return float(d.log_prob(jnp.full(1, x)))

        assert d.entropy() == pytest.approx(expected(d, lambda x: -log_prob(d, x)), abs=1e-7)
        assert d.kl(other) == pytest.approx(expected(d, lambda x: log_prob(d, x) - log_prob(other, x)), abs=1e-7)
        assert d.kl(d) == pytest.approx(0, abs=1e-12)


def test_draws_are_those_of_a_clipped_gaussian() -> None:
    d = ClippedNormal(jnp.asarray([0.7, -0.2]), jnp.asarray([-0.3, 0.4]))
    draws = np.asarray(d.sample(jax.random.key(0), (1_000,)))
    plain = np.asarray(Normal(d.mean, d.log_std).sample(jax.random.key(0), (1_000,)))
    np.testing.assert_array_equal(draws, plain.clip(-1, 1))
    assert 0.1 < np.mean(np.abs(draws) == 1) < 0.9 and np.abs(d.mode()).max() <= 1
    np.testing.assert_allclose(quantiles_of(d).event(jnp.asarray([0.99, 0.01])), [1, -1])
    assert audit_policy(d, jax.random.key(1), samples=10_000).passed


def test_the_nearest_to_uniform_is_the_likeliest() -> None:
    """Among all spreads, for numbers spread evenly: the mean of log-probabilities between the ends."""
    found = nearest_uniform(one(0.7, -2.0))
    x = jnp.linspace(-1, 1, 4_001)[1:-1, None]
    means = [float(jnp.mean(jax.vmap(one(m, s).log_prob)(x))) for m, s in ((0.0, -0.7), (0.0, -0.4), (0.1, -0.55))]
    own = float(jnp.mean(jax.vmap(found.log_prob)(x)))
    assert own > max(means) and found.mean == 0 and found.log_std[0] == pytest.approx(-0.5 * np.log(3))


class Still(AbstractPolicy):
    """One action in two parts."""

    def initial_memory(self) -> tuple[()]:
        return ()

    def __call__(self, obs, memory):
        return Point({"a": obs, "b": (jnp.full((2, 2), -0.9),)}), memory


def test_noise_is_put_on_every_part_and_warming_up_is_even() -> None:
    noisy = Noisy(Still(), jnp.asarray(0.1))
    draws, obs, keys = [], jnp.asarray([0.5]), jax.random.split(jax.random.key(0), 4_000)
    for uniform in (False, True):
        d, _ = WarmingUp(noisy, jnp.asarray(uniform))(obs, ())
        draws.append(jax.tree.map(np.asarray, jax.vmap(d.sample)(keys)))
    off, even = draws
    assert off["a"].shape == (4_000, 1) and off["b"][0].shape == (4_000, 2, 2)
    # Standard errors are 0.1 / sqrt(4,000) and 0.6 / sqrt(4,000): false-alarm rate 1e-6 for each (z = 4.9).
    assert abs(off["a"].mean() - 0.5) < 0.008 and off["a"].std() == pytest.approx(0.1, abs=0.006)
    assert abs(even["a"].mean()) < 0.05 and abs(even["b"][0].mean()) < 0.03 and np.abs(even["b"][0]).max() == 1
