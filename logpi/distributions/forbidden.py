"""Distributions of which some values are forbidden."""

from typing import Any

import numpy as np
from jaxtyping import Array, Bool

from ..errors import InputError
from .traits import traits


def values_of(dist: Any) -> list[np.ndarray]:
    """The values that each entry of an event can take; of those that have no end of them, nothing."""
    known = traits(dist)
    parts = known.parts()
    return [row for part in parts for row in values_of(part)] if parts else known.values() or []


def num_values(dist: Any) -> int:
    """How many flags a mask has: one for each value that each entry of an event can take."""
    return sum(map(len, values_of(dist)))


def masked(dist: Any, allowed: Bool[Array, " flags"]) -> Any:
    """The distribution given that only allowed values are drawn: renormalised over these.

    `allowed` has a flag for each value that each entry of an event can take, in order. An entry of which every value is
    forbidden is as if none were. Forbidden values have probability exactly 0, and their logits no derivative (Huang and
    Ontanon 2022, arXiv:2006.14171, proposition 1). Raises `InputError` for a kind that is not known to have values that
    can be forbidden, and for another number of flags.
    """
    if not allowed.size:
        return dist
    known = traits(dist)
    if allowed.size != num_values(dist):
        raise InputError(
            f"A mask of {allowed.size} flags is given, but events of {known.name} take {num_values(dist)}: give one "
            "for each value of each entry."
        )
    made = known.masked(allowed)
    if made is None:
        raise InputError(
            f"{known.name} is not known to have values that can be forbidden: give a Categorical, a Bernoulli or a "
            "Joint of them, or tell `masked` in its traits."
        )
    return made
