"""Several independent distributions as one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from ..errors import InputError
from .base import AbstractDistribution
from .categorical import Categorical
from .forbidden import masked, num_values
from .guards import not_reparametrised, parameters_of
from .probabilities import log_prob_of_draw, probability
from .quantiles import quantiles_of
from .support import as_array, as_event, choices
from .threefry import split
from .traits import families_of, Probability, Quantiles, Traits, traits


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
    return Traits(
        "Joint",
        holds=lambda: jnp.all(jnp.stack([jnp.asarray(traits(part).holds()) for part in parts])),
        is_proven=lambda: all(traits(part).is_proven() for part in parts),
        shape=None if first is None else (len(parts), *first),
        values=lambda: [row for part in parts for row in choices(part)[0]],
        as_event=lambda event: _as_event(dist, event),
        parts=lambda: parts,
        masked=lambda allowed: Joint(tuple(map(masked, parts, _split(parts, allowed)))),
        support_bounds=lambda: [bound for part in parts for bound in traits(part).support_bounds()],
        pmf=lambda event: _probability(dist, event),
        log_prob_of_draw=lambda event: _log_prob_of_draw(dist, event),
        families=lambda: [family for part in parts for family in families_of(part)],
        quantiles=lambda: _quantiles(dist),
        not_reparametrised=lambda: [array for part in parts for array in not_reparametrised(part)],
        parameters=lambda: (parameter for part in parts for parameter in parameters_of(part)),
        constraints=lambda: (constraint for part in parts for constraint in traits(part).constraints()),
        boundary=lambda: (probs for part in parts for probs in traits(part).boundary()),
    )


def _split(parts: tuple[AbstractDistribution, ...], allowed: Bool[Array, " flags"]) -> list[Bool[Array, " _"]]:
    """The flags of each part."""
    return jnp.split(allowed, np.cumsum([num_values(part) for part in parts])[:-1].tolist())


def _as_event(dist: Joint, event: Any) -> Array:
    event = as_array("Joint", event)
    if event.shape[:1] != (len(dist.parts),):
        raise InputError(
            f"the event has the shape {event.shape}, but one event of a Joint has an entry for each of its "
            f"{len(dist.parts)} parts: give one for each."
        )
    return jnp.stack([as_event(part, entry) for part, entry in zip(dist.parts, event, strict=True)])


def _probability(dist: Joint, event: Array) -> Probability:
    parts = [probability(part, event[i]) for i, part in enumerate(dist.parts)]
    return Probability(jnp.prod(jnp.stack([p for p, _ in parts])), jnp.all(jnp.stack([counts for _, counts in parts])))


def _log_prob_of_draw(dist: Joint, event: Array) -> Float[Array, ""]:
    return sum((log_prob_of_draw(part, event[i]) for i, part in enumerate(dist.parts)), jnp.zeros(()))


def _quantiles(dist: Joint) -> Quantiles:
    parts = [quantiles_of(part) for part in dist.parts]
    starts = [sum(part.num_uniforms for part in parts[:i]) for i in range(len(parts))]

    def event(uniform):
        pieces = zip(parts, starts, strict=True)
        return jnp.stack([part.event(uniform[start : start + part.num_uniforms]) for part, start in pieces])

    return Quantiles(sum(part.num_uniforms for part in parts), event)
