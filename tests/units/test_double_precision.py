"""With JAX's 64-bit numbers switched on, for parameters of either size."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi
from logpi.distributions import Normal


@pytest.fixture(autouse=True)
def double():
    """64-bit numbers for the time of a test."""
    with jax.enable_x64(True):
        yield


def square():
    """E[x^2] under N(m, 1)."""
    return logpi.expectation(lambda x: x**2, of=lambda p: dist.Normal(p["m"], 1.0))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, jnp.bfloat16])
def test_an_estimate_has_the_type_of_its_parameters_in_32_bits_at_least(dtype):
    e = logpi.estimate(square(), {"m": jnp.asarray(1.0, dtype)}, jax.random.key(0))
    assert e.gradient["m"].dtype == jnp.promote_types(dtype, jnp.float32)
    assert abs(float(e.gradient["m"]) - 2) < 4.5 * float(e.gradient_error["m"]) + 0.01


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_climbing(dtype):
    params, _ = logpi.minimize(square(), {"m": jnp.asarray(0.5, dtype)}, jax.random.key(0), steps=20)
    assert params["m"].dtype == dtype and params["m"] < 0.4


def test_double_precision_is_used():
    """The second derivative of an enumerated polynomial, to fourteen digits."""
    J = logpi.expectation(lambda x: x**3, of=lambda p: dist.Bernoulli(probs=p**2), estimator=logpi.Enumerate())
    assert np.isclose(jax.grad(jax.grad(J))(jnp.float64(0.3), jax.random.key(0)), 2.0, rtol=1e-14)


@pytest.mark.parametrize(
    "estimator", [logpi.EvolutionStrategies(), logpi.SPSA(), logpi.FiniteDifferences()], ids=["ES", "SPSA", "FD"]
)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_what_takes_values_alone_keeps_the_type(estimator, dtype):
    J = logpi.expectation(lambda x: x**2, lambda p: Normal(p, 0 * p), 4, estimator)
    value, gradient = jax.jit(jax.value_and_grad(J))(jnp.asarray(0.5, dtype), jax.random.key(0))
    assert value.dtype == gradient.dtype == dtype


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_functions_on_the_host_keep_the_type(dtype):
    """Of 64 bits where the event has them: a third is then one to sixteen digits."""
    value = jax.jit(logpi.host(lambda x: x / 3))(jnp.asarray(1.0, dtype))
    assert value.dtype == dtype and abs(float(value) - 1 / 3) < 2 * jnp.finfo(dtype).eps
    assert jax.jit(logpi.host(lambda i: i / 3))(jnp.asarray(1)).dtype == jnp.float64
