"""Estimators that are *not* unbiased, under names that say so: for comparison, and for those who know what they trade.

What each is off by was measured on six Bernoulli logits with a quadratic f: see `docs/estimators.md`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..distributions.threefry import fast_key, split
from ..errors import check_between, check_fields
from .base import AbstractEstimator
from .disarm import bernoulli_logits
from .problem import Problem
from .relaxed import noisy_logits
from .sites import cost


class BiasedStraightThrough(AbstractEstimator):
    """Coins whose derivative is taken to be that of their probability. Bengio et al. 2013 (arXiv:1308.3432), section 4.

    f must take coins between 0 and 1.
    """

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        probs = jax.nn.sigmoid(bernoulli_logits(problem.distribution(params), "BiasedStraightThrough()"))

        def coins(key):
            return jax.random.bernoulli(fast_key(key), stop_gradient(probs)) + (probs - stop_gradient(probs))

        events = jax.vmap(coins)(split(key, samples))
        return jnp.mean(problem.costs(params, events)) + problem.still_boundary(params)


class BiasedGumbelSoftmax(AbstractEstimator):
    """f at relaxed coins, between 0 and 1: biased in value and gradient. Jang et al. 2017 (arXiv:1611.01144), eq. 2."""

    temperature: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        check_fields(self, check_between, "temperature", low=1e-6)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        dist = problem.distribution(params)
        bernoulli_logits(dist, "BiasedGumbelSoftmax()")
        keys = split(key, samples)
        z = jax.vmap(lambda key: noisy_logits(dist, key, "BiasedGumbelSoftmax()")[0])(keys)
        return jnp.mean(problem.costs(params, jax.nn.sigmoid(z / self.temperature))) + problem.still_boundary(params)


class BiasedStandardisedScore(AbstractEstimator):
    """The score function with (f - mean) / std of the batch, as most policy-gradient code does. The scale is lost."""

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        draws = problem.draws(params, key, samples)
        costs = problem.costs(params, draws.events)
        level = stop_gradient(costs)
        advantage = (level - jnp.mean(level)) / (jnp.std(level) + 1e-8)
        pushes = cost(advantage, problem.log_probs(params, draws.events))
        return jnp.mean(costs + pushes - stop_gradient(pushes))
