r"""Log-probabilities of events as they are drawn: rounding collects some of them on the rim of a support.

Of an exponential, one draw in $2^{23}$ is exactly 0, where NumPyro's log-density is -inf. Of a Gamma with a
concentration of 0.01, four draws of ten are; draws of a Beta are clipped to numbers below 1. The number on the rim
stands for all that lies between it and the end, and its score is that of their probability, not that of a density at
one point.
"""

import math
from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..base import AbstractDistribution
from ..joint import Joint
from .adapter import entries_of, FromNumpyro, meant, of_entries, own_name, shape_of

MOST = 1e-2  # of the probability may lie on the rim: where it begins, each sampler rounds in its own way


@singledispatch
def log_prob_of(dist: AbstractDistribution, event: PyTree[Array]) -> Float[Array, ""]:
    """The log-probability of an event that was drawn, up to a constant where that was rounded to the rim.

    NaN there, if so much of the probability is collected on the rim that its score cannot be known.
    """
    return dist.log_prob(event)


@log_prob_of.register
def _(dist: Joint, event: Array) -> Float[Array, ""]:
    return sum((log_prob_of(part, event[i]) for i, part in enumerate(dist.parts)), jnp.zeros(()))


@log_prob_of.register
def _(dist: FromNumpyro, event: Array) -> Float[Array, ""]:
    from numpyro.distributions import constraints as c

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
            gap = jnp.maximum(precision.eps * jnp.abs(end), precision.tiny)
            rim = end + inwards * gap
            is_on = event <= rim if inwards > 0 else event >= rim
            event = jnp.where(is_on, rim, event)
            collected += jnp.sum(jnp.where(is_on, _collected(dist.distribution, end, inwards * gap), 0.0))
    if own_name(entries_of(dist.distribution)) == "Dirichlet":  # an entry is c x^(a - 1) near 0, and clipped there
        tiny, power = jnp.asarray(precision.tiny), entries_of(dist.distribution).concentration
        with jax.numpy_rank_promotion("allow"):
            unknown = (event <= tiny) & (jax.lax.stop_gradient(power) * -jnp.log(tiny) < -math.log(MOST))
        collected += jnp.where(jnp.any(unknown), jnp.nan, 0.0)
    return dist.log_prob(event) + collected


def _where_known(entries: Any, points: list[Array]) -> list[Array]:
    """The points, or one inside of the support in place of those where the log-density is not finite.

    Of a transformed distribution NumPyro knows the support of the last transform only, (0, inf) for the exponential of
    a number between 0 and 1. Its density at such an end has no derivative, and one of NaN would not go away.
    """
    still = jax.lax.stop_gradient(entries)
    inside = jnp.broadcast_to(still.sample(jax.random.key(0)), points[0].shape)
    known = jnp.all(jnp.isfinite(jnp.stack([still.log_prob(point) for point in points])), axis=0)
    return [jnp.where(known, point, inside) for point in points]


def _collected(distribution: Any, end: Array, step: Array) -> Array:
    r"""What to add to the log-density at `end + step` for the log of the probability between, for each entry.

    A density $c \, d^{a - 1}$ at a distance d has $c \, d^a / a$ below it: a is read off at d and 2 d.
    """
    entries, shape = meant(entries_of(distribution)), shape_of(distribution)
    if entries.event_shape:
        return jnp.zeros(())
    points = [jnp.broadcast_to(end + k * step, shape) for k in (1, 2)]
    if hasattr(entries, "transforms"):  # NumPyro's transformed distributions
        points = _where_known(entries, points)
    near, far = (entries.log_prob(point) for point in points)
    power = 1 + (far - near) / math.log(2)
    is_power = power > 0  # a density that falls towards the end by another law has next to nothing there
    power = jnp.where(is_power, power, 1.0)
    share = jnp.where(is_power, jnp.exp(near) * jnp.abs(step) / power, 0.0)
    return jnp.where(jax.lax.stop_gradient(share) > MOST, jnp.nan, -jnp.log(power))
