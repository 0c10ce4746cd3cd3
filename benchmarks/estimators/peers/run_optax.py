"""optax 0.2.6, the last with `monte_carlo`: `score_function_jacobians`, one Jacobian for each sample.

The gradient is their mean; it gives no value. Their spread would give errors, which a user would have to write.
"""

import warnings

import jax
import jax.numpy as jnp
import optax
from protocol import Ready, serve
from settings import CENTRE, LEVEL, LOG_STD, LOGITS, MEAN, SAMPLES, WEIGHTS

warnings.simplefilter("ignore")  # it says at each call that it is deprecated


class Coins:
    """A distribution as optax wants one: its own module has the Gaussian only."""

    def __init__(self, logits):
        self.logits = logits

    def sample(self, shape, key):
        """Coins, of a leading shape."""
        return jax.random.bernoulli(key, jax.nn.sigmoid(self.logits), (*shape, len(LOGITS))).astype(jnp.float32)

    def log_prob(self, event):
        """Of all coins together."""
        return jnp.sum(jax.nn.log_sigmoid(jnp.where(event == 1, self.logits, -self.logits)))


def problem(task: str):
    """Function, parameters and the builder of the distribution."""
    if task == "coins":
        return lambda b: (b @ jnp.array(WEIGHTS) - LEVEL) ** 2, [jnp.array(LOGITS)], Coins
    return lambda x: (x[0] - CENTRE) ** 2, [jnp.array([MEAN]), jnp.array([LOG_STD])], optax.multi_normal


def prepare(task: str) -> Ready:
    """Compiles, and calls it once."""
    function, params, build = problem(task)

    @jax.jit
    def gradient(params, key):
        jacobians = optax.monte_carlo.score_function_jacobians(function, params, build, key, SAMPLES)
        return jnp.concatenate([jnp.mean(jacobian, axis=0) for jacobian in jacobians])

    keys = iter(jax.random.split(jax.random.key(0), 10_000))
    return Ready(lambda: jax.block_until_ready(gradient(params, next(keys))), gradient(params, next(keys)).tolist())


if __name__ == "__main__":
    serve({"optax": prepare}, ["optax", "jax"])
