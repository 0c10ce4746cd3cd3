"""Compiled programs of functions that users give: the last few are kept, where `jax.jit` keeps them all."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax

P = ParamSpec("P")
T = TypeVar("T")
KEPT = 32  # programs: each takes some 6 megabytes, and a loop over fresh functions makes many


class _Rest(eqx.Module):
    """What of a result is no array."""

    value: Any = eqx.field(static=True)


def bounded_jit(function: Callable[P, T]) -> Callable[P, T]:
    """`jax.jit` of a function of any pytrees, also of such that hold functions; the `KEPT` programs last used stay.

    `equinox.filter_jit` has one `jax.jit` for all functions of a name, which lets go of none. Raises `TypeError` for an
    argument that is neither an array nor has a hash.
    """
    called: Callable[..., Any] = function

    @functools.lru_cache(maxsize=KEPT)
    def program(structure: Any, others: tuple[Any, ...], _kinds: tuple[type, ...]) -> Callable[[list[jax.Array]], Any]:
        def call(arrays):
            args, named = _together(arrays, structure, others)
            arrays, *rest = _apart(called(*args, **named))
            return arrays, _Rest(rest)

        return jax.jit(call)

    @functools.wraps(function)
    def bounded(*args: P.args, **named: P.kwargs) -> Any:
        arrays, structure, others = _apart((args, named))
        arrays, rest = program(structure, others, tuple(map(type, others)))(arrays)  # 1, 1.0 and True are equal
        return _together(arrays, *rest.value)

    return bounded


def _apart(tree: Any) -> tuple[list[Any], Any, tuple[Any, ...]]:
    """The arrays of a pytree, its structure, and its leaves with `None` in place of each array."""
    leaves, structure = jax.tree.flatten(tree)
    others = tuple(None if eqx.is_array(x) else x for x in leaves)
    return [x for x, other in zip(leaves, others, strict=True) if other is None], structure, others


def _together(arrays: list[Any], structure: Any, others: tuple[Any, ...]) -> Any:
    rest = iter(arrays)
    return structure.unflatten([next(rest) if x is None else x for x in others])
