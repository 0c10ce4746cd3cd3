"""TensorFlow Probability on JAX: `monte_carlo.expectation` with the score function, one jitted value_and_grad.

Value and gradient of all samples at once, without errors and without a baseline: it has neither.
"""

import jax
import jax.numpy as jnp
import tensorflow_probability.substrates.jax as tfp
from protocol import Ready, serve
from settings import CENTRE, LEVEL, LOG_STD, LOGITS, MEAN, SAMPLES, WEIGHTS

tfd = tfp.distributions


def quadratic(params, key):
    """The Gaussian problem."""
    dist = tfd.Normal(params[0], jnp.exp(params[1]))
    samples = dist.sample(SAMPLES, seed=key)
    return tfp.monte_carlo.expectation(
        lambda x: (x - CENTRE) ** 2, samples, log_prob=dist.log_prob, use_reparameterization=False
    )


def coins(params, key):
    """The problem of six coins."""
    dist = tfd.Independent(tfd.Bernoulli(logits=params, dtype=jnp.float32), 1)
    samples = dist.sample(SAMPLES, seed=key)
    return tfp.monte_carlo.expectation(
        lambda b: (b @ jnp.array(WEIGHTS) - LEVEL) ** 2, samples, log_prob=dist.log_prob, use_reparameterization=False
    )


def prepare(task: str) -> Ready:
    """Compiles, and calls it once."""
    function, start = {"quadratic": (quadratic, (MEAN, LOG_STD)), "coins": (coins, LOGITS)}[task]
    params, keys = jnp.array(start), iter(jax.random.split(jax.random.key(0), 10_000))
    compiled = jax.jit(jax.value_and_grad(function))
    _, gradient = compiled(params, next(keys))
    return Ready(lambda: jax.block_until_ready(compiled(params, next(keys))), gradient.tolist())


if __name__ == "__main__":
    serve({"tfp": prepare}, ["tfp-nightly", "jax"])
