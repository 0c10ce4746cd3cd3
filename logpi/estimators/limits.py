"""The range that a distribution's parameters must keep to, and the events that it can give.

Outside of its range a sampler of NumPyro's draws what means nothing (-1 of a Poisson whose rate is negative), and says
nothing of it.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PyTree

from ..distributions import AbstractDistribution, Bernoulli, Categorical, FromNumpyro, Joint, Normal
from ..distributions.numpyro import parts_of, shape_of
from ..errors import InputError, shown

Limit = tuple[str, str, Any, Any]  # of which distribution, of which parameter, its value, NumPyro's constraint


def limits_of(dist: AbstractDistribution) -> Iterator[Limit]:
    """The limits of single numbers: NumPyro's `arg_constraints`, without those of whole matrices, which cost more."""
    if isinstance(dist, Joint):
        for part in dist.parts:
            yield from limits_of(part)
    if not isinstance(dist, FromNumpyro):
        return
    from numpyro.distributions import constraints as c

    for part in parts_of(dist.distribution):
        for name, constraint in part.arg_constraints.items():
            value = vars(part).get(name)
            ranged = isinstance(constraint, (c.greater_than, c.less_than, type(c.interval(0, 1))))
            if ranged and value is not None:
                yield type(part).__name__, name, value, constraint


def within_limits(dist: AbstractDistribution) -> Float[Array, ""]:
    """0; NaN where a parameter is outside of its range, so that no result of it passes for one."""
    broken = [~jnp.all(jnp.asarray(constraint(value))) for _, _, value, constraint in limits_of(dist)]
    nothing = jnp.zeros((), jnp.float32)  # of few bits, so that it widens no number that it is added to
    return jnp.where(jnp.any(jnp.stack(broken)), jnp.nan, nothing) if broken else nothing


def broken_limit(make: Callable[[], AbstractDistribution]) -> str | None:
    """What to say of a parameter that is outside of its range, where there is one and the numbers are known."""
    with _unvalidated():
        return _broken_limit(make())


def _unvalidated() -> contextlib.AbstractContextManager:
    """NumPyro's own validation off: it would speak first, and not in a sentence of ours."""
    numpyro = sys.modules.get("numpyro.distributions")
    return numpyro.distribution.validation_enabled(False) if numpyro is not None else contextlib.nullcontext()


def _broken_limit(dist: AbstractDistribution) -> str | None:
    for kind, name, value, constraint in limits_of(dist):
        if isinstance(value, Tracer) or bool(np.all(np.asarray(constraint(value)))):
            continue
        array = np.asarray(value)
        worst = array[~np.broadcast_to(np.asarray(constraint(value)), array.shape)].reshape(-1)[0]
        low, high = (getattr(constraint, end, None) for end in ("lower_bound", "upper_bound"))
        where = f"above {low}" if high is None else f"below {high}" if low is None else f"between {low} and {high}"
        cure = "jax.nn.sigmoid(p)" if high is not None else "jnp.exp(p)"
        return f"{name} of {kind} is {worst:.4g}, but it must be {where}: make it of a free parameter, as {cure}"
    return None


@singledispatch
def check_event(dist: AbstractDistribution, event: PyTree[Array]) -> None:
    """Raises `InputError` for an event that is not one of the distribution's, where its numbers are known."""


@check_event.register
def _(dist: Normal, event: Any) -> None:
    _check_shape(dist, event, dist.mean.shape)


@check_event.register
def _(dist: Bernoulli, event: Any) -> None:
    _check_shape(dist, event, dist.logits.shape)
    _refuse(dist, event, jnp.logical_or(event == 0, event == 1))


@check_event.register
def _(dist: Categorical, event: Any) -> None:
    _check_shape(dist, event, ())
    size = dist.logits.shape[-1]
    _refuse(dist, event, (event >= 0) & (event < size) & (event == jnp.floor(event)), f": give one of 0 to {size - 1}")


@check_event.register
def _(dist: Joint, event: Any) -> None:
    if jnp.ndim(event) and len(event) == len(dist.parts):
        for part, entry in zip(dist.parts, event, strict=True):
            check_event(part, entry)


@check_event.register
def _(dist: FromNumpyro, event: Any) -> None:
    _check_shape(dist.distribution, event, shape_of(dist.distribution))
    with jax.numpy_rank_promotion("allow"):
        _refuse(dist.distribution, event, dist.distribution.support(event))


def _check_shape(dist: Any, event: Any, shape: tuple[int, ...]) -> None:
    if jnp.shape(event) != shape:
        raise InputError(
            f"the event has the shape {jnp.shape(event)}, but one event of {type(dist).__name__} has {shape}: give one "
            "event, and use jax.vmap for several."
        )


def _refuse(dist: Any, event: Any, possible: Any, cure: str = ": give one that it can draw") -> None:
    if isinstance(event, Tracer) or isinstance(possible, Tracer):
        return
    if not np.all(np.asarray(possible)):
        raise InputError(
            f"{shown(event)} is no event of {type(dist).__name__}, whose log-probability means nothing there{cure}."
        )
