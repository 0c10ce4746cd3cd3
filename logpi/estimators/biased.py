"""Estimators that are *not* unbiased, under names that say so: for comparison, and for those who know what they trade.

What each is off by was measured on six Bernoulli logits with a quadratic f: see `docs/estimators.md`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..errors import check_between
from ..threefry import quick, split
from .base import AbstractEstimator
from .disarm import logits_of
from .problem import Problem
from .relaxed import noisy_logits
from .sites import cost


class BiasedStraightThrough(AbstractEstimator):
    """Coins whose derivative is taken to be that of their probability. Bengio et al. 2013 (arXiv:1308.3432), section 4.

    f must take coins between 0 and 1.
    """

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean cost, with a biased derivative."""
        probs = jax.nn.sigmoid(logits_of(problem.distribution(params), "BiasedStraightThrough()"))

        def coins(key):
            return jax.random.bernoulli(quick(key), stop_gradient(probs)) + (probs - stop_gradient(probs))

        events = jax.vmap(coins)(split(key, samples))
        return jnp.mean(problem.costs(params, events)) + problem.still_edge(params)


class BiasedGumbelSoftmax(AbstractEstimator):
    """f at relaxed coins, between 0 and 1: biased in value and gradient. Jang et al. 2017 (arXiv:1611.01144), eq. 2."""

    temperature: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        check_between("temperature", self.temperature, 1e-6)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean cost of relaxed coins."""
        dist = problem.distribution(params)
        logits_of(dist, "BiasedGumbelSoftmax()")
        keys = split(key, samples)
        z = jax.vmap(lambda key: noisy_logits(dist, key, "BiasedGumbelSoftmax()")[0])(keys)
        return jnp.mean(problem.costs(params, jax.nn.sigmoid(z / self.temperature))) + problem.still_edge(params)


class BiasedStandardisedScore(AbstractEstimator):
    """The score function with (f - mean) / std of the batch, as most policy-gradient code does. The scale is lost."""

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean cost, with a biased derivative."""
        draws = problem.draws(params, key, samples)
        costs = problem.costs(params, draws.events)
        level = stop_gradient(costs)
        advantage = (level - jnp.mean(level)) / (jnp.std(level) + 1e-8)
        pushes = cost(advantage, problem.log_probs(params, draws.events))
        return jnp.mean(costs + pushes - stop_gradient(pushes))
