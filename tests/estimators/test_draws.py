"""What draws are worth: points beside a density, ends of a support, and what 32 bits can draw."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from logpi.distributions import FromNumpyro
from logpi.distributions.guards import broken_constraint
from logpi.distributions.probabilities import log_prob_of_draw

BASES = [dist.Gamma(1.5, 1.0), dist.LogNormal(0.0, 0.5), dist.Exponential(1.0)]


@pytest.mark.parametrize("base", BASES, ids=lambda base: type(base).__name__)
def test_a_point_beside_a_density_stays_a_point(base):
    def log_prob(gate, x):
        return log_prob_of_draw(FromNumpyro(dist.HurdleDistribution(base, gate=gate)), jnp.asarray(x))

    found = [jax.grad(log_prob)(0.3, x) for x in (0.0, 1.2)]
    np.testing.assert_allclose(found, [1 / 0.3, -1 / 0.7], rtol=1e-5)


@pytest.mark.parametrize("event", [0.0, 1e-38, 0.5])
def test_a_weibull_of_a_small_concentration_has_a_score(event):
    slope = jax.jit(jax.grad(lambda s: log_prob_of_draw(FromNumpyro(dist.Weibull(s, 0.8)), jnp.asarray(event))))
    assert jnp.isfinite(slope(1.2))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (dist.Poisson(1e7), "rate of Poisson is 1e.07, but it must be below 1000000"),
        (dist.Normal(1e8, 1.0), "scale of Normal is 1, but it must be above 4 times the distance"),
        (dist.Cauchy(1.0, 1e-7), "scale of Cauchy"),
        (dist.Poisson(1e5), None),
        (dist.Normal(1e6, 1.0), None),
    ],
)
def test_what_32_bits_cannot_draw_is_told(given, sentence):
    found = broken_constraint(lambda: FromNumpyro(given))
    assert found is None if sentence is None else re.match(sentence, found)
