"""The functions inside the operations of a traced function: jitted parts, branches, bodies of loops."""

import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

OWN = os.path.dirname(jax.__file__) + os.sep
CUSTOM = frozenset({"custom_jvp_call", "custom_vjp_call"})
# Operations that do no more than to call the function inside with what they are given.
CALLED = CUSTOM | frozenset({"jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"})
# Functions of JAX that compare or divide inside and are continuous all the same.
CONTINUOUS = frozenset({
    "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "hard_tanh", "hard_sigmoid", "hard_swish", "softplus",
    "logaddexp", "log_sigmoid", "silu", "gelu", "sigmoid", "clip", "_interp", "interp", "sinc", "xlogy",
    "softmax", "log_softmax", "logsumexp", "det", "slogdet", "eigh", "eigvalsh",
})  # fmt: skip
# Functions of JAX that have a derivative of their own, and jump.
BROKEN = frozenset({"_pinv", "_frexp", "zeta", "poch", "hyp1f1", "hyp2f1"})


class Follow(NamedTuple):
    """How to follow values, of any kind, through a function: what to do with it, and what to know of its results."""

    walk: Callable[[Any, list[Any], bool], list[Any]]  # the results of a body for its inputs; quietly if True
    join: Callable[[Any, Any], Any]  # what holds for either of two values
    widen: Callable[[Any, Any], Any]  # the same, reached after a few steps however often it is repeated
    sway: Callable[[Any, Any], Any]  # the second value, where the first one decides whether it is this one
    unknown: Any


def enter(eqn: Any, given: Sequence[Any], follow: Follow) -> list[Any] | None:
    """What an operation with functions inside makes of what it is given; `None` for one without."""
    name, bodies = eqn.primitive.name, list(inner_of(eqn))
    if not bodies or _is_primitive(eqn):
        return None
    if name == "scan":
        return _scan(eqn, list(given), follow)
    if name == "while":
        return _while(eqn, list(given), follow)
    if name == "cond":
        ends = zip(*(follow.walk(body, list(given[1:]), False) for body in bodies), strict=True)
        return [follow.sway(given[0], functools.reduce(follow.join, group)) for group in ends]
    if name in CALLED and len(bodies) == 1 and len(bodies[0].invars) == len(given):
        return follow.walk(bodies[0], list(given), False)
    for body in bodies:
        follow.walk(body, [follow.unknown] * len(body.invars), False)
    return [follow.unknown] * len(eqn.outvars)


def _is_primitive(eqn: Any) -> bool:
    """Whether an operation is known by its name, though there are functions inside: a linear system that somehow is
    solved; updates that are added, or replace what they update, but not a function of the user's.
    """
    name = eqn.primitive.name
    plain = name.startswith("scatter-") or (name == "scatter" and not any(body.eqns for body in inner_of(eqn)))
    return plain or name == "custom_linear_solve"


def _scan(eqn: Any, given: list[Any], follow: Follow) -> list[Any]:
    body, start = eqn.params["jaxpr"].jaxpr, eqn.params["num_consts"]
    end = start + eqn.params["num_carry"]
    fixed, each = given[:start], given[end:]

    def round_of(carry, quiet):
        return follow.walk(body, [*fixed, *carry, *each], quiet)

    carry = _settled(given[start:end], lambda carry: round_of(carry, True), follow)
    return [*carry, *round_of(carry, False)[end - start :]]


def _while(eqn: Any, given: list[Any], follow: Follow) -> list[Any]:
    first, second = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    asks, fixed, start = given[:first], given[first : first + second], given[first + second :]

    def goes_on(carry, quiet):
        return follow.walk(eqn.params["cond_jaxpr"].jaxpr, [*asks, *carry], quiet)[0]

    def round_of(carry):
        after = follow.walk(eqn.params["body_jaxpr"].jaxpr, [*fixed, *carry], True)
        return [follow.sway(goes_on(carry, True), value) for value in after]

    carry = _settled(start, round_of, follow)
    goes_on(carry, False)
    follow.walk(eqn.params["body_jaxpr"].jaxpr, [*fixed, *carry], False)
    return carry


def _settled(carry: list[Any], round_of: Callable[[list[Any]], list[Any]], follow: Follow) -> list[Any]:
    """What holds for the carry of a loop after any number of rounds."""
    for merge in itertools.chain([follow.join] * 3, itertools.repeat(follow.widen)):
        after = round_of(carry)[: len(carry)]
        wider = [merge(a, b) for a, b in zip(carry, after, strict=True)]
        if wider == carry:
            break
        carry = wider
    return carry


def own_name(eqn: Any) -> str | None:
    """The name of a function of JAX's own that is called. One of the user's may have the same name, and has `None`."""
    inner = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr")
    source = getattr(getattr(getattr(inner, "jaxpr", None), "debug_info", None), "func_src_info", None) or ""
    return eqn.params.get("name") or source.split(" at ")[0] if f" at {OWN}" in source else None


def is_trusted(eqn: Any) -> bool:
    """Whether what is inside of an operation is continuous, however it compares: it has a derivative of its own, or is
    one of JAX's own functions.
    """
    name = own_name(eqn)
    return name in CONTINUOUS or (eqn.primitive.name in CUSTOM and name not in BROKEN)


def inner_of(eqn: Any) -> Iterator[Any]:
    """The functions inside an operation: bodies of loops, branches, jitted parts."""
    for value in eqn.params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if hasattr(item, "eqns"):  # of JAX
                yield item
            elif hasattr(item, "jaxpr") and hasattr(item.jaxpr, "eqns"):  # of JAX
                yield item.jaxpr


def known_value(x: Any) -> Any:
    """The array behind what JAX differentiates in; `None` behind what it only traces, whose numbers are not known."""
    while isinstance(x, Tracer):
        x = getattr(x, "primal", None)
    return x


def is_tracing() -> bool:
    """Whether JAX only traces what is computed now, so that constants have no numbers either."""
    return isinstance(jnp.zeros(()), Tracer)


def calls_host(jaxpr: Any) -> bool:
    """Whether a traced function calls back into Python."""
    return any("callback" in eqn.primitive.name for eqn in equations(jaxpr))


def equations(jaxpr: Any) -> Iterator[Any]:
    """Every operation of a traced function, those inside of loops and branches too."""
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in inner_of(eqn):
            yield from equations(inner)
