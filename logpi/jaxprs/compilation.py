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
            rest = iter(arrays)
            args, named = structure.unflatten([next(rest) if x is None else x for x in others])
            dynamic, static = eqx.partition(called(*args, **named), eqx.is_array)
            return dynamic, _Rest(static)

        return jax.jit(call)

    @functools.wraps(function)
    def bounded(*args: P.args, **named: P.kwargs) -> Any:
        leaves, structure = jax.tree.flatten((args, named))
        others = tuple(None if eqx.is_array(x) else x for x in leaves)
        arrays = [x for x in leaves if eqx.is_array(x)]
        dynamic, rest = program(structure, others, tuple(map(type, others)))(arrays)  # 1, 1.0 and True are equal
        return eqx.combine(dynamic, rest.value)

    return bounded
