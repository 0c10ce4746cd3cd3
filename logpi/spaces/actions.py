"""The way of an action to its environment: within the bounds of its space, and of its type."""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError, shown
from .kinds import Box, Dict, Discrete, MultiDiscrete, Space, Tuple
from .masks import groups
from .membership import dtype_of, flattened, full, mapped, Member, shape_of

WIDE = 10.0  # standard deviations between bounds of which a new policy sees little
RARE = 0.05  # of a new policy's actions, how many lie between bounds that it can learn within


@functools.lru_cache(maxsize=256)
def bounds(space: Box) -> tuple[np.ndarray, np.ndarray]:
    """The least and greatest member of a `Box`, each of its shape, as float32."""
    return full(space.low, space.shape, np.float32), full(space.high, space.shape, np.float32)


def _aligned(bound: np.ndarray, action) -> np.ndarray:
    """A bound with as many axes as an action: broadcasting is said, not left to happen."""
    return bound.reshape((1,) * (action.ndim - bound.ndim) + bound.shape)


def boxes(space: Space) -> list[Box]:
    """The parts of actions that are numbers, itself perhaps."""
    return [part for (part,) in flattened(space) if isinstance(part, Box)]


def num_reals(space: Space) -> int:
    """How many numbers of an action are continuous: where there are any, its entropy is of a density."""
    return sum(math.prod(part.shape) for part in boxes(space))


def reals(space: Space, action) -> list[Any]:
    """The numbers of an action that are continuous: a row for each `Box`."""
    return [one.reshape(-1) for part, one in flattened(space, action) if isinstance(part, Box)]


def num_combinations(space: Space) -> int:
    """How many actions there are that differ in a choice: 1 where all of them are continuous."""
    return math.prod(groups(space))


def combination(space: Space, action):
    """Which of the combinations of choices an action is, as it was drawn; 0 where there is one only."""
    rows = [one.reshape(-1) for part, one in flattened(space, action) if not isinstance(part, Box)]
    place, which = num_combinations(space), 0
    for size, chosen in zip(groups(space), (entry for row in rows for entry in row), strict=True):
        place //= size
        which += place * chosen.astype(np.int32)
    return which


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
        case Dict() | Tuple():
            return mapped(space, clip_to, action)
        case _:
            return action


def rescale_to(space: Space, action):
    """As `clip_to`, but a `Box` is reached from the interval -1 to 1: `low` and `high` are where -1 and 1 go.

    Raises `InputError` for a `Box` without bounds.
    """
    if isinstance(space, Dict | Tuple):
        return mapped(space, rescale_to, action)
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


def can_rescale(space: Space) -> bool:
    """Whether `rescale_to` takes a space: each `Box` in it has bounds on all sides."""
    try:
        return all(map(_finite_bounds, boxes(space)))
    except InputError:
        return False


def fit_to(space: Space, action):
    """As `rescale_to` where the bounds of a `Box` are far from -1 and 1, else as `clip_to`; of each part by itself."""
    return mapped(space, lambda part, one: (rescale_to if is_far(part) else clip_to)(part, one), action)


@functools.lru_cache(maxsize=256)
def is_far(space: Space) -> bool:
    """Whether a policy that begins with standard normal numbers would hardly ever act within the bounds of a `Box`.

    Or hardly leave their middle: where they are more than ten standard deviations apart. Only bounds on both sides are
    far, for others cannot be rescaled to.
    """
    if isinstance(space, Dict | Tuple):
        return any(map(is_far, boxes(space)))
    if not isinstance(space, Box) or not math.prod(space.shape):
        return False
    low, high = (np.asarray(bound, np.float64) for bound in bounds(space))
    if not (np.isfinite(low) & np.isfinite(high)).all() or not (high - low < np.finfo(np.float32).max).all():
        return False
    return bool((high - low > WIDE).any() or (_shares(low, high) < RARE).any())


def _shares(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Of standard normal numbers, how many lie between bounds."""
    erf = np.vectorize(math.erf, otypes=[float])
    return np.asarray((erf(high / math.sqrt(2)) - erf(low / math.sqrt(2))) / 2)


def clipped(space: Space, to_env: Callable[..., object], action: Any) -> Any:
    """Which numbers of actions, as they were drawn, are clipped on their way by `to_env`; `None` where none can be.

    Of actions of several parts, those of all that can be, in one row.
    """
    if isinstance(space, Dict | Tuple):
        found = [(box, clipped(box, to_env, one)) for box, one in flattened(space, action) if isinstance(box, Box)]
        rows = [_row(box, of_numbers) for box, of_numbers in found if of_numbers is not None]
        return rows[0].__array_namespace__().concat(rows, axis=-1) if rows else None  # NumPy's, or JAX's
    if not isinstance(space, Box) or not math.prod(space.shape):
        return None
    if to_env is fit_to:
        to_env = rescale_to if is_far(space) else clip_to
    if to_env is rescale_to:
        return abs(action) > 1
    low, high = bounds(space)
    if to_env is not clip_to or not (np.isfinite(low) | np.isfinite(high)).any():
        return None
    action = action.round() if space.whole else action
    return (action < _aligned(low, action)) | (action > _aligned(high, action))


def _row(box: Box, of_numbers: Any) -> Any:
    """What is true of the numbers of actions, (..., numbers)."""
    return of_numbers.reshape(*of_numbers.shape[: of_numbers.ndim - len(box.shape)], num_reals(box))


def note_on(space: Space, actions: str) -> str:
    """What becomes of a new policy's actions, in a sentence, where that is not what one would think; or nothing."""
    if isinstance(space, Dict | Tuple):
        return " ".join(filter(None, (note_on(part, actions) for part in boxes(space))))
    if not isinstance(space, Box) or not math.prod(space.shape):
        return ""
    if actions == "auto" and is_far(space):
        return (
            f"The action space {shown(space, 200)} is far from -1 to 1, where a new policy acts: its actions are "
            "rescaled to it (actions='clip' leaves them)."
        )
    low, high = (np.asarray(bound, np.float64) for bound in bounds(space))
    inside = float(_shares(low, high).min())
    if actions == "rescale" or inside >= RARE:
        return ""
    return (
        f"Of a new policy's actions, {100 * (1 - inside):.3g} % lie beyond the bounds of {shown(space, 200)} and are "
        "clipped to them: take actions='rescale' (--actions rescale), or let the environment take numbers around 0."
    )


ACTION_MAPS = {"auto": fit_to, "clip": clip_to, "rescale": rescale_to}


def as_drawn(space: Space, actions: str, action: Member) -> Member:
    """Members of a space, with any axes before those of one, as a policy would have drawn them: the way back.

    `ACTION_MAPS[actions]` leads from these to the members again. A number at a bound may have been drawn beyond it;
    the bound itself stands for it. NumPy's arrays in, and out.
    """
    return mapped(space, lambda part, one: _part_as_drawn(part, actions, np.asarray(one)), action)


def _part_as_drawn(space: Space, actions: str, action: np.ndarray) -> np.ndarray:
    match space:
        case Discrete():
            return action - space.start
        case MultiDiscrete():
            lead = action.shape[: action.ndim - len(shape_of(space))]
            return action.reshape(*lead, len(space.sizes)) - np.asarray(space.starts or 0, action.dtype)
        case Box() if actions == "rescale" or (actions == "auto" and is_far(space)):
            low, high = (bound.astype(np.float64) for bound in _finite_bounds(space))
            width = np.where(high > low, high - low, np.inf)  # where there is one number alone, all lead to it
            return (2 * (action - low) / width - 1).clip(-1, 1).astype(np.float32)
        case Box():
            return action.astype(np.float32)
        case _:
            return action


@functools.lru_cache(maxsize=256)
def typed_for(space: Space) -> Callable[[Member], Member]:
    """A function that brings actions from 32 bits to the type of their space: members of it, in new arrays.

    They have been clipped in 32 bits, and are clipped again where these cannot write the bounds: rounded to 32 bits,
    0.1 is more than it is in 64.
    """
    if isinstance(space, Dict | Tuple):
        functions = mapped(space, typed_for)
        return lambda action: mapped(space, lambda _, function, one: function(one), functions, action)
    dtype = dtype_of(space)
    if not isinstance(space, Box) or np.can_cast(dtype, np.float32):
        return lambda action: np.array(action, dtype, order="C")
    low, high = full(space.low, space.shape), full(space.high, space.shape)
    return lambda action: np.asarray(action, np.float64).clip(low, high).astype(dtype)
