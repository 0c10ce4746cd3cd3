"""Masks of actions: which choices are allowed now, as a part of the observation.

PettingZoo, Jumanji and RLlib have them there under the same name; so a trajectory, a replay, a memory and a checkpoint
hold them without a field of their own. A mask has a flag for each value that each entry of an action can take, in
order, 0 where it is forbidden: `n` for Discrete(n), the sum of the sizes for MultiDiscrete, two for each entry of a
MultiBinary ("may be 0", "may be 1"), none for a Box.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Int8

from ..errors import InputError, shown
from .kinds import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from .membership import flattened, mapped, Member, Range, zeros

MASK = "action_mask"  # the part of an observation
CURE = f"give so many; for combinations, make the action one Discrete of them all; what is no mask, do not call {MASK}"
OBSERVATION = "observation"  # the part beside it, where an observation was not made of parts


def read_mask(action_space: Space, mask: Any) -> Int8[np.ndarray, " flags"]:
    """A mask that somebody gives, as a row of 0 and 1. Raises `ValueError` for one that does not fit."""
    try:
        return flags(action_space, mask).astype(np.int8)
    except ValueError as error:
        raise ValueError(f"an action mask {error}") from None


def groups(action_space: Space) -> list[int]:
    """How many values each entry of an action can take, in order; those of a Box have no number."""
    match action_space:
        case Discrete(n):
            return [n]
        case MultiDiscrete(sizes):
            return list(sizes)
        case MultiBinary(shape):
            return [2] * math.prod(shape)
        case Box():
            return []
        case _:
            return [size for (part,) in flattened(action_space) for size in groups(part)]


def num_flags(action_space: Space) -> int:
    """How many flags a mask of these actions has."""
    return sum(groups(action_space))


def flags(action_space: Space, mask: Any, xp: Any = np) -> Bool[Any, " flags"]:
    """A mask as one row; `xp` is NumPy, or JAX's.

    It may lie in several arrays, as one for each entry of a MultiDiscrete; for actions of several parts it may be one
    mask for each, of which those that are missing or None forbid nothing. Raises `ValueError`, with words to stand
    behind "an action mask", for one of another size, and for parts that there are not.
    """
    if mask is None:
        return xp.ones(num_flags(action_space), bool)
    if isinstance(action_space, Dict) and isinstance(mask, Mapping):
        if unknown := mask.keys() - dict(action_space.parts).keys():
            raise ValueError(f"for {shown(sorted(map(str, unknown)), 200)}, of which actions have no part")
        rows = [flags(part, mask.get(name), xp) for name, part in action_space.parts]
    elif isinstance(action_space, Tuple) and isinstance(mask, tuple | list):
        _check_size(len(mask), len(action_space.parts), "parts", action_space)
        rows = [flags(part, one, xp) for part, one in zip(action_space.parts, mask, strict=True)]
    else:
        rows = [xp.reshape(xp.asarray(one), -1) != 0 for one in _arrays(mask)]
    row = xp.concatenate([xp.ones(0, bool), *rows])
    _check_size(row.size, num_flags(action_space), "flags", action_space)
    return row


def _arrays(mask: Any) -> list[Any]:
    """What a mask consists of, however deep it lies in lists."""
    if isinstance(mask, tuple | list):
        return [array for one in mask for array in _arrays(one)]
    return [mask]


def _check_size(given: int, wanted: int, what: str, action_space: Space) -> None:
    if given != wanted:
        raise ValueError(f"of {given} {what}, but actions in {shown(action_space, 200)} take {wanted}")


def split_mask(obs_space: Space, action_space: Space) -> tuple[Space, bool]:
    """What an observation shows beside a mask, and whether it has one.

    Where it shows nothing beside, that is the mask. Actions without choices have no masks. Raises `InputError` where
    the part of that name has another size.
    """
    parts = dict(obs_space.parts) if isinstance(obs_space, Dict) else {}
    if MASK not in parts or not num_flags(action_space):
        return obs_space, False
    try:
        flags(action_space, zeros(parts.pop(MASK)))
    except ValueError as error:
        raise InputError(f"The observation has an action mask {error}, one for each choice: {CURE}.") from None
    if parts.keys() == {OBSERVATION}:
        return parts[OBSERVATION], True
    return (Dict(tuple(parts.items())) if parts else obs_space), True


def mask_space(obs_space: Space) -> Space | None:
    """The space of the mask in an observation."""
    return dict(obs_space.parts).get(MASK) if isinstance(obs_space, Dict) else None


def without_mask(obs: Member) -> Member:
    """The rest of an observation: a member of what `split_mask` gives."""
    rest = {name: part for name, part in obs.items() if name != MASK}
    return rest[OBSERVATION] if rest.keys() == {OBSERVATION} else rest or obs


def with_mask(obs: Any, mask: Any) -> dict[str, Any]:
    """An observation with a mask beside what it shows."""
    return {**(obs if isinstance(obs, Mapping) else {OBSERVATION: obs}), MASK: mask}


def all_forbidden(action_space: Space, obs: Member, xp: Any = np) -> Bool[Any, ""]:
    """Whether the mask of one observation forbids every value of an entry."""
    ends = np.cumsum(groups(action_space))
    allowed = xp.cumsum(flags(action_space, obs[MASK], xp).astype(np.int32))[ends - 1]  # up to the end of each entry
    return xp.any(xp.diff(allowed, prepend=0) == 0)


def made_allowed(action_space: Space, action: Any, mask: Any) -> Any:
    """An action with each forbidden value replaced by the next allowed one, from the first again after the last.

    Raises `ValueError` for a mask that does not fit.
    """
    row = iter(flags(action_space, mask).tolist())

    def of_part(part: Space, given: Any) -> Any:
        if isinstance(part, Box):
            return given
        first, values = Range(part).low, np.array(given)
        counted = (values - first).reshape(-1).astype(int)
        for i, n in enumerate(groups(part)):
            allowed = [next(row) for _ in range(n)]
            counted[i] = next((v % n for v in range(counted[i], counted[i] + n) if allowed[v % n]), counted[i])
        return (counted.reshape(values.shape) + first).astype(values.dtype)[()]

    return mapped(action_space, of_part, action)
