"""Which numbers of a traced program are exact: the same whatever is drawn, because no draw reaches them.

A draw does not pass a factor that is known to be 0, as the slope of a ReLU that is off, a row of a table that is not
looked up, or a branch that is not taken. So it is asked of each number, at the values that the other inputs have.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal
from jaxtyping import Array, Bool

from .interpreter import CALLED, inner_of

# One number of the result for each number of what is given.
ELEMENTWISE = frozenset({
    "add", "add_any", "sub", "neg", "max", "min", "exp", "exp2", "expm1", "log", "log1p", "tanh", "logistic", "sin",
    "cos", "tan", "sqrt", "rsqrt", "cbrt", "square", "integer_pow", "pow", "abs", "sign", "erf", "erfc", "erf_inv",
    "lgamma", "digamma", "floor", "ceil", "round", "gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not", "is_finite",
    "convert_element_type", "reduce_precision", "copy", "copy_p", "stop_gradient", "clamp", "rem", "atan2",
})  # fmt: skip
# The numbers of the result are some of those of what comes first; what comes after says which.
MOVING = frozenset({
    "reshape", "transpose", "broadcast_in_dim", "squeeze", "expand_dims", "slice", "rev", "dynamic_slice", "gather",
})  # fmt: skip
REDUCING = frozenset({"reduce_sum", "reduce_max", "reduce_min", "reduce_and", "reduce_or", "reduce_prod"})
# What is put into an array, and the places where these operations have the array, the places and what is put there.
PUTTING = {"scatter": (0, 2), "scatter-add": (0, 2), "dynamic_update_slice": (0, 1)}


class Part(NamedTuple):
    """An array, and which of its numbers depend on draws: these stand for nothing. `None`: none of them does."""

    value: Array
    drawn: Any


def exact_numbers(traced: ClosedJaxpr, inputs: list[Array], drawn: list[bool]) -> list[Bool[Array, "..."]]:
    """For each number of a traced program's results, whether it is the same for all values of the inputs marked."""
    given = [_drawn(x) if yes else Part(x, None) for x, yes in zip(inputs, drawn, strict=True)]
    found = _walk(traced.jaxpr, traced.consts, given)
    return [jnp.ones(jnp.shape(x), bool) if no is None else ~no for x, no in found]


def _walk(jaxpr: Any, consts: Any, given: list[Part]) -> list[Part]:
    known = dict(zip(jaxpr.constvars, (Part(_as_jax(x), None) for x in consts), strict=True))
    known |= dict(zip(jaxpr.invars, given, strict=True))

    def read(var):
        return Part(jnp.asarray(var.val), None) if isinstance(var, Literal) else known[var]

    for eqn in jaxpr.eqns:
        known |= dict(zip(eqn.outvars, _results(eqn, [read(var) for var in eqn.invars]), strict=True))
    return [read(var) for var in jaxpr.outvars]


def _results(eqn: Any, given: list[Part]) -> list[Part]:
    name, bodies = eqn.primitive.name, list(inner_of(eqn))
    if all(part.drawn is None for part in given):
        found = _bind(eqn, [part.value for part in given])
        return [Part(x, None) for x in (found if eqn.primitive.multiple_results else [found])]
    if name in CALLED and len(bodies) == 1 and len(bodies[0].invars) == len(given):
        return _walk(bodies[0], _consts_of(eqn), given)
    rule = _rule(name) if all(_is_number(part.value) for part in given) else None
    found = None if rule is None else rule(eqn, given)
    return [_drawn(var.aval) for var in eqn.outvars] if found is None else [found]


def _rule(name: str) -> Callable[[Any, list[Part]], Part | None] | None:
    if name in ELEMENTWISE:
        return _elementwise
    if name in MOVING:
        return _moved
    if name in REDUCING:
        return _reduced
    if name in PUTTING:
        return _put
    return OTHERS.get(name)


def _elementwise(eqn: Any, given: list[Part]) -> Part:
    value = _bind(eqn, [part.value for part in given])
    marks = [jnp.broadcast_to(part.drawn, value.shape) for part in given if part.drawn is not None]
    return Part(value, _any(marks))


def _product(eqn: Any, given: list[Part]) -> Part:
    value, drawn = _elementwise(eqn, given)
    zero = (given[0].value == 0) & ~_mark(given[0]) | (given[1].value == 0) & ~_mark(given[1])
    return Part(jnp.where(zero, jnp.zeros_like(value), value), drawn & ~zero)


def _quotient(eqn: Any, given: list[Part]) -> Part:
    top, bottom = given
    zero = (top.value == 0) & ~_mark(top)
    value, drawn = _elementwise(eqn, [top, Part(jnp.ones_like(bottom.value), bottom.drawn)])
    return Part(value, drawn & ~zero)


def _dot(eqn: Any, given: list[Part]) -> Part:
    """A term counts where one factor is drawn and the other is not known to be 0."""
    value = _bind(eqn, [part.value for part in given])
    marks = [_mark(part) for part in given]
    alive = [mark | (part.value != 0) for mark, part in zip(marks, given, strict=True)]
    pairs = [(marks[0], alive[1]), (alive[0], marks[1])]
    counts = [_bind(eqn, [x.astype(p.value.dtype) for x, p in zip(pair, given, strict=True)]) for pair in pairs]
    return Part(value, (counts[0] + counts[1]) > 0)


def _select(eqn: Any, given: list[Part]) -> Part:
    which, *cases = given
    marks = [_mark(case) for case in cases]
    drawn = _bind(eqn, [which.value, *marks])
    if which.drawn is not None:
        # Whichever it is: it is known where all cases are known to be the same.
        differ = _any([case.value != cases[0].value for case in cases[1:]])
        drawn = jnp.where(which.drawn, _any(marks) | differ, drawn)
    return Part(_bind(eqn, [which.value, *(case.value for case in cases)]), drawn)


def _moved(eqn: Any, given: list[Part]) -> Part | None:
    if any(part.drawn is not None for part in given[1:]):
        return None
    rest = [part.value for part in given[1:]]
    return Part(_bind(eqn, [given[0].value, *rest]), _bind(eqn, [_as(given[0]), *rest]) != 0)


def _joined(eqn: Any, given: list[Part]) -> Part:
    return Part(_bind(eqn, [part.value for part in given]), _bind(eqn, [_as(part) for part in given]) != 0)


def _reduced(eqn: Any, given: list[Part]) -> Part:
    value = _bind(eqn, [part.value for part in given])
    return Part(value, jnp.any(_mark(given[0]), axis=eqn.params["axes"]))


def _put(eqn: Any, given: list[Part]) -> Part | None:
    arrays = PUTTING[eqn.primitive.name]
    if any(part.drawn is not None for i, part in enumerate(given) if i not in arrays):
        return None
    marks = [_as(part) if i in arrays else part.value for i, part in enumerate(given)]
    return Part(_bind(eqn, [part.value for part in given]), _bind(eqn, marks) != 0)


def _mark(part: Part) -> Bool[Array, "..."]:
    return jnp.zeros(part.value.shape, bool) if part.drawn is None else part.drawn


def _as(part: Part) -> Array:
    """Ones where it is drawn, of the type of the numbers: operations are made for that."""
    return _mark(part).astype(part.value.dtype)


OTHERS = {
    "mul": _product, "div": _quotient, "dot_general": _dot, "select_n": _select, "concatenate": _joined, "pad": _joined,
}  # fmt: skip


def _any(marks: list[Array]) -> Array:
    total = marks[0]
    for mark in marks[1:]:
        total = total | mark
    return total


def _drawn(like: Any) -> Part:
    """All of it drawn. A key, in whose place there are no numbers, stands for itself."""
    return Part(jnp.zeros(like.shape, like.dtype) if _is_number(like) else like, jnp.ones(like.shape, bool))


def _as_jax(x: Any) -> Array:
    return x if isinstance(x, Array) else jnp.asarray(x)


def _is_number(like: Any) -> bool:
    return jnp.issubdtype(like.dtype, jnp.number) or jnp.issubdtype(like.dtype, jnp.bool_)


def _bind(eqn: Any, values: list[Array]) -> Any:
    return eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))


def _consts_of(eqn: Any) -> Any:
    inner = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr")
    return getattr(inner, "consts", ())
