"""From Gymnasium's spaces to ours."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, shown
from .kinds import Bound, Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple


def _bound(values: np.ndarray, inwards: float) -> Bound:
    """A bound in float64, never beyond it: 2**63 - 1 would be rounded to 2**63, which a cast takes for -2**63."""
    rounded = np.asarray(values, np.float64)
    if values.dtype.kind in "iu":
        beyond = (np.less if inwards > 0 else np.greater)(rounded.astype(object), values.astype(object))
        rounded = np.where(beyond.astype(bool), np.nextafter(rounded, inwards), rounded)
    flat = rounded.ravel().tolist()
    return flat[0] if len(set(flat)) == 1 else tuple(flat)


def _sorted(names: Iterable[Any]) -> list[Any]:
    try:
        return sorted(names)
    except TypeError:
        raise InputError(
            f"The parts of a Dict space are called {shown(list(names))}, but names of several kinds have no order, and "
            "JAX needs one: give names of one kind."
        ) from None


def _check_choices(space: Any, sizes: Sequence[int], starts: Sequence[int]) -> None:
    for n, start in zip(sizes, starts, strict=True):
        if start < -(2**31) or start + n > 2**31:
            raise InputError(
                f"The space {shown(space, 200)} has choices from {start} to {start + n - 1}, but logpi counts them in "
                "32 bits, from -2^31 to 2^31 - 1: let them start at 0, and shift them in a wrapper."
            )


def from_gymnasium(space) -> Space:
    """The counterpart of a space of Gymnasium.

    Raises `InputError` for a kind of space that has none, and for choices that 32 bits cannot count.
    """
    from gymnasium import spaces as gym

    match space:
        case gym.Discrete():
            _check_choices(space, [int(space.n)], [int(space.start)])
            return Discrete(int(space.n), int(space.start), np.dtype(space.dtype).name)
        case gym.MultiDiscrete():
            starts = tuple(int(s) for s in np.ravel(space.start))
            sizes = tuple(int(n) for n in np.ravel(space.nvec))
            _check_choices(space, sizes, starts)
            return MultiDiscrete(sizes, starts, tuple(space.nvec.shape), np.dtype(space.dtype).name)
        case gym.MultiBinary():
            return MultiBinary(tuple(space.shape))
        case gym.Box():
            low, high = _bound(space.low, np.inf), _bound(space.high, -np.inf)
            return Box(tuple(space.shape), low, high, np.dtype(space.dtype).name)
        case gym.Dict():
            return Dict(tuple((name, from_gymnasium(space.spaces[name])) for name in _sorted(space.spaces)))
        case gym.Tuple():
            return Tuple(tuple(from_gymnasium(part) for part in space.spaces))
        case _:
            raise InputError(
                f"The space {space} is of a kind that logpi does not know; it takes Box, Discrete, MultiDiscrete, "
                "MultiBinary, and Dict and Tuple of those: convert it with a gymnasium wrapper."
            )
