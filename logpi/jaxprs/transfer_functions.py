"""The interval in which the result of an operation of JAX's lies, from those of what it is given."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import Literal

from .interval_arithmetic import (
    ABOVE,
    ANY,
    hull,
    magnitude,
    may_be_0,
    negate,
    NONNEGATIVE,
    passes_infinity,
    plus,
    point,
    POSITIVE,
    power,
    reciprocal,
    rising,
    rising_from,
    Span,
    times,
    UNIT,
    WHOLE,
    without_0,
    ZERO,
)

NOTHING = Span((math.inf, 0), (-math.inf, 0))
# Operations whose result lies in an interval whatever they are given.
LIES_IN = {
    "sin": Span((-1.0, 0), (1.0, 0)), "cos": Span((-1.0, 0), (1.0, 0)), "sign": Span((-1.0, 0), (1.0, 0)),
    "cosh": Span((1.0, 0), ABOVE), "erfc": Span((0.0, 1), (2.0, -1)), "asin": Span((-2.0, 0), (2.0, 0)),
    "acos": Span((0.0, 0), (4.0, 0)), "atan2": Span((-4.0, 0), (4.0, 0)), "atanh": WHOLE, "erf_inv": WHOLE,
}  # fmt: skip
# Functions of JAX's own whose formula hides it.
NAMED = {
    "softplus": POSITIVE, "log_sigmoid": negate(POSITIVE), "norm": NONNEGATIVE, "sinc": Span((-1.0, 0), (1.0, 0)),
    "softmax": UNIT, "_softmax": UNIT,
}  # fmt: skip
LOGARITHMS = frozenset(
    {"xlogy", "xlog1py", "logit", "expi", "slogdet", "_slogdet_small", "_slogdet_lu", "_slogdet_qr"}
)  # which pass infinity
# Rising functions, with the limits that they come to at -infinity and infinity.
RISING = {
    "exp": (math.exp, 0.0, math.inf), "exp2": (lambda x: 2.0**x, 0.0, math.inf), "expm1": (math.expm1, -1.0, math.inf),
    "logistic": (lambda x: 1 / (1 + math.exp(-x)), 0.0, 1.0), "tanh": (math.tanh, -1.0, 1.0),
    "erf": (math.erf, -1.0, 1.0), "atan": (math.atan, -math.pi / 2, math.pi / 2),
    "sinh": (math.sinh, -math.inf, math.inf), "asinh": (math.asinh, -math.inf, math.inf),
    "cbrt": (math.cbrt, -math.inf, math.inf),
}  # fmt: skip
# Rising functions, with where they begin.
RISING_FROM = {"sqrt": (0.0, math.sqrt), "log": (0.0, math.log), "log1p": (-1.0, math.log1p)}
# Each number of the result is one of those given.
CHOOSING = frozenset({
    "broadcast_in_dim", "reshape", "squeeze", "transpose", "copy", "copy_p", "slice", "rev", "reduce_max", "reduce_min",
    "stop_gradient", "expand_dims", "reduce_precision", "sort", "cummax", "cummin", "stack", "concatenate", "unstack",
    "split", "pad", "optimization_barrier", "convert_element_type",
})  # fmt: skip
# What may be said of whole numbers: small ones are added without wrapping around.
WHOLE_NUMBERS = CHOOSING | {"iota", "select_n", "max", "min", "clamp", "gather", "dynamic_slice", "add"}
LEAST_LOG_GAMMA = -0.1215


def span_of(value: Any) -> Span:
    """The least and the largest of the numbers that a value holds, if they are known."""
    if isinstance(value, Tracer):
        return ANY
    kind = jnp.result_type(value)
    if jnp.issubdtype(kind, jnp.bool_):
        return UNIT
    if not jnp.issubdtype(kind, jnp.number) or jnp.issubdtype(kind, jnp.complexfloating):
        return ANY
    array = np.asarray(value)
    numbers = array[~np.isnan(array)]  # NaN is refused when it comes
    return Span((float(numbers.min()), 0), (float(numbers.max()), 0)) if numbers.size else NOTHING


def range_of(eqn: Any, result: Any, spans: list[Span]) -> Span:
    """The interval of a result, one of the operation's variables, for those of the operands."""
    name, kind = eqn.primitive.name, getattr(result.aval, "dtype", None)
    if kind is None or jnp.issubdtype(kind, jnp.bool_):
        return ANY if kind is None else UNIT
    if jnp.issubdtype(kind, jnp.integer) and name not in WHOLE_NUMBERS:
        return ANY  # they wrap around, and their quotients are rounded
    if any(jnp.issubdtype(getattr(var.aval, "dtype", kind), jnp.complexfloating) for var in eqn.invars):
        return Span(NONNEGATIVE.low, WHOLE.high) if name == "abs" else WHOLE
    if name in LIES_IN:
        return LIES_IN[name]
    if name in RISING:
        return rising(spans[0], *RISING[name])
    if name in RISING_FROM:
        start, function = RISING_FROM[name]
        return rising_from(start, spans[0], function)
    if name == "convert_element_type" and _cuts(eqn):
        return ANY
    if name in CHOOSING:
        return hull(spans)
    return RULES[name](eqn, *spans) if name in RULES else ANY


def has_a_one(eqn: Any, made: dict[Any, Any]) -> bool:
    """Whether an operation adds exp(x - max x), as softmax does: one of the terms is 1. `made` says what made what."""

    def maker(var):
        return None if isinstance(var, Literal) else made.get(var)

    if eqn.primitive.name != "reduce_sum" or not (terms := maker(eqn.invars[0])) or terms.primitive.name != "exp":
        return False
    if not (shifted := maker(terms.invars[0])) or shifted.primitive.name != "sub":
        return False
    axes = eqn.params["axes"]
    kept = tuple(axis for axis in range(len(eqn.invars[0].aval.shape)) if axis not in axes)
    top = maker(shifted.invars[1])
    while top and _keeps_the_largest(top, kept, maker):
        top = maker(top.invars[-1])
    if top is None or top.primitive.name != "reduce_max":
        return False
    return top.invars[0] is shifted.invars[0] and set(top.params["axes"]) == set(axes)


def _keeps_the_largest(eqn: Any, kept: tuple[int, ...], maker: Callable[[Any], Any]) -> bool:
    """Whether the last operand, the largest numbers along some axes, comes out as it is, if it is finite."""
    name, first = eqn.primitive.name, eqn.invars[0]
    if name == "broadcast_in_dim":
        return tuple(eqn.params["broadcast_dimensions"]) == kept
    if name == "select_n":
        asked = maker(first)
        return asked is not None and asked.primitive.name == "is_finite" and asked.invars[0] is eqn.invars[-1]
    return name == "stop_gradient" or (name == "max" and isinstance(first, Literal) and bool(first.val == -math.inf))


def _cuts(eqn: Any) -> bool:
    """Whether a cast leaves out what lies behind the point, or the sign."""
    old, new = eqn.invars[0].aval.dtype, eqn.params["new_dtype"]
    return jnp.issubdtype(old, jnp.inexact) > jnp.issubdtype(new, jnp.inexact) or (
        jnp.issubdtype(new, jnp.unsignedinteger) and not jnp.issubdtype(old, jnp.bool_)
    )


def _sub(eqn: Any, a: Span, b: Span) -> Span:
    return point(0.0) if eqn.invars[0] is eqn.invars[1] else plus(a, negate(b))


def _mul(eqn: Any, a: Span, b: Span) -> Span:
    return power(a, 2) if eqn.invars[0] is eqn.invars[1] else times(a, b)


def _max(_: Any, a: Span, b: Span) -> Span:
    both = Span(max(a.low, b.low), max(a.high, b.high))
    return both if may_be_0(a) or may_be_0(b) else without_0(both)


def _min(eqn: Any, a: Span, b: Span) -> Span:
    return negate(_max(eqn, negate(a), negate(b)))


def _pow(_: Any, base: Span, exponent: Span) -> Span:
    if exponent.low == exponent.high and exponent.low[0].is_integer() and abs(exponent.low[0]) < 2**31:
        return power(base, int(exponent.low[0]))
    infinite = passes_infinity(base) or passes_infinity(exponent)
    if base.low[0] < 0:
        return WHOLE if infinite else ANY._replace(hole=not may_be_0(base))
    return Span(ZERO, WHOLE.high) if infinite else NONNEGATIVE if may_be_0(base) else POSITIVE


def _sum_of(span: Span, count: int) -> Span:
    """The sum of so many numbers of an interval."""
    many = times(point(float(count)), span)
    return many if count <= 1 else many._replace(hole=many.hole and not span.low[0] < 0 < span.high[0])


def _reduce_sum(eqn: Any, a: Span) -> Span:
    shape = eqn.invars[0].aval.shape
    return _sum_of(a, math.prod(shape[axis] for axis in eqn.params["axes"]))


def _cumsum(eqn: Any, a: Span) -> Span:
    return hull([a, _sum_of(a, max(1, eqn.invars[0].aval.shape[eqn.params["axis"]]))])


def _prod(_: Any, a: Span) -> Span:
    high = WHOLE.high if passes_infinity(a) else ABOVE
    if a.low[0] >= 0:
        return Span((0.0, int(not may_be_0(a))), high)
    return Span(negate(Span(high, high)).low, high, not may_be_0(a))


def _dot(eqn: Any, a: Span, b: Span) -> Span:
    (left, right), (rows, columns) = eqn.params["dimension_numbers"]
    shape = eqn.invars[0].aval.shape
    same = eqn.invars[0] is eqn.invars[1] and tuple(left) == tuple(right) and tuple(rows) == tuple(columns)
    # Of one array with itself, without axes left free, it is a sum of squares.
    squares = same and len(left) + len(rows) == len(shape)
    return _sum_of(power(a, 2) if squares else times(a, b), math.prod(shape[axis] for axis in left))


def _gather(eqn: Any, a: Span, *_: Span) -> Span:
    fill = eqn.params.get("fill_value")
    return a if fill is None else hull([a, span_of(fill)])


def _scatter_add(eqn: Any, a: Span, _: Span, updates: Span) -> Span:
    count = math.prod(eqn.invars[2].aval.shape)
    return plus(a, hull([point(0.0), _sum_of(updates, max(1, count))]))


def _log_gamma(_: Any, a: Span) -> Span:
    if a.low <= (0.0, 0):
        return WHOLE
    return Span((LEAST_LOG_GAMMA, 0), WHOLE.high if passes_infinity(a) else ABOVE)


def _iota(eqn: Any) -> Span:
    return Span((0.0, 0), (float(max(0, eqn.params["shape"][eqn.params["dimension"]] - 1)), 0))


RULES: dict[str, Callable[..., Span]] = {
    "add": lambda _, a, b: plus(a, b),
    "add_any": lambda _, a, b: plus(a, b),
    "sub": _sub,
    "mul": _mul,
    "div": lambda _, a, b: times(a, reciprocal(b)),
    "neg": lambda _, a: negate(a),
    "abs": lambda _, a: magnitude(a),
    "square": lambda _, a: power(a, 2),
    "integer_pow": lambda eqn, a: power(a, eqn.params["y"]),
    "pow": _pow,
    "rsqrt": lambda _, a: reciprocal(rising_from(0.0, a, math.sqrt)),
    "max": _max,
    "min": _min,
    "clamp": lambda eqn, low, a, high: _min(eqn, _max(eqn, a, low), high),
    "select_n": lambda _, which, *cases: hull(cases),
    "gather": _gather,
    "dynamic_slice": lambda _, a, *places: a,
    "dynamic_update_slice": lambda _, a, b, *places: hull([a, b]),
    "scatter": lambda _, a, places, b: hull([a, b]),
    "scatter-add": _scatter_add,
    "reduce_sum": _reduce_sum,
    "cumsum": _cumsum,
    "reduce_prod": _prod,
    "cumprod": _prod,
    "dot_general": _dot,
    "lgamma": _log_gamma,
    "iota": _iota,
}
