"""Reading a traced function: whether it may jump, and how much room it takes."""

import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from ..errors import InputError
from .poles import poles

# Operations whose result jumps while their argument moves.
JUMPING = {
    "gt",
    "ge",
    "lt",
    "le",
    "eq",
    "ne",
    "floor",
    "ceil",
    "round",
    "sign",
    "argmax",
    "argmin",
    "rem",
    "nextafter",
    "bitcast_convert_type",
}
# Functions of JAX that compare inside and are continuous all the same.
CONTINUOUS = {
    "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "hard_tanh", "hard_sigmoid", "hard_swish", "softplus",
    "logaddexp", "log_sigmoid", "silu", "gelu", "sigmoid", "clip", "_interp", "interp", "sinc", "xlogy", "norm",
}  # fmt: skip
OWN = os.path.dirname(jax.__file__) + os.sep
CUSTOM = ("custom_jvp_call", "custom_vjp_call")


def jumps(function: Callable, *args: Any, positive: bool = False) -> list[str]:
    """The jumping operations that see a value derived from the arguments, by JAX's names; empty if there is none.

    A division jumps where what it divides by passes 0, which it does not where the arguments are all `positive` and it
    follows from that.
    """
    closed = jax.make_jaxpr(function)(*args)
    found: dict[str, None] = {}
    _follow(closed.jaxpr, [True] * len(closed.jaxpr.invars), found)
    found |= dict.fromkeys(poles(closed, positive))
    if calls_host(closed.jaxpr):
        found["a function on the host"] = None
    return list(found)


def refuse_jumps(function: Callable, events: Any, sentence: str, positive: bool = False) -> None:
    """Raises `InputError` if a function of a batch of events may jump; `{}` in the sentence stands for what jumps."""
    one = jax.tree.map(lambda x: x[:1], events)
    if found := jumps(function, one, positive=positive):
        raise InputError(sentence.format(", ".join(found)))


def _follow(jaxpr: Any, reached: list[bool], found: dict[str, None], stopped: bool = False) -> list[bool]:
    """Marks what depends on the reached inputs; returns which outputs do."""
    known = {var for var, yes in zip(jaxpr.invars, reached, strict=True) if yes}
    read = {var for group in [*(eqn.invars for eqn in jaxpr.eqns), jaxpr.outvars] for var in group if _is_var(var)}
    for eqn in jaxpr.eqns:
        marks = [_is_in(var, known) for var in eqn.invars]
        if not any(marks) or (eqn.primitive.name == "stop_gradient" and not stopped):
            continue
        name = eqn.primitive.name
        outputs = [True] * len(eqn.outvars)
        if jump := _jump(eqn, [var in read for var in eqn.outvars]):
            found[jump] = None
        else:
            # What has a derivative of its own, or is known to be continuous, is not looked through for jumps.
            trusted = is_trusted(eqn)
            for inner in inner_of(eqn):
                same = len(inner.invars) == len(marks)
                if name == "scan":
                    marks = _carried(eqn, inner, marks, stopped)
                seen = {} if trusted else found
                outputs_inside = _follow(inner, marks if same else [True] * len(inner.invars), seen, stopped)
                if name in (*CUSTOM, "pjit", "jit", "closed_call") and same:
                    outputs = outputs_inside
        known |= {var for var, yes in zip(eqn.outvars, outputs, strict=True) if yes}
    return [_is_in(var, known) for var in jaxpr.outvars]


def _carried(eqn: Any, inner: Any, marks: list[bool], stopped: bool) -> list[bool]:
    """The marks of a scan's body after as many rounds as they spread from one part of the carry to another."""
    start = eqn.params["num_consts"]
    end = start + eqn.params["num_carry"]
    while True:
        after = _follow(inner, marks, {}, stopped)[: end - start]
        spread = [*marks[:start], *(a or b for a, b in zip(marks[start:end], after, strict=True)), *marks[end:]]
        if spread == marks:
            return marks
        marks = spread


def _jump(eqn: Any, used: list[bool]) -> str | None:
    """What to call an operation that jumps; `None` where it does not, or where nobody uses what it gives."""
    name = eqn.primitive.name
    if name == "convert_element_type" and not jnp.issubdtype(eqn.params["new_dtype"], jnp.inexact):
        return "a cast to integers" if _is_float(eqn.invars[0]) and used[0] else None
    if name in ("eq", "ne") and (eqn.invars[0] is eqn.invars[1] or any(map(_is_infinite, eqn.invars))):
        return None  # it asks for NaN or infinity, as densities do
    # The sorted values move without jumps. What is sorted along with them, as their indices, does not.
    places = {"sort": used[eqn.params.get("num_keys", 0) :], "top_k": used[1:]}.get(name)
    return name if any(used if places is None and name in JUMPING else places or ()) else None


def _is_var(var: Any) -> bool:
    return not isinstance(var, Literal)


def _is_in(var: Any, known: set) -> bool:
    return _is_var(var) and var in known


def _is_infinite(var: Any) -> bool:
    return isinstance(var, Literal) and bool(np.all(np.isinf(np.asarray(var.val, np.float64))))


def _is_float(var: Any) -> bool:
    return jnp.issubdtype(var.aval.dtype, jnp.inexact)


def is_trusted(eqn: Any) -> bool:
    """Whether what is inside of an operation is continuous, however it compares: one of JAX's own functions.

    One of the user's may have the same name.
    """
    if eqn.primitive.name in CUSTOM:
        return True
    inner = getattr(eqn.params.get("jaxpr"), "jaxpr", None)
    source = getattr(getattr(inner, "debug_info", None), "func_src_info", None) or ""
    return eqn.params.get("name") in CONTINUOUS and f" at {OWN}" in source


def inner_of(eqn: Any) -> Iterator[Any]:
    """The functions inside an operation: bodies of loops, branches, jitted parts."""
    for value in eqn.params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if hasattr(item, "eqns"):  # of JAX
                yield item
            elif hasattr(item, "jaxpr") and hasattr(item.jaxpr, "eqns"):  # of JAX
                yield item.jaxpr


def calls_host(jaxpr: Any) -> bool:
    """Whether a traced function calls back into Python."""
    return any("callback" in eqn.primitive.name for eqn in equations(jaxpr))


def equations(jaxpr: Any) -> Iterator[Any]:
    """Every operation of a traced function, those inside of loops and branches too."""
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in inner_of(eqn):
            yield from equations(inner)


def room(jaxpr: Any) -> int:
    """The largest number of elements that one operation gives."""
    shapes = ([getattr(var.aval, "shape", ()) for var in eqn.outvars] for eqn in equations(jaxpr))
    sizes = (sum(math.prod(shape) for shape in group) for group in shapes)
    return max(sizes, default=1)


def reaches(function: Callable, tree: Any, stopped: bool = False) -> Any:
    """For each leaf of a pytree of arrays, whether the result depends on it; if `stopped`, by `stop_gradient` too."""
    leaves, structure = jax.tree.flatten(tree)
    jaxpr = jax.make_jaxpr(lambda *leaves: function(jax.tree.unflatten(structure, leaves)))(*leaves).jaxpr
    marks = [[i == j for j in range(len(leaves))] for i in range(len(leaves))]
    return jax.tree.unflatten(structure, [any(_follow(jaxpr, mark, {}, stopped)) for mark in marks])
