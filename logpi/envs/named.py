"""Which environments a name and options make again, and whether one that a function made is one of them."""

import contextlib
import dataclasses
import enum
import math
import types
from collections.abc import Collection
from typing import Any

import numpy as np

MOST_DEEP = 8  # of options within options
_IDLE_WRAPPERS = ("PassiveEnvChecker", "OrderEnforcing")  # of Gymnasium's: they look on, and change nothing
_PASSED_OVER = ("_cached_spec",)  # filled in when it is first asked for
_MARKS = ("kind", "custom", "text")  # of what a run's configuration writes otherwise than JSON does
MOST_PARTS = 20_000
_HEAP_TYPE = 1 << 9  # the flag of classes that a program makes
_ATOMS = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, range, set, frozenset, enum.Enum)
_SAME_OR_NOT = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)


SUITES = ("gymnasium", "envpool", "ale", "gymnax", "phys2d", "probe")


def suite_of(name: str) -> str:
    """The suite that a name begins with, or nothing."""
    first, colon, _ = name.partition(":")
    return first if colon and first in SUITES else ""


@dataclasses.dataclass(frozen=True)
class Named:
    """What makes an environment again: a name that begins with its suite, and options in plain values."""

    name: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    @property
    def suite(self) -> str:
        """The suite that the name begins with; empty where it leaves that to `resolve`."""
        return suite_of(self.name)


def named(suite: str, id: str, options: dict[str, Any]) -> Named | None:
    """An environment of a suite, by its id; `None` where a file could not hold its options as they are."""
    return Named(f"{suite}:{id}", dict(options)) if all(map(_is_plain, options.values())) else None


def _is_plain(value: Any, deep: int = MOST_DEEP) -> bool:
    """Whether JSON holds a value so that it comes back the same: a tuple would come back as a list."""
    if type(value) is dict:
        names = all(type(name) is str and name not in _MARKS for name in value)
        return deep > 0 and names and all(_is_plain(item, deep - 1) for item in value.values())
    if type(value) is list:
        return deep > 0 and all(_is_plain(item, deep - 1) for item in value)
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (bool, str) or (type(value) is int and abs(value) < 2**53)


def named_as(made: Any) -> Named | None:
    """The name and options that make an environment of Gymnasium's again; `None` where none are known to.

    What `gymnasium.make` noted of it is not trusted: another is made by it, and both must consist of the same, from the
    outermost wrapper to the last attribute. So a wrapper, a time limit that was taken off, or a length that was set
    anew show. What cannot be looked into counts as other.
    """
    import gymnasium

    registered = gymnasium.registry.get(made.spec.id) if made.spec else None
    if registered is None:
        return None
    drawn = {name: value for name, value in made.spec.kwargs.items() if name == "render_mode"}
    kwargs = {name: value for name, value in made.spec.kwargs.items() if name not in drawn}
    options = {name: value for name, value in kwargs.items() if not alike(registered.kwargs.get(name, ...), value)}
    if made.spec.max_episode_steps != registered.max_episode_steps:
        options["max_episode_steps"] = made.spec.max_episode_steps or -1  # as Gymnasium writes "without a limit"
    found = named("gymnasium", registered.id, options)
    if found is None or len(made.spec.additional_wrappers) != len(registered.additional_wrappers):
        return None
    try:
        again = gymnasium.make(registered.id, disable_env_checker=True, **drawn, **options)
    except Exception:  # it needs more than this, or there can be only one
        return None
    with contextlib.closing(again):
        return found if alike(_without_idle(made), _without_idle(again)) else None


def _without_idle(env: Any) -> Any:
    import gymnasium

    while isinstance(env, gymnasium.Wrapper) and type(env).__name__ in _IDLE_WRAPPERS:
        env = env.env
    return env


def alike(one: Any, other: Any) -> bool:
    """Whether two objects consist of the same, however deep; sources of random numbers always do."""
    seen: dict[tuple[int, int], Any] = {}  # with the objects, so that no other gets their addresses
    left = [(one, other)]
    while left:
        one, other = map(_without_idle, left.pop())
        if one is other or (id(one), id(other)) in seen:
            continue
        if type(one) is not type(other) or isinstance(one, _SAME_OR_NOT) or len(seen) > MOST_PARTS:
            return False
        if isinstance(one, np.random.Generator | np.random.RandomState):
            continue
        if isinstance(one, _ATOMS):
            if one == other or (one != one and other != other):  # NaN is NaN
                continue
            return False
        seen[id(one), id(other)] = one, other
        parts, others = _parts(one), _parts(other)
        if parts is None or others is None or parts.keys() != others.keys():
            return False
        left += [(parts[name], others[name]) for name in parts]
    return True


def _parts(thing: Any) -> dict[Any, Any] | None:
    """What an object consists of: items, attributes of Python's, and those that an object of C shows.

    `None` where it shows nothing that could be compared.
    """
    if hasattr(type(thing), "__array__"):  # of whatever an environment holds
        array = np.asarray(thing)
        content = array.tolist() if array.dtype.hasobject else array.tobytes()
        return {"type": str(array.dtype), "shape": array.shape, "content": content}
    if isinstance(thing, types.MethodType):
        return {"of": thing.__self__, "function": thing.__func__}
    slots: list[str] = [name for kind in type(thing).__mro__ for name in np.atleast_1d(vars(kind).get("__slots__", ()))]
    # No data but Python's: a class of Python's, no larger than its attributes make it.
    most = object.__basicsize__ + 8 * (2 + len(slots))
    plain = bool(type(thing).__flags__ & _HEAP_TYPE) and type(thing).__basicsize__ <= most
    found = {name: value for name, value in getattr(thing, "__dict__", {}).items() if name not in _PASSED_OVER}
    for name in slots if plain else dir(thing):
        with contextlib.suppress(Exception):  # not set, or not to be had now
            if plain or not (name.startswith("_") or callable(getattr(thing, name))):
                found[name] = getattr(thing, name)
    sized = isinstance(thing, Collection)
    if sized:
        found |= {("item", name): x for name, x in (thing.items() if isinstance(thing, dict) else enumerate(thing))}
    return found if found or plain or sized else None
