"""Probabilities to be summed: with the right derivative at the edge too, where an event has no probability."""

from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ..base import AbstractDistribution
from ..bernoulli import Bernoulli
from ..categorical import Categorical
from ..joint import Joint
from .adapter import entries_of, FromNumpyro, own_name, shares_of

ORDERS = 8  # derivatives at the edge are right up to this one


@singledispatch
def probability(dist: AbstractDistribution, event: PyTree[Array]) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """The probability of an event, and whether it or its derivative may count: if not, its cost must not either.

    Without a formula that is known, the derivative is NaN where the probability is 0: from its logarithm it cannot be
    told, and 0 would be wrong for `Bernoulli(probs=0)`.
    """
    return _exp(dist.log_prob(event)), jnp.ones((), bool)


@probability.register(Categorical)
@probability.register(Bernoulli)
def _(dist: AbstractDistribution, event: Array) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    return _of_logits(dist, event)


@probability.register
def _(dist: Joint, event: Array) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    parts = [probability(part, event[i]) for i, part in enumerate(dist.parts)]
    return jnp.prod(jnp.stack([p for p, _ in parts])), jnp.all(jnp.stack([counts for _, counts in parts]))


@probability.register
def _(dist: FromNumpyro, event: Array) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    entries = entries_of(dist.distribution)
    name = own_name(entries)
    if name in ("BernoulliLogits", "BinomialLogits", "CategoricalLogits", "DiscreteUniform"):
        return _of_logits(dist, event)
    formula = {"BernoulliProbs": _bernoulli, "BinomialProbs": _binomial, "CategoricalProbs": _categorical}.get(name)
    if formula is None:
        return probability.dispatch(object)(dist, event)
    with jax.numpy_rank_promotion("allow"):
        return jnp.prod(formula(entries, event)), jnp.ones((), bool)


def _of_logits(dist: AbstractDistribution, event: Array) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """Of logits, the derivative is 0 where the probability is."""
    log_prob = dist.log_prob(event)
    possible = log_prob > -jnp.inf
    return jnp.where(possible, jnp.exp(log_prob), 0.0), possible


def _bernoulli(entries: Any, event: Array) -> Array:
    return jnp.where(event == 1, entries.probs, 1 - jnp.asarray(entries.probs))


def _categorical(entries: Any, event: Array) -> Array:
    shares = shares_of(jnp.asarray(entries.probs))
    shares = jnp.broadcast_to(shares, (*event.shape, shares.shape[-1]))
    return jnp.take_along_axis(shares, event[..., None], axis=-1)[..., 0]


def _binomial(entries: Any, event: Array) -> Array:
    r"""$\binom{n}{k} p^k (1 - p)^{n - k}$: inside from its logarithm, which does not overflow."""
    probs, event = jnp.asarray(entries.probs), event.astype(jnp.result_type(float))
    precision = jnp.finfo(probs.dtype)
    is_edge = (probs < precision.tiny) | (probs > 1 - precision.eps)
    inside = jnp.exp(type(entries)(jnp.where(is_edge, 0.5, probs), entries.total_count).log_prob(event))
    # Of what has next to no probability, a few are enough: the others have no derivative there of these orders.
    is_low = probs < 0.5
    rare = jnp.where(is_low, event, entries.total_count - event)
    low = jnp.where(is_edge, jnp.where(is_low, probs, 1 - probs), 0.0)
    ways, at_edge = jnp.asarray(1.0), jnp.asarray(0.0)
    for k in range(ORDERS + 1):
        at_edge = at_edge + jnp.where(rare == k, ways * low**k, 0.0)
        ways = ways * (entries.total_count - k) / (k + 1)
    return jnp.where(is_edge, at_edge * (1 - low) ** (entries.total_count - rare), inside)


@jax.custom_jvp
def _exp(log_prob: Array) -> Array:
    return jnp.exp(log_prob)


@_exp.defjvp
def _(primals, tangents):
    p = _exp(primals[0])
    return p, jnp.where(primals[0] > -jnp.inf, p, jnp.nan) * tangents[0]
