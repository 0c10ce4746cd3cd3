"""The range that a distribution's parameters must keep to, and the events that it can give.

Outside of its range a sampler of NumPyro's draws what means nothing (-1 of a Poisson whose rate is negative), and says
nothing of it.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PyTree

from ...derivatives import unknown
from ...errors import InputError, shown
from ..base import AbstractDistribution
from ..bernoulli import Bernoulli
from ..categorical import Categorical
from ..joint import Joint
from ..normal import Normal
from .adapter import FromNumpyro, of_entries, parts_of, shape_of

Limit = tuple[str, str, Any, Any]  # of which distribution, of which parameter, its value, NumPyro's constraint


def limits_of(dist: AbstractDistribution) -> Iterator[Limit]:
    """NumPyro's `arg_constraints`, of single numbers and of triangles; others cost more than a draw."""
    if isinstance(dist, Joint):
        for part in dist.parts:
            yield from limits_of(part)
    if not isinstance(dist, FromNumpyro):
        return
    from numpyro.distributions import constraints as c

    for part in parts_of(dist.distribution):
        for name, constraint in part.arg_constraints.items():
            value, constraint = vars(part).get(name), of_entries(constraint)
            kinds = c.greater_than, c.less_than, type(c.interval(0, 1)), type(c.lower_cholesky)
            if isinstance(constraint, kinds) and value is not None:
                yield type(part).__name__, name, value, constraint


def within_limits(dist: AbstractDistribution) -> Float[Array, ""]:
    """0; NaN where a parameter is outside of its range, so that no result passes for one; its derivative is too."""
    total = jnp.zeros((), jnp.float32)  # of few bits, so that it widens no number that it is added to
    for _, _, value, constraint in limits_of(dist):
        is_broken = ~jnp.all(jnp.asarray(constraint(value)))
        total += jnp.where(is_broken, jnp.nan, 0.0).astype(jnp.float32)
        if eqx.is_inexact_array(value):
            total += unknown(value, jnp.broadcast_to(is_broken, value.shape))
    return total


def broken_limit(make: Callable[[], AbstractDistribution]) -> str | None:
    """What to say of a parameter that is outside of its range, where there is one and the numbers are known."""
    with unvalidated():
        return _broken_limit(make())


def unvalidated() -> contextlib.AbstractContextManager:
    """NumPyro's own validation off: it would speak first, and not in a sentence of ours."""
    numpyro = sys.modules.get("numpyro.distributions")
    return numpyro.distribution.validation_enabled(False) if numpyro is not None else contextlib.nullcontext()


def _broken_limit(dist: AbstractDistribution) -> str | None:
    for kind, name, value in _numbers_of(dist):
        if np.any(np.isnan(value)):
            return f"{name} of {kind} is not a number (NaN): look at what the parameters make of it"
        if name == "probs" and np.any(value < 0):
            return f"probs of {kind} has {value.min():.4g}, but it must be 0 or more: give logits in place of it"
    for kind, name, value, constraint in limits_of(dist):
        if isinstance(value, Tracer) or bool(np.all(np.asarray(constraint(value)))):
            continue
        low, high = (getattr(constraint, end, None) for end in ("lower_bound", "upper_bound"))
        if low is None and high is None:
            return (
                f"{name} of {kind}, given or made of its matrix, is not lower triangular with a positive diagonal: "
                "make it of a free matrix, as jnp.tril(p, -1) + jnp.diag(jnp.exp(jnp.diag(p)))"
            )
        array = np.asarray(value)
        worst = array[~np.broadcast_to(np.asarray(constraint(value)), array.shape)].reshape(-1)[0]
        where = f"above {low}" if high is None else f"below {high}" if low is None else f"between {low} and {high}"
        cure = "jax.nn.sigmoid(p)" if high is not None else "jnp.exp(p)"
        return f"{name} of {kind} is {worst:.4g}, but it must be {where}: make it of a free parameter, as {cure}"
    return None


def _numbers_of(dist: AbstractDistribution) -> Iterator[tuple[str, str, np.ndarray]]:
    """The parameters of a distribution and of those it is made of, by name, where they are known."""
    if isinstance(dist, Joint):
        for part in dist.parts:
            yield from _numbers_of(part)
        return
    parts = parts_of(dist.distribution) if isinstance(dist, FromNumpyro) else [dist]
    for part in parts:
        for name, value in vars(part).items():
            if (isinstance(value, float) or eqx.is_inexact_array(value)) and not isinstance(value, Tracer):
                yield type(part).__name__, name, np.asarray(value)


@singledispatch
def as_event(dist: AbstractDistribution, event: PyTree) -> PyTree[Array]:
    """An event as arrays: one, but for a distribution that is not known to have arrays for events.

    Raises `InputError` for what is no event of the distribution, where its numbers are known.
    """
    return jax.tree.map(jnp.asarray, event)


@as_event.register
def _(dist: Normal, event: Any) -> Array:
    return _array(dist, event, dist.mean.shape)


@as_event.register
def _(dist: Bernoulli, event: Any) -> Array:
    event = _array(dist, event, dist.logits.shape)
    _refuse(dist, event, jnp.logical_or(event == 0, event == 1))
    return event


@as_event.register
def _(dist: Categorical, event: Any) -> Array:
    event, size = _array(dist, event, ()), dist.logits.shape[-1]
    _refuse(dist, event, (event >= 0) & (event < size) & (event == jnp.floor(event)), f": give one of 0 to {size - 1}")
    return event


@as_event.register
def _(dist: Joint, event: Any) -> Array:
    event = _array(dist, event)
    if event.shape[:1] != (len(dist.parts),):
        raise InputError(
            f"the event has the shape {event.shape}, but one event of a Joint has an entry for each of its "
            f"{len(dist.parts)} parts: give one for each."
        )
    return jnp.stack([as_event(part, entry) for part, entry in zip(dist.parts, event, strict=True)])


@as_event.register
def _(dist: FromNumpyro, event: Any) -> Array:
    event, support = _array(dist.distribution, event, shape_of(dist.distribution)), dist.distribution.support
    if support is not None:  # Lévy's has none, and a user's own need not
        with jax.numpy_rank_promotion("allow"):
            _refuse(dist.distribution, event, support(event))
    return event


def _array(dist: Any, event: Any, shape: tuple[int, ...] | None = None) -> Array:
    try:
        array = jnp.asarray(event)
    except (TypeError, ValueError):
        raise InputError(
            f"{shown(event)} is no event of {type(dist).__name__}, for it is no array: give its numbers."
        ) from None
    if shape is not None and array.shape != shape:
        raise InputError(
            f"the event has the shape {array.shape}, but one event of {type(dist).__name__} has {shape}: give one "
            "event, and use jax.vmap for several."
        )
    return array


def _refuse(dist: Any, event: Any, possible: Any, cure: str = ": give one that it can draw") -> None:
    if isinstance(event, Tracer) or isinstance(possible, Tracer):
        return
    if not np.all(np.asarray(possible)):
        raise InputError(
            f"{shown(event)} is no event of {type(dist).__name__}, whose log-probability means nothing there{cure}."
        )
