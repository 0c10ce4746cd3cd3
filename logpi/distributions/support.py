"""The support of a distribution: which events there are, all of them where they are finitely many, and sums over it."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..errors import InputError, shown
from ..parameters import as_real_array
from .base import AbstractDistribution
from .guards import check_reparametrised
from .traits import Branches, traits

MOST_EVENTS = 2**20  # a sum of a million terms still fits into memory


def choices(dist: AbstractDistribution) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """The values that each entry of an event can take, and the event's shape. Raises `InputError` if not finite."""
    known = traits(dist)
    values = known.values()
    if values is None or known.shape is None:
        raise InputError(
            f"{known.name} is not known to have a finite support, so its events cannot be summed over: use Score(), or "
            "MeasureValued() for a family in its table (Poisson, Geometric)."
        )
    return values, known.shape


def table(values: list[np.ndarray]) -> np.ndarray:
    """Every combination of the values of several entries, a row each. Raises `InputError` for more than 2^20 rows."""
    count = math.prod(len(row) for row in values)
    if count > MOST_EVENTS:
        raise InputError(
            f"there are {count:,} combinations of {len(values)} entries, and at most {MOST_EVENTS:,} are summed: use "
            "RaoBlackwell(entries=...) to sum over fewer entries, or Score()."
        )
    return np.stack(np.meshgrid(*values, indexing="ij"), axis=-1).reshape(count, len(values))


def all_events(dist: AbstractDistribution) -> Array:
    """All events of a finite support, along a first axis. Raises `InputError` where they are infinite or too many."""
    values, shape = choices(dist)
    return jnp.asarray(table(values).reshape(-1, *shape))


def branches(dist: AbstractDistribution, key: PRNGKeyArray) -> Branches:
    """All events of a finite support, each weighed by its probability; otherwise one event, that was drawn.

    Of independent parts some may be listed and others drawn. Raises `InputError` for a support that is too large to be
    listed, and where a derivative is taken through a draw that has none.
    """
    known = traits(dist)
    found = known.branches(key)
    if found is not None:
        return found
    if known.values() is not None and known.shape is not None:
        events = all_events(dist)
        log_probs = jax.vmap(dist.log_prob)(events)
        return Branches(events, log_probs, jnp.exp(log_probs))
    event, log_prob = dist.sample_and_log_prob(key)
    log_prob += check_reparametrised(dist)
    return Branches(jax.tree.map(lambda x: x[None], event), log_prob[None], jnp.ones(1))


def expected(
    dist: AbstractDistribution, function: Callable[[PyTree[Array], Float[Array, ""]], PyTree[Array]], key: PRNGKeyArray
) -> PyTree[Array]:
    """`E[function(event, log_prob)]`, differentiable in the parameters: a pytree of arrays, as the function gives.

    Exact over what is finitely many, at one event through which derivatives go otherwise. So whoever asks for it need
    not ask what kind of action there is.
    """
    events, log_probs, weights = branches(dist, key)
    possible = weights > 0
    values = jax.vmap(function)(events, jnp.where(possible, log_probs, 0.0))

    def mean(value):
        of_events = (-1, *(1,) * (value.ndim - 1))
        return jnp.sum(weights.reshape(of_events) * jnp.where(possible.reshape(of_events), value, 0.0), 0)

    return jax.tree.map(mean, values)


def as_event(dist: AbstractDistribution, event: Any) -> PyTree[Array]:
    """An event as arrays: one, but for a distribution that is not known to have arrays for events.

    Raises `InputError` for what is no event of the distribution, where its numbers are known.
    """
    known = traits(dist)
    checked = known.as_event(event)
    if checked is not None:
        return checked
    if known.shape is None:
        return jax.tree.map(jnp.asarray, event)
    array = as_array(known.name, event)
    if array.shape != known.shape:
        raise InputError(
            f"the event has the shape {array.shape}, but one event of {known.name} has {known.shape}: give one "
            "event, and use jax.vmap for several."
        )
    is_possible = known.contains(array)
    if isinstance(array, Tracer) or isinstance(is_possible, Tracer):
        return array
    is_possible = True if is_possible is None else np.asarray(is_possible)
    if not np.all(is_possible & np.isfinite(array)):
        raise InputError(
            f"{shown(array)} is no event of {known.name}, whose log-probability means nothing there: give "
            f"{known.such_as}."
        )
    return array


def as_array(name: str, event: Any) -> Array:
    """An event of the distribution of this name as an array. Raises `InputError` for what is none."""
    array = as_real_array(event)
    if array is None:
        raise InputError(f"{shown(event)} is no event of {name}, for it is no array of real numbers: give its numbers.")
    return array
