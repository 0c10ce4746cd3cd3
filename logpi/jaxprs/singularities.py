"""Where a traced function may divide by 0: values jump there from one sign to the other, without any comparison.

Each value has an interval that it cannot leave; what is not known may be anything. What does not depend on the events
and varies smoothly with numbers that are not known (a scale, say) is taken not to be 0.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.core import Tracer
from jax.extend.core import Literal

from .interpreter import enter, Follow, is_trusted, own_name
from .interval_arithmetic import (
    ANY,
    finite,
    hull,
    may_be_0,
    meet,
    passes_infinity,
    POSITIVE,
    Span,
    WHOLE,
    without_0,
    ZERO,
)
from .transfer_functions import CHOOSING, has_a_one, LOGARITHMS, NAMED, range_of, RISING, RISING_FROM, span_of

DIVISION = "a division by what may be 0"
# Operations that vary smoothly with what they are given; sums are not 0 if one of their terms is free.
SUMS = frozenset({"add", "add_any", "sub", "reduce_sum", "cumsum"})
SMOOTH = CHOOSING | RISING.keys() | RISING_FROM.keys() | SUMS | {
    "abs", "cos", "cosh", "div", "dot_general", "dynamic_slice", "gather", "integer_pow", "lgamma", "mul", "neg", "pow",
    "reduce_prod", "rsqrt", "select_n", "sin", "square",
}  # fmt: skip
# Operations on complex numbers with a line along which they jump, or with poles.
BRANCHED = frozenset({
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "log", "log1p", "logistic", "pow", "rsqrt", "sqrt",
    "tan", "tanh",
})  # fmt: skip


class Value(NamedTuple):
    """What is known of a value: whether it moves with the events, whether it is free (see above), where it lies."""

    moves: bool
    free: bool
    span: Span


UNKNOWN = Value(True, False, WHOLE)


class Poles:
    """A walk through a traced function, and what it found."""

    def __init__(self):
        self.found: dict[str, None] = {}

    def walk(
        self, jaxpr: Any, inputs: list[Value], quiet: bool = False, constants: dict[Any, Value] | None = None
    ) -> list[Value]:
        """What is known of each output, for what is known of the arguments; quietly, it finds nothing."""
        known, made = dict(zip(jaxpr.invars, inputs, strict=True)) | (constants or {}), {}

        def read(var):
            fixed = Value(False, False, span_of(var.val) if isinstance(var, Literal) else ANY)
            return fixed if isinstance(var, Literal) else known.get(var, fixed)

        for eqn in jaxpr.eqns:
            given = [read(var) for var in eqn.invars]
            moves = any(value.moves for value in given) and eqn.primitive.name != "stop_gradient"
            if moves and not quiet and (pole := _pole(eqn, given)):
                self.found[pole] = None
            results = self._inside(eqn, given, quiet)
            if results is None:
                results = [_result(eqn, var, given, moves) for var in eqn.outvars]
            if has_a_one(eqn, made):
                results = [results[0]._replace(span=results[0].span._replace(low=(1.0, 0)))]
            known |= dict(zip(eqn.outvars, results, strict=True))
            made |= dict.fromkeys(eqn.outvars, eqn)
        return [read(var) for var in jaxpr.outvars]

    def _inside(self, eqn: Any, given: list[Value], quiet: bool) -> list[Value] | None:
        """The results of an operation with functions inside, which are walked too; `None` for one without."""
        trusted = is_trusted(eqn)

        def walk(body, inputs, quietly):
            return self.walk(body, inputs, quiet or quietly or trusted)

        results = enter(eqn, given, Follow(walk, _join, _widen, _sway, UNKNOWN))
        if results is None or not trusted:
            return results
        name = own_name(eqn) or ""
        bounds = WHOLE if name in LOGARITHMS else finite(NAMED.get(name, WHOLE))
        return [value._replace(span=meet(value.span, bounds)) for value in results]


def poles(closed: Any, positive: bool) -> Iterator[str]:
    """What may be a pole in a traced function of events alone, which are all `positive` or may be anything."""
    walk = Poles()
    constants = {var: _constant(value) for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True)}
    inputs = [Value(True, False, POSITIVE if positive else ANY)] * len(closed.jaxpr.invars)
    walk.walk(closed.jaxpr, inputs, constants=constants)
    yield from walk.found


def _constant(value: Any) -> Value:
    free, span = isinstance(value, Tracer) and jnp.issubdtype(value.dtype, jnp.floating), span_of(value)
    return Value(False, free, without_0(span) if free else span)


def _result(eqn: Any, var: Any, given: list[Value], moves: bool) -> Value:
    """What is known of a result of an operation without functions inside."""
    span, name = range_of(eqn, var, [value.span for value in given]), eqn.primitive.name
    terms = given[1:] if name == "select_n" else given[:1] if name in ("dynamic_slice", "gather") else given
    free = (
        not moves
        and name in SMOOTH
        and any(value.free for value in terms)
        and (name in SUMS or all(value.free or not may_be_0(value.span) for value in terms))
        and jnp.issubdtype(var.aval.dtype, jnp.floating)
        and span.low != span.high
    )
    return Value(moves, free, without_0(span) if free else span)


def _join(a: Value, b: Value) -> Value:
    return Value(a.moves or b.moves, a.free and b.free, hull([a.span, b.span]))


def _widen(a: Value, b: Value) -> Value:
    """As `_join`, but an end that moves goes on to the next of a few numbers."""
    both = _join(a, b)
    low, high = both.span.low, both.span.high
    if low < a.span.low:
        low = next(end for end in ((0.0, 1), ZERO, ANY.low, (-math.inf, 0), WHOLE.low) if end <= low)
    if high > a.span.high:
        high = next(end for end in ((0.0, -1), ZERO, ANY.high, (math.inf, 0), WHOLE.high) if end >= high)
    return both._replace(span=Span(low, high, both.span.hole and a.span.hole))


def _sway(control: Value, value: Value) -> Value:
    return value._replace(moves=value.moves or control.moves)


def _pole(eqn: Any, given: list[Value]) -> str | None:
    """What to call an operation that may jump where something is 0."""
    name, (moves, _, span) = eqn.primitive.name, given[-1]
    if jnp.issubdtype(getattr(eqn.invars[0].aval, "dtype", bool), jnp.complexfloating) and name in BRANCHED:
        return f"{name} of complex numbers"
    if name == "div":
        return DIVISION if moves and may_be_0(span) else None
    if name == "integer_pow":
        return DIVISION if eqn.params["y"] < 0 and may_be_0(span) else None
    if name in ("exp", "exp2", "expm1", "sinh", "cosh", "pow") and moves and _overflows(name, span):
        return f"{name} of what may be infinite"  # of a logarithm of what may be 0, it divides
    if name == "pow":
        rises = span.low > ZERO or (span.low == ZERO and not moves)
        return None if rises or not may_be_0(given[0].span) else DIVISION
    if name == "rsqrt":
        return name if may_be_0(span) else None
    if name in ("digamma", "polygamma", "zeta"):
        return name if any(value.span.low <= ZERO for value in given) else None
    if name == "tan":
        return name if span.low <= (-math.pi / 2, 0) or span.high >= (math.pi / 2, 0) else None
    if name == "atan2":
        return name if may_be_0(given[0].span) and span.low <= ZERO else None
    return _solves(eqn, given)


def _overflows(name: str, exponent: Span) -> bool:
    return exponent.high == WHOLE.high or (name in ("sinh", "cosh", "pow") and passes_infinity(exponent))


def _solves(eqn: Any, given: list[Value]) -> str | None:
    """What to call a linear system whose matrix moves: it may become singular."""
    name = eqn.primitive.name
    if name == "triangular_solve" and (eqn.params["unit_diagonal"] or not may_be_0(given[0].span)):
        return None
    matrix = {"triangular_solve": 1, "tridiagonal_solve": 3}.get(name, 0)
    if name == "custom_linear_solve":
        matrix = eqn.params["const_lengths"].matvec
    return "a linear system" if any(value.moves for value in given[:matrix]) else None
