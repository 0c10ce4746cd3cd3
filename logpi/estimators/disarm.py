"""DisARM: two opposite draws of coins."""

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..derivatives import first_order
from ..distributions import AbstractDistribution
from ..distributions.threefry import fast_key, split
from ..distributions.traits import traits
from ..errors import InputError
from .base import AbstractEstimator, check_multiple
from .problem import Problem


class DisARM(AbstractEstimator):
    r"""$\tfrac12 (f(b) - f(\tilde b)) (-1)^{\tilde b_i} 1\{b_i \ne \tilde b_i\} \sigma(|\phi_i|)$.

    b and its twin come from opposite uniform numbers.

    Dong et al. 2020 (arXiv:2006.10680), eq. 7; Yin et al. 2020 (arXiv:2002.11291). For independent Bernoulli logits,
    two evaluations of f a pair. `samples` counts evaluations.
    """

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean over pairs. Raises `InputError` for an odd number of samples, or other distributions."""
        check_multiple("DisARM", samples, 2, "pairs")
        live = bernoulli_logits(problem.distribution(params), "DisARM()") + problem.still_boundary(params)
        logits = stop_gradient(live)
        first, second = jax.vmap(lambda key: opposite_coins(logits, key))(split(key, samples // 2))
        costs = problem.costs(params, jnp.concatenate([first, second])).reshape(2, -1)
        halves = stop_gradient(costs[0] - costs[1]) / 2

        def push(first, second, half):
            return jnp.where(first != second, (1 - 2 * second) * jax.nn.sigmoid(jnp.abs(logits)) * half, 0.0)

        gradient = jnp.mean(jax.vmap(push)(first, second, halves), axis=0)
        return jnp.mean(costs) + first_order(jnp.sum(gradient * (live - logits)), params, "DisARM()")


def opposite_coins(logits: Float[Array, "*shape"], key: PRNGKeyArray) -> tuple[Array, Array]:
    """Coins from uniform numbers, and coins from their opposites."""
    uniform = jax.random.uniform(fast_key(key), logits.shape)
    tails = jax.nn.sigmoid(-logits)
    return (uniform > tails).astype(jnp.int32), (1 - uniform > tails).astype(jnp.int32)


def bernoulli_logits(dist: AbstractDistribution, estimator: str) -> Float[Array, "*shape"]:
    """The logits of independent coins. Raises `InputError` for any other distribution."""
    known = traits(dist)
    logits = known.bernoulli_logits()
    if logits is None:
        raise InputError(f"{estimator} is for independent Bernoulli coins, not for {known.name}: use Score() for it.")
    return logits
