"""How programs are compiled, and how many compiled programs of functions that users give are kept."""

import contextlib
import ctypes
import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax

from .usage import elements

P = ParamSpec("P")
T = TypeVar("T")
KEPT_SPECIALISED = 8  # programs of whole trainings, which are larger, and with them what their environments are made of
KEPT = 32  # programs: each takes some 6 megabytes, and a loop over fresh functions makes many
# Convolutions stay with Eigen, where XLA's newer library of products, YNN, would take three times as long; and what is
# fused is compiled in the older way, which makes as fast a program in a quarter of the memory.
CONVOLVING = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE",
    "xla_cpu_use_fusion_emitters": False,
}
_MMAP_THRESHOLD = -3  # of malloc.h


def compiler_options(jaxpr: Any) -> dict[str, Any]:
    """What a traced program is best compiled with. It concerns the CPU; elsewhere it changes nothing."""
    return CONVOLVING if elements(jaxpr, "conv_general_dilated") and _known() else {}


@functools.cache
def _known() -> bool:
    """Whether this version of XLA has these options: they come and go."""
    try:
        jax.jit(lambda: 0, compiler_options=CONVOLVING)()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def give_back_memory() -> None:
    """Hands what compiling took back to the system, which glibc would keep, and sees to it that large blocks are."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # there is no glibc
        _map_large_blocks()
        ctypes.CDLL(None).malloc_trim(0)


@functools.cache
def _map_large_blocks() -> None:
    """From now on glibc gives blocks of 1 MB or more back when they are free, unless the user says how large.

    It would leave each behind as a hole that the next one does not fit, since arrays are aligned: with a network of two
    million weights, 20 MB more in every iteration.
    """
    if "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 2**20)


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


def specialised(function: Callable[..., Any], static: Any, donate_argnums: int) -> Any:
    """`jax.jit` of `function(static, ...)`. An equal `static` gets the same one, which traces and compiles once.

    The `KEPT_SPECIALISED` last used stay. Where part of `static` has no hash, it is a new one each time.
    """
    leaves, structure = jax.tree.flatten(static)
    try:
        return _specialised(function, structure, tuple(leaves), tuple(map(type, leaves)), donate_argnums)
    except TypeError:
        return jax.jit(functools.partial(function, static), donate_argnums=donate_argnums)


@functools.lru_cache(maxsize=KEPT_SPECIALISED)
def _specialised(function: Any, structure: Any, leaves: Any, _kinds: Any, donate_argnums: int) -> Any:
    return jax.jit(functools.partial(function, structure.unflatten(leaves)), donate_argnums=donate_argnums)


def as_in_a_new_process() -> None:
    """Has what comes next traced, whatever was traced before."""
    _specialised.cache_clear()


def _apart(tree: Any) -> tuple[list[Any], Any, tuple[Any, ...]]:
    """The arrays of a pytree, its structure, and its leaves with `None` in place of each array."""
    leaves, structure = jax.tree.flatten(tree)
    others = tuple(None if eqx.is_array(x) else x for x in leaves)
    return [x for x, other in zip(leaves, others, strict=True) if other is None], structure, others


def _together(arrays: list[Any], structure: Any, others: tuple[Any, ...]) -> Any:
    rest = iter(arrays)
    return structure.unflatten([next(rest) if x is None else x for x in others])
