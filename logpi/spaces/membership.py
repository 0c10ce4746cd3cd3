"""Members of a space: whether something is one and why not, as arrays, random ones, and those at the corners."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ..errors import InputError, shown
from .kinds import Bound, Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple

ROUNDING = 1e-5  # of a bound: environments compute in 32 bits or in 64
CORNERS = 64  # looked at, of an action space that has more
FEATURES = 512  # numbers of an observation that are compared by distance
Member = Any  # an array, a number, a dictionary or a tuple of members; to import `PyTree` would be to import JAX


def shape_of(space: Space) -> tuple[int, ...]:
    """The shape of a member, as the environment has it. Raises `InputError` for a space of several parts."""
    match space:
        case Discrete():
            return ()
        case MultiDiscrete():
            return space.shape or (len(space.sizes),)
        case MultiBinary() | Box():
            return space.shape
        case _:
            raise InputError(f"{space} has several parts, and no shape: give one of them.")


def parts_of(space: Dict | Tuple, given: Any) -> list[tuple[Any, Space, Any]] | None:
    """Of each part its name or number, its space, and what was given for it; `None` where the parts are others."""
    if isinstance(space, Dict):
        if not isinstance(given, dict) or set(given) != {name for name, _ in space.parts}:
            return None
        return [(name, part, given[name]) for name, part in space.parts]
    if not isinstance(given, tuple | list) or len(given) != len(space.parts):
        return None
    return [(i, part, one) for i, (part, one) in enumerate(zip(space.parts, given, strict=True))]


def mapped(space: Space, function: Callable[..., Any], *members: Member) -> Member:
    """`function(part, ...)` of every part that has none itself, with what members hold there, in their structure."""
    match space:
        case Dict(parts):
            return {name: mapped(part, function, *(each[name] for each in members)) for name, part in parts}
        case Tuple(parts):
            return tuple(mapped(part, function, *(each[i] for each in members)) for i, part in enumerate(parts))
        case _:
            return function(space, *members)


def flattened(space: Space, *members: Member) -> list[tuple[Any, ...]]:
    """Every part that has none itself, with what members hold there, in the order of JAX's leaves."""
    found: list[tuple[Any, ...]] = []
    mapped(space, lambda *part: found.append(part), *members)
    return found


def zeros(space: Space, lead: tuple[int, ...] = ()) -> Member:
    """Zeros where members have numbers, `lead` their axes in front: arrays of float64."""
    return mapped(space, lambda part: np.zeros((*lead, *shape_of(part))))


class Range:
    """The numbers of a space of one part: from `low` to `high`, arrays of the shape of a member, and `whole` or not.

    Raises `InputError` for a space of several parts.
    """

    def __init__(self, space: Space):
        shape = shape_of(space)
        low, high = 0, 1
        match space:
            case Discrete():
                low, high = space.start, space.start + space.n - 1
            case MultiDiscrete():
                starts = np.asarray(space.starts or 0)
                low, high = starts, starts + np.asarray(space.sizes) - 1
            case Box():
                low, high = space.low, space.high
            case _:
                pass
        self.whole = not isinstance(space, Box)
        self.low, self.high = full(low, shape), full(high, shape)
        self._least = self.low if self.whole else self.low - _rounding(self.low)
        self._most = self.high if self.whole else self.high + _rounding(self.high)

    def strays(self, values: np.ndarray) -> Bool[np.ndarray, "..."]:
        """Which numbers of an array of the space's shape are none of its own; NaN is none, what rounding does is."""
        bad = ~((values >= self._least) & (values <= self._most))
        return np.asarray(bad | (values != np.floor(values)) if self.whole else bad)


def full(bound: Bound | np.ndarray, shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """A bound for each entry of an array of this shape."""
    flat = np.asarray(bound, dtype).reshape(-1)
    return np.broadcast_to(flat, math.prod(shape)).reshape(shape)


def _rounding(bound: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(bound), ROUNDING * np.maximum(1.0, np.abs(bound)), 0.0)


def misfit(space: Space, given: Any, where: str = "") -> str:
    """What is wrong with the type or the shape of an observation; empty where nothing is. `where` names it."""
    match space:
        case Dict() | Tuple():
            parts = parts_of(space, given)
            if parts is None:
                names = ", ".join(str(name) for name, _ in space.parts) if isinstance(space, Dict) else ""
                return f"{where} has not {f'the parts {names}' if names else f'{len(space.parts)} parts'}"
            return next(filter(None, (misfit(part, one, f"{where}[{name!r}]") for name, part, one in parts)), "")
        case Discrete():
            whole = isinstance(given, int | np.integer) or (isinstance(given, np.ndarray) and given.shape == ())
            fits = whole and np.issubdtype(np.asarray(given).dtype, np.integer)
            return "" if fits else f"{where} is {_shown(given)}, but a whole number is announced"
        case _:
            return _array_misfit(space, given, where)


def _array_misfit(space: Box | MultiBinary | MultiDiscrete, given: Any, where: str) -> str:
    shape = shape_of(space)
    if not isinstance(given, np.ndarray | np.generic):
        return f"{where} is {_shown(given)}, but an array is announced"
    if given.shape != shape:
        return f"{where} has the shape {given.shape}, but {shape} is announced"
    if isinstance(space, Box):
        fits = np.can_cast(given.dtype, space.dtype)
        return "" if fits else f"{where} has the type {given.dtype}, but {space.dtype} is announced"
    fits = np.issubdtype(given.dtype, np.integer) or given.dtype == bool
    return "" if fits else f"{where} has the type {given.dtype}, but whole numbers are announced"


def outside(space: Space, given: Any, where: str = "") -> str:
    """Which number of a fitting observation lies outside of its space; empty where none does."""
    if isinstance(space, Dict | Tuple):
        parts = parts_of(space, given) or []
        return next(filter(None, (outside(part, one, f"{where}[{name!r}]") for name, part, one in parts)), "")
    range, values = Range(space), np.asarray(given, float)
    bad = range.strays(values)
    if not bad.any():
        return ""
    i = int(np.argmax(bad))
    low, high = range.low.flat[i], range.high.flat[i]
    return f"entry {i} of {where} is {values.flat[i]:g}, outside of {low:g} to {high:g}"


def no_choice(space: Space, given: Any, where: str = "") -> str:
    """Which whole number of one or several observations is none of its space; empty where each is.

    Numbers beyond the bounds of a `Box` are let be: good environments have such bounds.
    """
    if isinstance(space, Dict | Tuple):
        parts = parts_of(space, given) or []
        return next(filter(None, (no_choice(part, one, f"{where}[{name!r}]") for name, part, one in parts)), "")
    if isinstance(space, Box):
        return ""
    values = np.asarray(given, float)
    bad = Range(space).strays(values)
    return f"{where} was {values[bad][0]:g}, which is none of {space}" if bad.any() else ""


def _shown(given: Any) -> str:
    if isinstance(given, np.ndarray):
        return f"an array of shape {given.shape} and type {given.dtype}"
    return f"{type(given).__name__} {given!r}"[:60]


def draw(space: Space, rng: np.random.Generator) -> Member:
    """A random action as an environment takes it: uniform where the space has bounds, normal where it has none."""
    match space:
        case Dict() | Tuple():
            return mapped(space, lambda part: draw(part, rng))
        case Discrete():
            return np.int64(space.start + rng.integers(space.n))
        case MultiDiscrete():
            return _combined(space, rng.integers(np.asarray(space.sizes)))
        case MultiBinary():
            return rng.integers(0, 2, space.shape).astype(np.int8)
        case Box():
            low, high = (full(bound, space.shape) for bound in (space.low, space.high))
            within = np.where(np.isfinite(low) & np.isfinite(high), rng.random(space.shape), np.nan)
            uniform = np.where(np.isnan(within), 0.0, low + within * (high - low)) if np.isfinite(low).any() else within
            normal = np.clip(rng.standard_normal(space.shape), low, high)
            return np.where(np.isnan(within), normal, uniform).astype(space.dtype)


def corners(space: Space) -> list[Member]:
    """Actions at the edge of the space: every one of few, else the least, the greatest, and both in turn."""
    match space:
        case Discrete():
            places = range(space.n) if space.n <= CORNERS else [0, space.n // 2, space.n - 1]
            return [np.int64(space.start + i) for i in places]
        case MultiDiscrete():
            sizes = np.asarray(space.sizes)
            some = [np.zeros_like(sizes), sizes - 1, (sizes - 1) * (np.arange(sizes.size) % 2)]
            return [_combined(space, each) for each in some]
        case MultiBinary():
            return [np.full(space.shape, bit, np.int8) for bit in (0, 1)]
        case Box():
            bounds = (full(bound, space.shape) for bound in (space.low, space.high))
            low, high = (np.nan_to_num(bound, posinf=1.0, neginf=-1.0) for bound in bounds)
            turns = np.arange(math.prod(space.shape)).reshape(space.shape) % 2 == 0
            some = [low, high, np.where(turns, low, high), (low + high) / 2]
            return [np.asarray(each).astype(space.dtype) for each in some]
        case Dict():
            pieces = [corners(part) for _, part in space.parts]
            names = [name for name, _ in space.parts]
            return [dict(zip(names, each, strict=True)) for each in itertools.islice(_together(pieces), CORNERS)]
        case Tuple():
            return list(itertools.islice(_together([corners(part) for part in space.parts]), CORNERS))


def _together(pieces: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
    """Each part's corners in step, as often as the part with the most has them."""
    for i in range(max(map(len, pieces), default=0)):
        yield tuple(piece[i % len(piece)] for piece in pieces)


def _combined(space: MultiDiscrete, values: np.ndarray) -> np.ndarray:
    starts = np.asarray(space.starts or (0,) * len(space.sizes))
    return (starts + values).reshape(shape_of(space)).astype(np.int64)


def numbers(given: Member) -> Float[np.ndarray, " n"]:
    """The numbers of an observation in a row; of many, evenly chosen ones."""
    if isinstance(given, dict):
        parts = [numbers(given[name]) for name in sorted(given, key=str)]
    elif isinstance(given, tuple | list):
        parts = [numbers(part) for part in given]
    else:
        parts = [np.asarray(given, float).reshape(-1)]
    row = np.concatenate([np.zeros(0), *parts])
    return row[:: max(1, len(row) // FEATURES)]


def same(first: Member, second: Member) -> bool:
    """Whether two observations are equal bit by bit; NaN equals NaN."""
    if isinstance(first, dict):
        return (
            isinstance(second, dict) and first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
        )
    if isinstance(first, tuple | list):
        paired = isinstance(second, tuple | list) and len(first) == len(second)
        return paired and all(map(same, first, second))
    one, other = np.asarray(first), np.asarray(second)
    if one.dtype.kind not in "fiub" or other.dtype.kind not in "fiub":
        return bool(np.array_equal(one, other))
    return bool(np.array_equal(one, other, equal_nan=True))


def reader(space: Space, batch: tuple[int, ...] = ()) -> Callable[[Any], Member]:
    """A function that takes an observation for a member of a space, as arrays of the space's own types, or not at all.

    It raises `ValueError` with words to stand behind "an observation": of another shape, without a part, of what is no
    number, of a number that its type cannot hold, or of what is none of its choices. A number beyond the bounds of a
    `Box` passes, for good environments have such bounds. With `batch`, members lie side by side along these axes.
    """
    match space:
        case Dict():
            readers: dict[Any, Any] = {name: reader(part, batch) for name, part in space.parts}
            return lambda given: {name: read(_part(given, name, Mapping)) for name, read in readers.items()}
        case Tuple():
            readers = dict(enumerate(reader(part, batch) for part in space.parts))
            return lambda given: tuple(read(_part(given, i, tuple | list)) for i, read in readers.items())
        case _:
            dtype, shape = dtype_of(space), (*batch, *shape_of(space))
            choices = None if isinstance(space, Box) else Range(space)

            def read(given: Any) -> np.ndarray:
                array = given if type(given) is np.ndarray and given.dtype == dtype else _as_type(given, dtype, shape)
                if array.shape != shape:
                    raise ValueError(f"of shape {array.shape}, but its space has {shape}")
                if choices is not None and (bad := choices.strays(array)).any():
                    raise ValueError(f"of {float(array[bad].flat[0]):.6g}, which is not in {_called(space)}")
                return array

            return read


def _part(given: Any, name: Any, kind: Any) -> Any:
    """A part of an observation; parts beside those of the space are nobody's."""
    if not isinstance(given, kind):
        raise ValueError(f"of {shown(given)}, but its space is one of several parts")
    try:
        return given[name]
    except (LookupError, TypeError):
        raise ValueError(f"without the part {name!r} of its space") from None


def _as_type(given: Any, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers as an array of a type, rounded where it is of floats. Raises `ValueError` for what it cannot hold."""
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):  # lists of several lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"of {shown(given)}, which is no array of numbers")
    if array.shape != shape:
        raise ValueError(f"of shape {array.shape}, but its space has {shape}")
    with np.errstate(invalid="ignore", over="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "biu" and (bad := cast != array).any():
        raise ValueError(
            f"of {float(array[bad].flat[0]):.6g}, which is not in its space of whole numbers ({dtype.name})"
        )
    return cast


def dtype_of(space: Space) -> np.dtype:
    """The type of a member, as the environment has it. Raises `InputError` for a space of several parts."""
    if isinstance(space, Dict | Tuple):
        raise InputError(f"{space} has several parts, and no type: give one of them.")
    try:
        return np.dtype(np.int8 if isinstance(space, MultiBinary) else space.dtype)
    except TypeError:  # of JAX alone, as bfloat16
        return np.dtype(np.float32)


def _called(space: Space) -> str:
    """A space of choices as Gymnasium writes it."""
    match space:
        case Discrete():
            return f"Discrete({space.n}{f', start={space.start}' if space.start else ''})"
        case MultiDiscrete():
            starts = f", start={shown(list(space.starts))}" if any(space.starts) else ""
            return f"MultiDiscrete({shown(list(space.sizes))}{starts})"
        case _:
            return f"MultiBinary({shape_of(space)})"


def caster(space: Space) -> Callable[[Member], Member]:
    """A function that brings observations of a space to the types that JAX computes with."""
    match space:
        case Dict():
            casters = {name: caster(part) for name, part in space.parts}
            return lambda obs: {name: cast(obs[name]) for name, cast in casters.items()}
        case Tuple():
            parts = tuple(caster(part) for part in space.parts)
            return lambda obs: tuple(cast(obs[i]) for i, cast in enumerate(parts))
        case Box(dtype="int64" | "uint32" | "uint64"):
            return lambda obs: np.asarray(obs, np.float32)  # int32 would take its greatest numbers for negative ones
        case _:
            return _cast_array


def _cast_array(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, _computed_dtype(array.dtype))


@functools.lru_cache(maxsize=64)
def _computed_dtype(dtype: np.dtype) -> np.dtype:
    if np.issubdtype(dtype, np.floating):
        return np.dtype(np.float32)
    return dtype if dtype in (np.dtype(np.uint8), np.dtype(np.bool_)) else np.dtype(np.int32)


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
