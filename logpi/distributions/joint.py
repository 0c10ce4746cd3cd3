"""Several independent distributions as one: with events of one shape, or of any."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from ..errors import InputError, shown
from .base import AbstractDistribution
from .categorical import Categorical
from .forbidden import masked, num_values
from .guards import not_reparametrised, parameters_of
from .probabilities import log_prob_of_draw, probability
from .quantiles import quantiles_of
from .support import as_array, as_event, branches, choices, table
from .threefry import split
from .traits import Branches, families_of, nearest_uniform, Probability, Quantiles, Traits, traits


class Joint(AbstractDistribution):
    """Independent parts whose events are of one shape; the event is the stack of theirs along a first axis.

    A multi-discrete action is a `Joint` of `Categorical`s.
    """

    parts: tuple[AbstractDistribution, ...]

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Array:
        drawn = _of_each(lambda part, key: part.sample(key, shape), self.parts, split(key, len(self.parts)))
        return jnp.moveaxis(drawn, 0, len(shape))

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Array, Float[Array, ""]]:
        """The stack of the parts' events, and the sum of their log-probabilities."""
        keys = split(key, len(self.parts))
        event, log_prob = _of_each(lambda part, key: part.sample_and_log_prob(key), self.parts, keys)
        return event, jnp.sum(log_prob)

    def log_prob(self, event: Array) -> Float[Array, ""]:
        return jnp.sum(_of_each(lambda part, event: part.log_prob(event), self.parts, event))

    def entropy(self) -> Float[Array, ""]:
        return jnp.sum(_of_each(lambda part: part.entropy(), self.parts))

    def kl(self, other: Any) -> Float[Array, ""]:
        return jnp.sum(jnp.stack([p.kl(q) for p, q in zip(self.parts, other.parts, strict=True)]))

    def mode(self) -> Array:
        return _of_each(lambda part: part.mode(), self.parts)


class Product(AbstractDistribution):
    """Independent parts of any kinds, by name or in order; the event is a dictionary or a tuple of theirs.

    The distribution of actions of several parts, such as a choice and an amount. Parts may be products again.
    """

    parts: dict[str, AbstractDistribution] | tuple[AbstractDistribution, ...]

    def flat(self) -> tuple[list[AbstractDistribution], PyTree]:
        """The parts in a row, and how they are put together."""
        return jax.tree.flatten(self.parts, is_leaf=lambda part: isinstance(part, AbstractDistribution))

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> PyTree[Array]:
        parts, structure = self.flat()
        keys = split(key, len(parts))
        return structure.unflatten(part.sample(one, shape) for part, one in zip(parts, keys, strict=True))

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[PyTree[Array], Float[Array, ""]]:
        """The parts' events, and the sum of their log-probabilities."""
        parts, structure = self.flat()
        keys = split(key, len(parts))
        drawn = [part.sample_and_log_prob(one) for part, one in zip(parts, keys, strict=True)]
        return structure.unflatten(event for event, _ in drawn), sum((log_prob for _, log_prob in drawn), jnp.zeros(()))

    def log_prob(self, event: PyTree[Array]) -> Float[Array, ""]:
        parts, structure = self.flat()
        events = structure.flatten_up_to(event)
        return sum((part.log_prob(one) for part, one in zip(parts, events, strict=True)), jnp.zeros(()))

    def entropy(self) -> Float[Array, ""]:
        return sum((part.entropy() for part in self.flat()[0]), jnp.zeros(()))

    def kl(self, other: Any) -> Float[Array, ""]:
        return sum((p.kl(q) for p, q in zip(self.flat()[0], other.flat()[0], strict=True)), jnp.zeros(()))

    def mode(self) -> PyTree[Array]:
        parts, structure = self.flat()
        return structure.unflatten(part.mode() for part in parts)


def _of_each(function: Callable[..., PyTree[Array]], parts: tuple[AbstractDistribution, ...], *rows: Array) -> Any:
    """`function(part, *row)` of every part and its row, stacked along a first axis.

    Choices among equally many are one array, so that a program does not grow with their number.
    """
    kinds: dict[Any, list[int]] = {}
    for i, part in enumerate(parts):
        logits = part.logits if type(part) is Categorical else None
        kinds.setdefault(i if logits is None else (logits.shape, logits.dtype), []).append(i)
    found = []
    for places in kinds.values():
        first, *others = (parts[i] for i in places)
        mine = rows if len(kinds) == 1 else tuple(row[np.asarray(places)] for row in rows)
        if others:
            together = jax.tree.map(lambda *leaves: jnp.stack(leaves), first, *others)
            found.append(jax.vmap(function)(together, *mine))
        else:
            found.append(jax.tree.map(lambda x: x[None], function(first, *(row[0] for row in mine))))
    if len(found) == 1:
        return found[0]
    back = np.argsort(np.concatenate(list(kinds.values())))  # to the order of the parts
    return jax.tree.map(lambda *pieces: jnp.concatenate(pieces)[back], *found)


@traits.register
def _(dist: Joint) -> Traits:
    """What the parts know, together; where one of them does not, the sentence is about that one."""
    parts = dist.parts
    first = traits(parts[0]).shape if parts else None
    return dataclasses.replace(
        _together("Joint", parts),
        shape=None if first is None else (len(parts), *first),
        values=lambda: [row for part in parts for row in choices(part)[0]],
        as_event=lambda event: _as_event(dist, event),
        pmf=lambda event: _probability(parts, tuple(event)),
        masked=lambda allowed: Joint(_masked(parts, allowed)),
        nearest_uniform=lambda: Joint(tuple(map(nearest_uniform, parts))),
        log_prob_of_draw=lambda event: _log_prob_of_draw(parts, tuple(event)),
        quantiles=lambda: _quantiles(dist),
    )


@traits.register
def _(dist: Product) -> Traits:
    parts, structure = dist.flat()

    def events(event: Any) -> list[Any]:
        return structure.flatten_up_to(event)

    return dataclasses.replace(
        _together("Product", tuple(parts)),
        as_event=lambda event: structure.unflatten(map(as_event, parts, _events(structure, event))),
        pmf=lambda event: _probability(parts, events(event)),
        masked=lambda allowed: Product(structure.unflatten(_masked(parts, allowed))),
        nearest_uniform=lambda: Product(structure.unflatten(map(nearest_uniform, parts))),
        branches=lambda key: _branches(parts, structure, key),
        log_prob_of_draw=lambda event: _log_prob_of_draw(parts, events(event)),
    )


def _together(name: str, parts: tuple[AbstractDistribution, ...]) -> Traits:
    """What is known of independent parts, however their events are put together."""
    return Traits(
        name,
        holds=lambda: jnp.all(jnp.stack([jnp.asarray(traits(part).holds()) for part in parts])),
        is_proven=lambda: all(traits(part).is_proven() for part in parts),
        parts=lambda: parts,
        support_bounds=lambda: [bound for part in parts for bound in traits(part).support_bounds()],
        families=lambda: [family for part in parts for family in families_of(part)],
        not_reparametrised=lambda: [array for part in parts for array in not_reparametrised(part)],
        parameters=lambda: (parameter for part in parts for parameter in parameters_of(part)),
        constraints=lambda: (constraint for part in parts for constraint in traits(part).constraints()),
        boundary=lambda: (probs for part in parts for probs in traits(part).boundary()),
    )


def _events(structure: PyTree, event: Any) -> list[Any]:
    """The event of each part. Raises `InputError` where the parts are others."""
    try:
        return structure.flatten_up_to(event)
    except ValueError:
        names = structure.unflatten(range(structure.num_leaves))
        raise InputError(
            f"the event is {shown(event)}, but one event of a Product has the parts of {names}: give these."
        ) from None


def _masked(parts: Sequence[AbstractDistribution], allowed: Bool[Array, " flags"]) -> tuple[AbstractDistribution, ...]:
    """The parts, each masked by its share of the flags."""
    shares = jnp.split(allowed, np.cumsum([num_values(part) for part in parts])[:-1].tolist())
    return tuple(map(masked, parts, shares))


def _as_event(dist: Joint, event: Any) -> Array:
    event = as_array("Joint", event)
    if event.shape[:1] != (len(dist.parts),):
        raise InputError(
            f"the event has the shape {event.shape}, but one event of a Joint has an entry for each of its "
            f"{len(dist.parts)} parts: give one for each."
        )
    return jnp.stack([as_event(part, entry) for part, entry in zip(dist.parts, event, strict=True)])


def _branches(parts: list[AbstractDistribution], structure: PyTree, key: PRNGKeyArray) -> Branches:
    """Every combination of the parts' branches."""
    found = [branches(part, one) for part, one in zip(parts, split(key, len(parts)), strict=True)]
    combined = table([np.arange(branch.weights.size) for branch in found]).T
    rows = [jax.tree.map(lambda x, at=at: x[at], branch) for branch, at in zip(found, combined, strict=True)]
    log_probs = sum((row.log_probs for row in rows), jnp.zeros(()))
    weights = jnp.prod(jnp.stack([row.weights for row in rows]), axis=0)
    return Branches(structure.unflatten(row.events for row in rows), log_probs, weights)


def _probability(parts: Sequence[AbstractDistribution], events: Sequence[Any]) -> Probability:
    found = list(map(probability, parts, events))
    return Probability(jnp.prod(jnp.stack([p for p, _ in found])), jnp.all(jnp.stack([counts for _, counts in found])))


def _log_prob_of_draw(parts: Sequence[AbstractDistribution], events: Sequence[Any]) -> Float[Array, ""]:
    return sum(map(log_prob_of_draw, parts, events), jnp.zeros(()))


def _quantiles(dist: Joint) -> Quantiles:
    parts = [quantiles_of(part) for part in dist.parts]
    starts = [sum(part.num_uniforms for part in parts[:i]) for i in range(len(parts))]

    def event(uniform):
        pieces = zip(parts, starts, strict=True)
        return jnp.stack([part.event(uniform[start : start + part.num_uniforms]) for part, start in pieces])

    return Quantiles(sum(part.num_uniforms for part in parts), event)
