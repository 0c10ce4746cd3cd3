"""No family of NumPyro's is called wrong, however its density or its parameters look; what is wrong is still found."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints

from logpi import audit
from logpi.audit.policies.quadrature import around, integrated, pieces_of
from logpi.distributions.numpyro.rebuilding import own_parameters
from tests.audit.families import ARRAYS, COUNTS, MOVING, NUMBERS

KEY = jax.random.key(0)
ALL = {**NUMBERS, **COUNTS, **ARRAYS}
FEW = ("Beta, infinite at both ends", "BetaNegativeBinomial", "HalfNormal", "Hurdle of an exponential", "Normal, huge",
       "ProjectedNormal", "two Betas, infinite at the ends", "Bernoulli, near 1")  # fmt: skip


def test_some_right_distributions_pass():
    reports = {name: audit.policy(ALL[name](), KEY, samples=5000) for name in FEW}
    assert {name: str(report) for name, report in reports.items() if not report.passed} == {}


@pytest.mark.slow
def test_all_right_distributions_pass():
    """Each fails once in a million."""
    wrong = {name: str(report) for name, make in ALL.items() if not (report := audit.policy(make(), KEY)).passed}
    assert wrong == {}
    for make in MOVING.values():
        assert [check.key for check in audit.policy(make(), KEY, samples=1000).findings] == ["constant_support"]


class Scaled(eqx.Module):
    """A Gamma of a small concentration, with one thing wrong."""

    concentration: jax.Array
    what: str = eqx.field(static=True)

    def sample(self, key):
        return jax.random.gamma(key, self.concentration)

    def log_prob(self, x):
        right = dist.Gamma(self.concentration, 1.0).log_prob(x)
        moved = self.concentration - jax.lax.stop_gradient(self.concentration)
        wrong = {"normaliser": 0.01, "score": 0.2 * moved, "support": jnp.where(x > 0.5, -jnp.inf, 0.0)}
        return right + wrong[self.what]


class Half(dist.Distribution):
    """A half-normal of a user's own: twice a normal density, or once, where it is wrong."""

    arg_constraints: ClassVar = {"scale": constraints.positive}
    support = constraints.positive
    pytree_data_fields = ("scale", "_normal", "times")

    def __init__(self, scale, times=2.0):
        self.scale, self.times, self._normal = scale, times, dist.Normal(0.0, scale)
        super().__init__(batch_shape=jnp.shape(scale), validate_args=False)

    def sample(self, key, sample_shape=()):
        return jnp.abs(self._normal.sample(key, sample_shape))

    def log_prob(self, value):
        return jnp.log(jax.lax.stop_gradient(self.times)) + self._normal.log_prob(value)


FAULTS = {
    "a normaliser 1 % off": (Scaled(jnp.asarray(0.4), "normaliser"), "normalised"),
    "a score off by a constant": (Scaled(jnp.asarray(0.4), "score"), "zero_mean_scores"),
    "a support that ends too early": (Scaled(jnp.asarray(0.4), "support"), "normalised"),
    "half of a half-normal": (Half(1.4, 1.0), "normalised"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_found(name):
    subject, key = FAULTS[name]
    assert key in [check.key for check in audit.policy(subject, KEY).findings]


def test_a_family_of_ones_own_passes():
    assert audit.policy(Half(1.4), KEY, samples=5000).passed


def test_an_atom_that_has_a_density_is_wrong():
    """A mixture of 0 and a number whose log-probability at 0 adds the two up."""

    class Inflated(eqx.Module):
        zero: jax.Array

        def sample(self, key):
            first, second = jax.random.split(key)
            return jnp.where(jax.random.uniform(first) < self.zero, 0.0, jax.random.normal(second))

        def log_prob(self, x):
            density = (1 - self.zero) * jnp.exp(dist.Normal(0.0, 1.0).log_prob(x))
            return jnp.log(density + jnp.where(x == 0, self.zero, 0.0))

    assert "normalised" in [check.key for check in audit.policy(Inflated(jnp.asarray(0.4)), KEY).findings]


@pytest.mark.parametrize("name", ALL)
def test_families_are_made_again_of_their_own_parameters(name):
    made = ALL[name]()
    parameters, make = own_parameters(made)
    again = make(parameters)
    pairs = zip(jax.tree.leaves(made), jax.tree.leaves(again), strict=True)
    assert type(again) is type(made)
    assert all(np.array_equal(x, y) for x, y in pairs)


def test_a_half_normal_has_one_parameter():
    for d in (dist.HalfNormal(1.4), dist.HalfCauchy(1.4), dist.HalfNormal(1.4).expand([3]).to_event(1), Half(1.4)):
        assert 1.4 in jax.tree.leaves(own_parameters(d)[0])
        assert 0.0 not in jax.tree.leaves(own_parameters(d)[0])


def density(power: float, low: float, high: float):
    """(x - low)^(power - 1) between two ends, infinite at the first for a power below 1."""

    def log_density(x):
        x = np.asarray(x, np.float32).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = (power - 1) * np.log(x - low) + np.log(power) - power * np.log(high - low)
        return np.where((x >= low) & (x <= high), value, -np.inf)

    return log_density


@pytest.mark.parametrize(("power", "low", "high"), [(0.2, 0.0, 1.0), (0.5, 0.0, 1e-9), (1.0, -3.0, 8.0), (0.6, 2.0, 3)])
def test_integrals_to_ends_where_a_density_is_infinite(power, low, high):
    draws = low + (high - low) * np.random.default_rng(0).uniform(size=1000) ** (1 / power)
    found = integrated(density(power, low, high), around(draws))
    np.testing.assert_allclose(np.exp(found.log_mass).sum(), 1.0, atol=1e-5 + found.error)
    ((a, b),) = pieces_of(density(power, low, high), around(draws))
    np.testing.assert_allclose([a, b], [low, high], rtol=1e-6)
