"""The way of an action to its environment: within the bounds of its space, and of its type."""

import functools
from collections.abc import Callable

import numpy as np

from ..errors import InputError
from .kinds import Box, Discrete, MultiDiscrete, Space
from .membership import dtype_of, full, shape_of


@functools.lru_cache(maxsize=256)
def bounds(space: Box) -> tuple[np.ndarray, np.ndarray]:
    """The least and greatest member of a `Box`, each of its shape, as float32."""
    return full(space.low, space.shape, np.float32), full(space.high, space.shape, np.float32)


def _aligned(bound: np.ndarray, action) -> np.ndarray:
    """A bound with as many axes as an action: broadcasting is said, not left to happen."""
    return bound.reshape((1,) * (action.ndim - bound.ndim) + bound.shape)


def clip_to(space: Space, action):
    """What the environment gets for an action of the policy: clipped to the bounds, rounded, counted from `start`.

    `action` is an array (of NumPy or JAX) with any axes before those of the event. The trajectory keeps the action as
    it was drawn, because that is what `log_prob` is the density of.
    """
    match space:
        case Discrete():
            return action + space.start if space.start else action
        case MultiDiscrete():
            starts = np.asarray(space.starts, np.int32)
            shifted = action + _aligned(starts, action) if starts.any() else action
            return shifted.reshape(*shifted.shape[:-1], *shape_of(space))
        case Box():
            low, high = bounds(space)
            action = action.round() if space.whole else action
            return action.clip(_aligned(low, action), _aligned(high, action))
        case _:
            return action


def rescale_to(space: Space, action):
    """As `clip_to`, but a `Box` is reached from the interval -1 to 1: `low` and `high` are where -1 and 1 go.

    Raises `InputError` for a `Box` without bounds.
    """
    if not isinstance(space, Box):
        return clip_to(space, action)
    low, high = (_aligned(bound, action) for bound in _finite_bounds(space))
    return clip_to(space, low + (action.clip(-1, 1) + 1) * ((high - low) / 2))  # rounding may lead out of the space


@functools.lru_cache(maxsize=256)
def _finite_bounds(space: Box) -> tuple[np.ndarray, np.ndarray]:
    """As `bounds`; raises `InputError` where the interval -1 to 1 cannot be stretched to them: it would give NaN."""
    low, high = bounds(space)
    if not (high.astype(np.float64) - low < np.finfo(np.float32).max).all():
        raise InputError(
            f"actions is rescale, but the action space {space} is not bounded on both sides: take clip (--actions "
            "clip), or bound the space."
        )
    return low, high


ACTION_MAPS = {"clip": clip_to, "rescale": rescale_to}


@functools.lru_cache(maxsize=256)
def typed_for(space: Space) -> Callable[[np.ndarray], np.ndarray]:
    """A function that brings actions from 32 bits to the type of their space: members of it, in new arrays.

    They have been clipped in 32 bits, and are clipped again where these cannot write the bounds: rounded to 32 bits,
    0.1 is more than it is in 64.
    """
    dtype = dtype_of(space)
    if not isinstance(space, Box) or np.can_cast(dtype, np.float32):
        return lambda action: np.array(action, dtype, order="C")
    low, high = full(space.low, space.shape), full(space.high, space.shape)
    return lambda action: np.asarray(action, np.float64).clip(low, high).astype(dtype)
