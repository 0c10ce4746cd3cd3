"""With JAX's 64-bit numbers switched on, for parameters of either size."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi


@pytest.fixture(autouse=True)
def double():
    """64-bit numbers for the time of a test."""
    with jax.enable_x64(True):
        yield


def square():
    """E[x^2] under N(m, 1)."""
    return logpi.expectation(lambda x: x**2, of=lambda p: dist.Normal(p["m"], 1.0))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, jnp.bfloat16])
def test_an_estimate_has_the_type_of_its_parameters(dtype):
    e = logpi.estimate(square(), {"m": jnp.asarray(1.0, dtype)}, jax.random.key(0))
    assert e.gradient["m"].dtype == dtype
    assert abs(float(e.gradient["m"]) - 2) < 4.5 * float(e.gradient_error["m"]) + 0.01


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_climbing(dtype):
    params, _ = logpi.minimize(square(), {"m": jnp.asarray(0.5, dtype)}, jax.random.key(0), steps=20)
    assert params["m"].dtype == dtype and params["m"] < 0.4


def test_double_precision_is_used():
    """The second derivative of an enumerated polynomial, to fourteen digits."""
    J = logpi.expectation(lambda x: x**3, of=lambda p: dist.Bernoulli(probs=p**2), estimator=logpi.Enumerate())
    assert np.isclose(jax.grad(jax.grad(J))(jnp.float64(0.3), jax.random.key(0)), 2.0, rtol=1e-14)
