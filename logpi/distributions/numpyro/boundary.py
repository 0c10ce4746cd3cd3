"""Where NumPyro's log-probability has no right derivative: the boundary of a support, and probabilities of 0 or 1.

Rounding collects some draws at an end of the support. Of an exponential, one draw in $2^{23}$ is exactly 0, where
NumPyro's log-density is -inf. Of a Gamma with a concentration of 0.01, four draws of ten are; draws of a Beta are
clipped to numbers below 1. The number at the end stands for all that lies between it and the end, and its score is that
of their probability, not that of a density at one point.

A probability of exactly 0 or 1 is cut off there by NumPyro, and its derivative is 0 where it should not be.
"""

import math
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..probabilities import by_logits
from ..traits import Boundary, Probability
from .adapter import corrected, entries_of, FromNumpyro, of_entries, own_name, parts_of, shape_of, shares_of

# Families of which draws are rounded to an end, where their density is none; transformed ones are looked at too. None
# has an atom there: what a mixture of a point and a density draws at the end means the point.
ROUNDED = frozenset({
    "Exponential", "Gamma", "Chi2", "Beta", "BetaProportion", "Dirichlet", "Kumaraswamy", "Weibull", "Pareto",
})  # fmt: skip
SCALED = {"Weibull": 2.0**24}  # what is divided by a scale must not come to 0, where the derivative of a power is none
MOST = 1e-2  # of the probability may lie at an end: where it begins, each sampler rounds in its own way
ORDERS = 8  # derivatives where a probability is 0 or 1 are right up to this one

# NumPyro's log-probability is cut off beside these numbers; all others of its families are NaN or right there.
CUT_OFF = {"BernoulliProbs": (0, 1), "BinomialProbs": (0, 1), "CategoricalProbs": (0,), "MultinomialProbs": (0,)}


def boundary_within(distribution: Any) -> Iterator[Boundary]:
    """The probabilities of a NumPyro distribution that may be where its log-probability is cut off."""
    for part in parts_of(distribution):
        ends = CUT_OFF.get(own_name(part), ())
        if ends and eqx.is_inexact_array(part.probs):  # a number of Python's is a constant
            probs: Array = part.probs
            yield Boundary(type(part).__name__, probs, jnp.any(jnp.stack([probs == end for end in ends]), axis=0))


def pmf_of(dist: FromNumpyro, event: Array) -> Probability | None:
    """The probability of an event, by a formula that has the right derivative where it is 0; `None` without one."""
    entries = entries_of(dist.distribution)
    name = own_name(entries)
    if name in ("BernoulliLogits", "BinomialLogits", "CategoricalLogits", "DiscreteUniform"):
        return by_logits(dist, event)
    formula = {"BernoulliProbs": _bernoulli, "BinomialProbs": _binomial, "CategoricalProbs": _categorical}.get(name)
    if formula is None:
        return None
    with jax.numpy_rank_promotion("allow"):
        return Probability(jnp.prod(formula(entries, event)), jnp.ones((), bool))


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
    is_at = (probs < precision.tiny) | (probs > 1 - precision.eps)
    inside = jnp.exp(type(entries)(jnp.where(is_at, 0.5, probs), entries.total_count).log_prob(event))
    # Of what has next to no probability, a few are enough: the others have no derivative there of these orders.
    is_low = probs < 0.5
    rare = jnp.where(is_low, event, entries.total_count - event)
    low = jnp.where(is_at, jnp.where(is_low, probs, 1 - probs), 0.0)
    ways, there = jnp.asarray(1.0), jnp.asarray(0.0)
    for k in range(ORDERS + 1):
        there = there + jnp.where(rare == k, ways * low**k, 0.0)
        ways = ways * (entries.total_count - k) / (k + 1)
    return jnp.where(is_at, there * (1 - low) ** (entries.total_count - rare), inside)


def drawn_log_prob(dist: FromNumpyro, event: Array) -> Float[Array, ""]:
    """The log-probability of a draw, up to a constant where that was rounded to an end of the support.

    NaN there, if so much of the probability is collected at the end that its score cannot be known.
    """
    from numpyro.distributions import constraints as c

    entries = entries_of(dist.distribution)
    if own_name(entries) not in ROUNDED and not hasattr(entries, "transforms"):  # NumPyro's transformed distributions
        return dist.log_prob(event)
    support = of_entries(dist.distribution.support)
    whole: Any = support  # has the bounds that its kind says
    is_interval, ends = isinstance(support, type(c.interval(0, 1))), []
    if is_interval or (isinstance(support, c.greater_than) and not isinstance(support, c.greater_than_eq)):
        ends.append((whole.lower_bound, 1))
    if is_interval or (isinstance(support, c.less_than) and not isinstance(support, c.less_than_eq)):
        ends.append((whole.upper_bound, -1))
    collected, precision = jnp.zeros(()), jnp.finfo(jnp.result_type(event, jnp.float32))
    with jax.numpy_rank_promotion("allow"):  # NumPyro's bounds broadcast
        for end, inwards in ends:
            end = jax.lax.stop_gradient(jnp.asarray(end))
            gap = jnp.maximum(precision.eps * jnp.abs(end), precision.tiny * SCALED.get(own_name(entries), 1.0))
            nearest = end + inwards * gap
            is_on = event <= nearest if inwards > 0 else event >= nearest
            event = jnp.where(is_on, nearest, event)
            # Of a draw that lies inside, its own density is asked for, and not one at an end that may have none.
            next_one = jnp.where(is_on, end + 2 * inwards * gap, event)
            collected += jnp.sum(jnp.where(is_on, _collected(dist.distribution, event, next_one, gap), 0.0))
    if own_name(entries) == "Dirichlet":  # an entry is c x^(a - 1) near 0, and clipped there
        tiny, power = jnp.asarray(precision.tiny), entries.concentration
        with jax.numpy_rank_promotion("allow"):
            unknown = (event <= tiny) & (jax.lax.stop_gradient(power) * -jnp.log(tiny) < -math.log(MOST))
        collected += jnp.where(jnp.any(unknown), jnp.nan, 0.0)
    return dist.log_prob(event) + collected


def _collected(distribution: Any, near: Array, far: Array, gap: Array) -> Array:
    r"""What to add to the log-density at the distance `gap` from an end for the log of the probability up to there.

    For each entry, of numbers at this distance and at twice of it. A density $c \, d^{a - 1}$ at a distance d has
    $c \, d^a / a$ below it: a is read off at both.
    """
    entries, shape = corrected(entries_of(distribution)), shape_of(distribution)
    if entries.event_shape:
        return jnp.zeros(())
    near, far = (entries.log_prob(jnp.broadcast_to(point, shape)) for point in (near, far))
    power = 1 + (far - near) / math.log(2)
    is_power = power > 0  # a density that falls towards the end by another law has next to nothing there
    power = jnp.where(is_power, power, 1.0)
    share = jnp.where(is_power, jnp.exp(near) * gap / power, 0.0)
    return jnp.where(jax.lax.stop_gradient(share) > MOST, jnp.nan, -jnp.log(power))
