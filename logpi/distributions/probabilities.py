"""Probabilities to be summed (the probability mass function), and log-probabilities of events that were drawn."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .base import AbstractDistribution
from .traits import Probability, traits


def probability(dist: AbstractDistribution, event: PyTree[Array]) -> Probability:
    """The probability of an event, and whether it or its derivative may count: if not, its cost must not either.

    Without a formula that is known, the derivative is NaN where the probability is 0: from its logarithm it cannot be
    told, and 0 would be wrong for `Bernoulli(probs=0)`.
    """
    known = traits(dist).pmf(event)
    return Probability(_exp(dist.log_prob(event)), jnp.ones((), bool)) if known is None else known


def log_prob_of_draw(dist: AbstractDistribution, event: PyTree[Array]) -> Float[Array, ""]:
    """The log-probability of an event that was drawn, up to a constant where that was rounded to an end of the support.

    NaN there, if so much of the probability is collected at the end that its score cannot be known.
    """
    known = traits(dist).log_prob_of_draw(event)
    return dist.log_prob(event) if known is None else known


def by_logits(dist: AbstractDistribution, event: Array) -> Probability:
    """The probability of an event of a distribution whose parameters are logits: where it is 0, its derivative is."""
    log_prob = dist.log_prob(event)
    is_possible = log_prob != -jnp.inf  # NaN stays one
    return Probability(jnp.where(is_possible, jnp.exp(log_prob), 0.0), is_possible)


@jax.custom_jvp
def _exp(log_prob: Array) -> Array:
    return jnp.exp(log_prob)


@_exp.defjvp
def _(primals, tangents):
    p = _exp(primals[0])
    return p, jnp.where(primals[0] > -jnp.inf, p, jnp.nan) * tangents[0]
