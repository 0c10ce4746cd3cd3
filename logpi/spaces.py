"""What an observation or an action looks like: frozen and hashable, so that a compiled program can be built for it.

Gymnasium's spaces are mutable and carry a random state; these are plain values. `from_gymnasium` makes one from the
other, `encode` writes a member as one vector, `clip_to` and `rescale_to` are the way of an action to its environment.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .errors import InputError, shown

Bound = float | tuple[float, ...]  # one number for all entries, or one for each, in row-major order


@dataclasses.dataclass(frozen=True)
class Discrete:
    """The integers 0 to `n - 1`; the environment counts them from `start`."""

    n: int
    start: int = 0


@dataclasses.dataclass(frozen=True)
class MultiDiscrete:
    """A vector of integers, the i-th of them from 0 to `sizes[i] - 1`; the environment counts from `starts[i]`.

    `shape` is the one that the environment uses; here the integers are always one flat vector.
    """

    sizes: tuple[int, ...]
    starts: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class MultiBinary:
    """An array of zeros and ones."""

    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Box:
    """Real numbers between `low` and `high`, infinite bounds allowed; `dtype` is the environment's."""

    shape: tuple[int, ...]
    low: Bound = -math.inf
    high: Bound = math.inf
    dtype: str = "float32"


@dataclasses.dataclass(frozen=True)
class Dict:
    """Named parts, sorted by name; a member is a dictionary."""

    parts: tuple[tuple[str, "Space"], ...]


@dataclasses.dataclass(frozen=True)
class Tuple:
    """Parts in order; a member is a tuple."""

    parts: tuple["Space", ...]


Space = Discrete | MultiDiscrete | MultiBinary | Box | Dict | Tuple


def _bound(values: np.ndarray) -> Bound:
    flat = np.asarray(values, np.float64).ravel().tolist()
    return flat[0] if len(set(flat)) == 1 else tuple(flat)


def from_gymnasium(space) -> Space:
    """The counterpart of a space of Gymnasium.

    Raises `InputError` for a kind of space that has none.
    """
    from gymnasium import spaces as gym

    match space:
        case gym.Discrete():
            return Discrete(int(space.n), int(space.start))
        case gym.MultiDiscrete():
            starts = tuple(int(s) for s in np.ravel(space.start))
            return MultiDiscrete(tuple(int(n) for n in np.ravel(space.nvec)), starts, tuple(space.nvec.shape))
        case gym.MultiBinary():
            return MultiBinary(tuple(space.shape))
        case gym.Box():
            return Box(tuple(space.shape), _bound(space.low), _bound(space.high), str(space.dtype))
        case gym.Dict():
            return Dict(tuple((name, from_gymnasium(part)) for name, part in sorted(space.spaces.items())))
        case gym.Tuple():
            return Tuple(tuple(from_gymnasium(part) for part in space.spaces))
        case _:
            raise InputError(
                f"The space {space} is of a kind that logpi does not know; it takes Box, Discrete, MultiDiscrete, "
                "MultiBinary, and Dict and Tuple of those: convert it with a gymnasium wrapper."
            )


def as_member(space: Space, given: PyTree) -> PyTree[np.ndarray]:
    """A member of a space as NumPy arrays, from arrays, numbers or lists.

    Raises `InputError` where a part is missing or has another shape.
    """
    match space:
        case Dict():
            if not isinstance(given, dict) or set(given) != {name for name, _ in space.parts}:
                raise InputError(f"{given!r} is no member of {space}: give a dictionary of its parts.")
            return {name: as_member(part, given[name]) for name, part in space.parts}
        case Tuple():
            if not isinstance(given, (tuple, list)) or len(given) != len(space.parts):
                raise InputError(f"{given!r} is no member of {space}: give a tuple of its parts.")
            return tuple(as_member(part, item) for part, item in zip(space.parts, given, strict=True))
        case Discrete():
            shape, dtype = (), np.int32
        case MultiDiscrete():
            shape, dtype = space.shape or (len(space.sizes),), np.int32
        case _:
            shape = space.shape
            dtype = np.uint8 if isinstance(space, Box) and space.dtype == "uint8" else np.float32
    try:
        array = np.asarray(given, dtype)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{shown(given)} is no member of {space}: give numbers of the shape {shape}.") from None
    if array.shape != shape:
        raise InputError(f"An observation has the shape {array.shape}, but the policy was trained on {shape}.")
    return array


def is_image(space: Space) -> bool:
    """Whether a space is an image: a `Box` of three axes (height, width, channels) or two (height, width) of bytes."""
    return isinstance(space, Box) and (len(space.shape) == 3 or (len(space.shape) == 2 and space.dtype == "uint8"))


@functools.singledispatch
def encode(space: Space, member: PyTree[Array]) -> Float[Array, " size"]:
    """A member of a space as one vector of floats: one-hot for integers, raveled for the rest."""
    raise InputError(f"No encoding is known for {space!r}: give a space of `logpi.spaces`.")


@encode.register
def _(space: Discrete, member):
    return jax.nn.one_hot(member - space.start, space.n)


@encode.register
def _(space: MultiDiscrete, member):
    flat = member.reshape(-1)
    starts = space.starts or (0,) * len(space.sizes)
    return jnp.concatenate([jax.nn.one_hot(flat[i] - starts[i], n) for i, n in enumerate(space.sizes)])


@encode.register(Box)
@encode.register(MultiBinary)
def _(space, member):
    return jnp.ravel(member).astype(jnp.float32)


@encode.register
def _(space: Dict, member):
    return jnp.concatenate([encode(part, member[name]) for name, part in space.parts])


@encode.register
def _(space: Tuple, member):
    return jnp.concatenate([encode(part, member[i]) for i, part in enumerate(space.parts)])


def fits(mine: Space, theirs: Space) -> bool:
    """Whether a policy made for one space can act in, or see, another: the same but for bounds, types and starts."""
    match mine, theirs:
        case Dict(), Dict():
            same = [name for name, _ in mine.parts] == [name for name, _ in theirs.parts]
            return same and all(fits(a, b) for (_, a), (_, b) in zip(mine.parts, theirs.parts, strict=True))
        case Tuple(), Tuple():
            same = len(mine.parts) == len(theirs.parts)
            return same and all(fits(a, b) for a, b in zip(mine.parts, theirs.parts, strict=True))
        case Discrete(), Discrete():
            return mine.n == theirs.n
        case MultiDiscrete(), MultiDiscrete():
            return mine.sizes == theirs.sizes
        case (Box(), Box()) | (MultiBinary(), MultiBinary()):
            return mine.shape == theirs.shape
        case _:
            return False


def encoded_size(space: Space) -> int:
    """The length of the vector that `encode` gives."""
    match space:
        case Discrete():
            return space.n
        case MultiDiscrete():
            return sum(space.sizes)
        case Box() | MultiBinary():
            return math.prod(space.shape)
        case Dict():
            return sum(encoded_size(part) for _, part in space.parts)
        case Tuple():
            return sum(encoded_size(part) for part in space.parts)


@functools.lru_cache(maxsize=256)
def bounds(space: Box) -> tuple[np.ndarray, np.ndarray]:
    """The least and greatest member of a `Box`, each of its shape, as float32."""

    def full(bound: Bound) -> np.ndarray:
        flat = np.asarray(bound, np.float32).reshape(-1)
        return np.broadcast_to(flat, math.prod(space.shape)).reshape(space.shape)

    return full(space.low), full(space.high)


def _aligned(bound: np.ndarray, action) -> np.ndarray:
    """A bound with as many axes as an action: broadcasting is said, not left to happen."""
    return bound.reshape((1,) * (action.ndim - bound.ndim) + bound.shape)


def clip_to(space: Space, action):
    """What the environment gets for an action of the policy: clipped to the bounds, counted from `start`.

    `action` is an array (of NumPy or JAX) with any axes before those of the event. The trajectory keeps the action as
    it was drawn, because that is what `log_prob` is the density of.
    """
    match space:
        case Discrete():
            return action + space.start if space.start else action
        case MultiDiscrete():
            starts = np.asarray(space.starts, np.int32)
            shifted = action + _aligned(starts, action) if starts.any() else action
            return shifted.reshape(*shifted.shape[:-1], *(space.shape or (len(space.sizes),)))
        case Box():
            low, high = bounds(space)
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
