"""Jumps (discontinuities) of a function, found in its trace."""

import operator
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from ..errors import InputError
from .interpreter import calls_host, enter, Follow, is_trusted, own_name
from .singularities import poles

# Operations whose result jumps while their argument moves.
JUMPING = frozenset({
    "gt", "ge", "lt", "le", "eq", "ne", "floor", "ceil", "round", "sign", "argmax", "argmin", "rem", "nextafter",
    "bitcast_convert_type", "lu", "qr", "geqrf", "geqp3", "eig", "schur", "hessenberg", "tridiagonal",
})  # fmt: skip

Found = dict[str, set[int]]  # names of jumping operations, and the places where they are


def jumps(function: Callable[..., Any], *args: Any, positive: bool = False) -> list[str]:
    """The jumping operations that see a value derived from the arguments, by JAX's names; empty if there is none.

    A division jumps where what it divides by passes 0, which it does not where the arguments are all `positive` and it
    follows from that.
    """
    closed = jax.make_jaxpr(function)(*args)
    found: Found = {}
    follow(closed.jaxpr, [True] * len(closed.jaxpr.invars), found)
    host = ["a function on the host"] if calls_host(closed.jaxpr) else []
    return list(dict.fromkeys([*found, *poles(closed, positive), *host]))


def common_jumps(function: Callable[..., Any], params: Any, events: Any) -> list[str]:
    """The jumping operations that see values of the parameters and of the events: these jump elsewhere if they move.

    Both are pytrees of arrays; events that are no floats are followed by nothing.
    """
    floats = jax.tree.leaves(jax.tree.map(eqx.is_inexact_array, events))
    of_params = [True] * len(jax.tree.leaves(params)) + [False] * len(floats)
    of_events = [False] * len(jax.tree.leaves(params)) + floats
    jaxpr, seen = jax.make_jaxpr(function)(params, events).jaxpr, ({}, {})
    for found, marks in zip(seen, (of_params, of_events), strict=True):
        follow(jaxpr, marks, found)
    return [name for name, places in seen[0].items() if places & seen[1].get(name, set())]


def refuse_jumps(function: Callable[..., Any], events: Any, sentence: str, positive: bool = False) -> None:
    """Raises `InputError` if a function of a batch of events may jump; `{}` in the sentence stands for what jumps."""
    one = jax.tree.map(lambda x: x[:1], events)
    if found := jumps(function, one, positive=positive):
        raise InputError(sentence.format(", ".join(found)))


def follow(jaxpr: Any, reached: list[bool], found: Found, stopped: bool = False) -> list[bool]:
    """Marks what depends on the reached inputs; returns which outputs do."""
    known = {var for var, yes in zip(jaxpr.invars, reached, strict=True) if yes}
    read = {var for group in [*(eqn.invars for eqn in jaxpr.eqns), jaxpr.outvars] for var in group if _is_var(var)}
    for eqn in jaxpr.eqns:
        marks = [_is_in(var, known) for var in eqn.invars]
        if not any(marks) or (eqn.primitive.name == "stop_gradient" and not stopped):
            continue
        outputs = [True] * len(eqn.outvars)
        if jump := _jump(eqn, [var in read for var in eqn.outvars]):
            found.setdefault(jump, set()).add(id(eqn))
        else:
            # What has a derivative of its own, or is known to be continuous, is not looked through for jumps.
            seen = {} if is_trusted(eqn) else found
            outputs = _enter(eqn, marks, seen, stopped) or outputs
        known |= {var for var, yes in zip(eqn.outvars, outputs, strict=True) if yes}
    return [_is_in(var, known) for var in jaxpr.outvars]


def _enter(eqn: Any, marks: list[bool], found: Found, stopped: bool) -> list[bool] | None:
    """Which results of an operation with functions inside depend on what is marked; `None` for one without."""

    def walk(body, marks, quiet):
        return follow(body, marks, {} if quiet else found, stopped)

    return enter(eqn, marks, Follow(walk, operator.or_, operator.or_, operator.or_, True))


def _jump(eqn: Any, used: list[bool]) -> str | None:
    """What to call an operation that jumps; `None` where it does not, or where nobody uses what it gives."""
    name = eqn.primitive.name
    if name == "convert_element_type" and not jnp.issubdtype(eqn.params["new_dtype"], jnp.inexact):
        return "a cast to integers" if _is_float(eqn.invars[0]) and used[0] else None
    if name in ("eq", "ne") and (eqn.invars[0] is eqn.invars[1] or any(map(_is_infinite, eqn.invars))):
        return None  # it asks for NaN or infinity, as densities do
    own = own_name(eqn) or ""
    keys = eqn.params.get("num_keys", 0)
    # The sorted values, and those of a matrix, move without jumps. What comes along with them, as their indices or
    # vectors, does not; nor does the sign of a determinant.
    places = {"sort": used[keys:], "top_k": used[1:], "svd": used[1:], "eigh": used[:1]}.get(name)
    places = {"slogdet": used[:1], "eigh": used[1:]}.get(own, places)
    return own or name if any(used if places is None and name in JUMPING else places or ()) else None


def _is_var(var: Any) -> bool:
    return not isinstance(var, Literal)


def _is_in(var: Any, known: set[Any]) -> bool:
    return _is_var(var) and var in known


def _is_infinite(var: Any) -> bool:
    return isinstance(var, Literal) and bool(np.all(np.isinf(np.asarray(var.val, np.float64))))


def _is_float(var: Any) -> bool:
    return jnp.issubdtype(var.aval.dtype, jnp.inexact)
