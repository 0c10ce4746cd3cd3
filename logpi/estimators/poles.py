"""Where a traced function may divide by 0: values jump there from one sign to the other, without any comparison.

Each value has an interval that it cannot leave; what is not known may be anything. What does not depend on the events
(a scale, say) is taken not to be 0.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import Literal

Range = tuple[float, float]

ANY, POSITIVE, NONNEGATIVE = (-math.inf, math.inf), (1e-300, math.inf), (0.0, math.inf)
TINY = POSITIVE[0]  # stands for "not 0"
# Operations whose result lies in an interval whatever they are given.
LIES_IN = {
    "exp": POSITIVE, "exp2": POSITIVE, "logistic": POSITIVE, "cosh": (1.0, math.inf), "square": NONNEGATIVE,
    "abs": NONNEGATIVE, "sin": (-1.0, 1.0), "cos": (-1.0, 1.0), "tanh": (-1.0, 1.0), "erf": (-1.0, 1.0),
    "expm1": (-1.0, math.inf), "erfc": (0.0, 2.0),
}  # fmt: skip
# Functions of JAX's own whose formula hides it.
NAMED = {"softplus": POSITIVE, "log_sigmoid": (-math.inf, -TINY), "norm": NONNEGATIVE}
KEEPS = {
    "broadcast_in_dim", "reshape", "squeeze", "transpose", "convert_element_type", "copy", "copy_p", "slice", "rev",
    "reduce_max", "reduce_min", "stop_gradient", "expand_dims", "reduce_precision", "gather", "dynamic_slice", "sort",
    "cummax", "cummin", "stack", "concatenate", "select_n", "unstack", "split",
}  # fmt: skip
RISING = {"sqrt": math.sqrt, "log1p": math.log1p}


class Poles:
    """A walk through a traced function, and what it found."""

    def __init__(self):
        self.found: dict[str, None] = {}

    def walk(
        self, jaxpr: Any, inputs: list[tuple[bool, Range]], quiet: bool = False, constants: dict | None = None
    ) -> list[tuple[bool, Range]]:
        """For each output, whether it depends on the events, and its interval; `inputs` says it of the arguments."""
        known = dict(zip(jaxpr.invars, inputs, strict=True)) | (constants or {})

        def read(var):
            return (False, _span(var.val)) if isinstance(var, Literal) else known.get(var, (False, ANY))

        for eqn in jaxpr.eqns:
            given = [read(var) for var in eqn.invars]
            moves = any(depends for depends, _ in given) and eqn.primitive.name != "stop_gradient"
            if moves and not quiet and (pole := _pole(eqn, given)):
                self.found[pole] = None
            spans = self._inside(eqn, given, quiet) or [_range(eqn, [span for _, span in given])] * len(eqn.outvars)
            for var, span in zip(eqn.outvars, spans, strict=True):
                known[var] = (moves, span if moves or span[0] else (TINY, span[1]))
        return [read(var) for var in jaxpr.outvars]

    def _inside(self, eqn: Any, given: list[tuple[bool, Range]], quiet: bool) -> list[Range] | None:
        """The intervals of an operation with functions inside, which are walked too; `None` for one without."""
        from .tracing import CUSTOM, inner_of, is_trusted

        name, bodies = eqn.primitive.name, list(inner_of(eqn))
        if not bodies:
            return None
        trusted = is_trusted(eqn)
        spans: list[Range] = [ANY] * len(eqn.outvars)
        for body in bodies:
            called = name in (*CUSTOM, "pjit", "jit", "closed_call") and len(body.invars) == len(given)
            # A loop may carry anything; of what it does not depend on, it stays independent.
            depends = any(moves for moves, _ in given)
            results = self.walk(body, given if called else [(depends, ANY)] * len(body.invars), quiet or trusted)
            spans = [span for _, span in results] if called else spans
        if trusted and eqn.params.get("name") in NAMED:
            spans = [NAMED[eqn.params["name"]]] * len(spans)
        return spans


def poles(closed: Any, positive: bool) -> Iterator[str]:
    """What may be a pole in a traced function of events alone, which are all `positive` or may be anything."""
    walk = Poles()
    constants = {var: (False, _span(value)) for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True)}
    inputs = [(True, POSITIVE if positive else ANY)] * len(closed.jaxpr.invars)
    walk.walk(closed.jaxpr, inputs, constants=constants)
    yield from walk.found


def _span(value: Any) -> Range:
    """The least and the largest of the numbers that a value holds, if they are known."""
    if isinstance(value, Tracer) or not jnp.issubdtype(jnp.result_type(value), jnp.number):
        return ANY
    array = np.asarray(value)
    if array.size == 0 or np.iscomplexobj(array):
        return ANY
    numbers = array[~np.isnan(array)]  # NaN is refused when it comes
    return (float(numbers.min()), float(numbers.max())) if numbers.size else (math.inf, -math.inf)


def _has_zero(span: Range) -> bool:
    return span[0] <= 0 <= span[1]


def _pole(eqn: Any, given: list[tuple[bool, Range]]) -> str | None:
    """What to call an operation that may jump where something is 0."""
    name, (moves, span) = eqn.primitive.name, given[-1]
    if name == "div":
        return "a division by what may be 0" if moves and _has_zero(span) else None
    if name == "integer_pow":
        return "a division by what may be 0" if eqn.params["y"] < 0 and _has_zero(span) else None
    if name == "pow":
        moves, base = given[0]
        return "a division by what may be 0" if moves and span[1] < 0 and _has_zero(base) else None
    if name == "rsqrt" or name in ("digamma", "polygamma"):
        return name if span[0] <= 0 else None
    if name == "tan":
        return name if not -math.pi / 2 < span[0] <= span[1] < math.pi / 2 else None
    if name == "atan2":
        return name if _has_zero(given[0][1]) and span[0] <= 0 else None
    is_complex = jnp.issubdtype(eqn.invars[0].aval.dtype, jnp.complexfloating)
    return f"{name} of complex numbers" if is_complex and name in ("log", "sqrt", "pow") else None


def _range(eqn: Any, spans: list[Range]) -> Range:
    """The interval of a result."""
    name = eqn.primitive.name
    if name in LIES_IN:
        return LIES_IN[name]
    if name in KEEPS:
        # Of a choice, the first argument only says which one.
        parts = spans[1:] if name == "select_n" else spans[:1] if name in ("gather", "dynamic_slice") else spans
        return min(low for low, _ in parts), max(high for _, high in parts)
    if name in ("mul", "dot_general") and eqn.invars[0] is eqn.invars[1]:
        return NONNEGATIVE
    if name in ("add", "add_any", "sub", "mul", "div", "max", "min") and len(spans) == 2:
        return _binary(name, *spans)
    low, high = spans[0] if spans else ANY
    if name == "neg":
        return -high, -low
    if name == "integer_pow" and (eqn.params["y"] % 2 == 0 or low > 0):
        return (POSITIVE if not _has_zero((low, high)) else NONNEGATIVE) if eqn.params["y"] > 0 else POSITIVE
    if name == "pow":
        return POSITIVE if low > 0 else ANY
    if name in ("reduce_sum", "cumsum", "reduce_prod", "cumprod"):
        return POSITIVE if low > 0 else NONNEGATIVE if low >= 0 else ANY
    if name in RISING and low >= 0:
        return (max(RISING[name](low), TINY) if low > 0 else 0.0), math.inf
    return POSITIVE if name == "rsqrt" else ANY


def _binary(name: str, a: Range, b: Range) -> Range:
    if name in ("add", "add_any"):
        return _number(a[0] + b[0], -math.inf), _number(a[1] + b[1], math.inf)
    if name == "sub":
        return _number(a[0] - b[1], -math.inf), _number(a[1] - b[0], math.inf)
    if name in ("max", "min"):
        choose = max if name == "max" else min
        return choose(a[0], b[0]), choose(a[1], b[1])
    if a[0] >= 0 and b[0] >= 0:
        return (TINY if a[0] > 0 and b[0] > 0 else 0.0), math.inf
    return ANY


def _number(x: float, otherwise: float) -> float:
    return otherwise if math.isnan(x) else x
