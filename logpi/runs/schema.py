"""The schema of configurations: what a file may name, what each field may be, to JSON and back.

Nothing else is ever made from a file.
"""

import dataclasses
import functools
import json
import math
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from .. import spaces
from ..advantages import Standardised, Unchanged
from ..algorithms import A2C, ARS, DDPG, ES, IMPALA, NPG, PGPE, PPO, REINFORCE, SAC, TD3, TRPO
from ..credit import GAE, MonteCarlo, NStep, VTrace
from ..demonstrations import WarmStart
from ..errors import check_whole, InputError, said, shown
from ..experience import Latest, Replay
from ..learners.optimisers import Adam, SGD
from ..measurements import Measurement
from ..models import Network
from ..transforms import RewardScaling
from .files import as_json, spelled, write_atomically
from .options import EvaluationPlan, Every, FaultTolerance
from .settings import Settings

PARTS: list[type] = [
    PPO, A2C, REINFORCE, TRPO, NPG, IMPALA, SAC, TD3, DDPG, PGPE, ES, ARS, GAE, MonteCarlo, NStep, VTrace,
    Standardised, Unchanged, Latest, Replay, Adam, SGD, Network, RewardScaling, Settings, Measurement, Every,
    FaultTolerance, EvaluationPlan, WarmStart,
]  # fmt: skip
SPACES = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary, spaces.Box, spaces.Dict, spaces.Tuple)
KNOWN: dict[str, Any] = {kind.__name__: kind for kind in (*PARTS, *SPACES)}
MOST_ENTRIES = 2**26  # numbers in an observation or action
MOST_AXES = 32
_DTYPES = ("bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)), "float16", "float32",
           "float64", "bfloat16")  # fmt: skip


def register(kind: type) -> type:
    """Lets files name a dataclass of the user's own, so that runs with it are read and resumed without giving it again.

    It is made from its fields, which must be numbers, texts, truths, tuples, or of known kinds themselves. To be called
    wherever such runs are written or read, as a decorator or a function. A class that is defined anew, in a notebook
    say, takes the place of the one before. Raises `InputError` for what is no dataclass, and for a name that another
    kind has.
    """
    if not isinstance(kind, type) or not dataclasses.is_dataclass(kind):
        raise InputError(f"{shown(kind)} is no dataclass, of whose fields a file could hold the values: give a class.")
    before = KNOWN.get(kind.__name__, kind)
    if (before.__module__, before.__qualname__) != (kind.__module__, kind.__qualname__):
        raise InputError(f"{kind.__name__} is the name of another kind already: give your class a name of its own.")
    PARTS[:] = [known for known in PARTS if known is not before] + [kind]
    KNOWN[kind.__name__] = kind
    return kind


@dataclasses.dataclass(frozen=True)
class Custom:
    """What stands in a configuration for an object of the user's own: how it printed itself. It can do nothing."""

    text: str


def name_of_kind(thing: Any) -> str:
    """The name of an object's class; of one of which only a text is kept, the word that the text begins with."""
    word = re.match(r"[A-Za-z]\w{0,99}", thing.text) if isinstance(thing, Custom) else None
    return word.group() if word else type(thing).__name__


def build(name: str, fields: dict[str, Any]) -> Any:
    """The object of a known kind with these fields. Raises `InputError` where it does not take them."""
    kind = KNOWN[name]
    hints = _hints(kind)
    if unknown := set(fields) - set(hints):
        raise InputError(f"The configuration of {name} has unknown fields: {shown(', '.join(sorted(unknown)))[1:-1]}.")
    for field, value in fields.items():
        if kind in PARTS and not _is_one(value, hints[field]):
            raise InputError(f"The configuration of {name} has {shown(value)} for {field}: the run folder is damaged.")
    try:
        made = kind(**fields)
        if kind in SPACES:
            _check_space(made)
    except TypeError as error:
        raise InputError(
            f"The configuration of {name} lacks something ({said(error, 160)}): the run folder is damaged."
        ) from None
    return made


def own_parts(value: Any, path: str = "settings") -> list[str]:
    """Where in settings an object of the user's own stands, of which a file keeps only how it printed itself."""
    if isinstance(value, Custom):
        return [path]
    if type(value) not in PARTS:
        return []
    return [p for name in _written(type(value)) for p in own_parts(getattr(value, name), f"{path}.{name}")]


def _written(kind: type) -> list[str]:
    """The fields of a kind that files hold."""
    return [f.name for f in dataclasses.fields(kind) if f.metadata.get("written", True)]


@functools.lru_cache(maxsize=256)
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {name: hints[name] for name in _written(kind)}


def _is_one(value: Any, hint: Any) -> bool:
    """Whether a value from a file is of the kind that a field is declared to be."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):  # pyright: ignore[reportDeprecated]
        return any(_is_one(value, part) for part in typing.get_args(hint))
    if typing.get_origin(hint) is Literal:
        return isinstance(value, str) and value in typing.get_args(hint)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, tuple):
            return False
        parts = typing.get_args(hint)
        kinds = parts[:1] * len(value) if parts[1:] == (...,) else parts
        return len(kinds) == len(value) and all(map(_is_one, value, kinds))
    if hint is Any or not isinstance(hint, type):
        return True  # nothing that could be asked for
    return isinstance(value, hint) or (isinstance(value, Custom) and hint not in _PLAIN)


_PLAIN = (str, bool, tuple, types.NoneType)  # which a file holds itself, and never as the text of an object


def _check_space(space: spaces.Space) -> None:
    """Raises `InputError` for a space that none of an environment can be; parts have been checked before it."""
    match space:
        case spaces.Discrete():
            check_whole("n of a Discrete space", space.n, 1, MOST_ENTRIES)
            check_whole("start of a Discrete space", space.start, -(2**31), 2**31 - 1)
            _check_dtype(space)
        case spaces.MultiDiscrete():
            _check_wholes("sizes", space.sizes, 1)
            _check_wholes("starts", space.starts, -(2**31))
            _check_shape(space.shape)
            _check(space, len(space.starts) in (0, len(space.sizes)))
            _check(space, space.shape == () or math.prod(space.shape) == len(space.sizes))
            _check_dtype(space)
        case spaces.MultiBinary():
            _check_shape(space.shape)
        case spaces.Box():
            _check_shape(space.shape)
            _check_dtype(space)
            _check(space, all(_is_bound(bound, math.prod(space.shape)) for bound in (space.low, space.high)))
        case spaces.Dict() | spaces.Tuple():
            named = isinstance(space, spaces.Dict)
            _check(space, isinstance(space.parts, tuple) and all(_is_part(part, named) for part in space.parts))
    check_whole("the number of entries of a space", spaces.encoded_size(space), 0, MOST_ENTRIES)


def _check(space: Any, good: bool) -> None:
    if not good:
        raise InputError(f"{shown(space)} is no space of an environment's: the run folder is damaged.")


def _check_dtype(space: spaces.Discrete | spaces.MultiDiscrete | spaces.Box) -> None:
    _check(space, isinstance(space.dtype, str) and space.dtype in _DTYPES)


def _check_wholes(name: str, values: Any, low: int) -> None:
    if not isinstance(values, tuple):
        raise InputError(f"{name} is {shown(values)}, but it must be whole numbers: the run folder is damaged.")
    for value in values:
        check_whole(f"one of {name}", value, low, 2**31 - 1)


def _check_shape(shape: Any) -> None:
    _check_wholes("shape", shape, 0)
    check_whole("the number of axes of a shape", len(shape), 0, MOST_AXES)
    check_whole("the number of entries of a shape", math.prod(shape), 0, MOST_ENTRIES)


def _is_bound(bound: Any, entries: int) -> bool:
    numbers = bound if isinstance(bound, tuple) else (bound,)
    if isinstance(bound, tuple) and len(bound) != entries:
        return False
    return all(isinstance(x, (int, float)) and not isinstance(x, bool) and x == x for x in numbers)


def _is_part(part: Any, named: bool) -> bool:
    if not named:
        return isinstance(part, SPACES)
    return isinstance(part, tuple) and len(part) == 2 and _is_name(part[0]) and isinstance(part[1], SPACES)


def _is_name(name: Any) -> bool:
    """Whether a part can be called that: a text, a number, a truth, nothing, or several of these."""
    return all(map(_is_name, name)) if isinstance(name, tuple) else isinstance(name, str | int | float | None)


_NUMBERS = ("inf", "-inf", "nan")  # that JSON has no word for


def to_json(value: Any) -> Any:
    """A configuration as plain JSON: an object of a known kind becomes a dictionary with its `kind`.

    Numbers that JSON lacks are written as text ("inf"), and a text that reads as such a number under `text`; an object
    of an unknown kind as its `repr`, under `custom`.
    """
    return as_json(value, spelled, _described, lambda text: {"text": text} if text in _NUMBERS else text)


def _described(value: Any) -> Any:
    """In words that JSON knows, or holding what can be described again."""
    if type(value).__name__ in KNOWN and KNOWN[type(value).__name__] is type(value):
        return {"kind": type(value).__name__, **{name: getattr(value, name) for name in _written(type(value))}}
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        return np.asarray(value).tolist()
    return {"custom": value.text if isinstance(value, Custom) else _printed(value)}


def _printed(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # an object of the user's
        return shown(value)


def from_json(data: Any) -> Any:
    """What `to_json` was given, with `Custom` in the place of what was of the user's own.

    Raises `InputError` for a kind that is not known, or fields that it does not take.
    """
    if isinstance(data, list):
        return tuple(from_json(item) for item in data)
    if isinstance(data, str) and data in _NUMBERS:
        return float(data)
    if not isinstance(data, dict):
        return data
    if data.keys() == {"text"}:
        return str(data["text"])
    if "custom" in data:
        return Custom(str(data["custom"]))
    if "kind" not in data:
        return {name: from_json(item) for name, item in data.items()}
    if not isinstance(data["kind"], str) or data["kind"] not in KNOWN:
        raise InputError(f"The configuration names {shown(data['kind'])}, which is none of {', '.join(sorted(KNOWN))}.")
    return build(data["kind"], {name: from_json(item) for name, item in data.items() if name != "kind"})


def write_json(path: Path, value: Any) -> None:
    """`to_json` of a value, indented, atomically."""
    write_atomically(path, (json.dumps(to_json(value), indent=2) + "\n").encode())


def differences(mine: Any, theirs: Any, path: str = "settings") -> Iterator[tuple[str, str, str]]:
    """Where two configurations in JSON differ: the place, and both values as text, without addresses of objects."""
    if isinstance(mine, dict) and isinstance(theirs, dict) and mine.get("kind") == theirs.get("kind"):
        for name in {**mine, **theirs}:
            # What an older logpi did not write stands at its default.
            if name in mine and name in theirs:
                yield from differences(mine[name], theirs[name], path if name == "custom" else f"{path}.{name}")
        return
    if isinstance(mine, dict) and "custom" in mine and isinstance(theirs, dict) and "kind" in theirs:
        return  # registered since: only its text was kept, with which nothing can be compared
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for i, pair in enumerate(zip(mine, theirs, strict=True)):
            yield from differences(*pair, f"{path}[{i}]")
        return
    before, now = (_ADDRESS.sub("", repr(side)) for side in (mine, theirs))
    if before != now:
        yield path, *_where_they_part(before, now)


def _where_they_part(one: str, other: str) -> tuple[str, str]:
    """Two texts from shortly before they differ: a long beginning in common says nothing."""
    common = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, common - 20) if max(len(one), len(other)) > 60 else 0
    return _cut(one, start), _cut(other, start)


def _cut(text: str, start: int) -> str:
    return ("..." if start else "") + text[start : start + 60] + ("..." if len(text) > start + 60 else "")


_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
