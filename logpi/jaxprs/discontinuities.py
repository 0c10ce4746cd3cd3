"""Where a traced function may jump (be discontinuous): a suspicion, which a measurement is to confirm."""

import contextlib
import operator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from .interpreter import enter, Follow, is_trusted, own_name

# Operations whose result jumps while their argument moves.
JUMPING = frozenset({
    "gt", "ge", "lt", "le", "eq", "ne", "is_finite", "floor", "ceil", "round", "sign", "argmax", "argmin", "rem",
    "nextafter", "bitcast_convert_type", "lu", "qr", "geqrf", "geqp3", "eig", "schur", "hessenberg", "tridiagonal",
})  # fmt: skip
# Operations with a pole or a branch somewhere, and which of their arguments leads there; `None`: each of them.
POLES: dict[str, int | None] = {
    "div": 1, "rsqrt": 0, "log": 0, "log1p": 0, "pow": 0, "tan": 0, "atan2": None, "digamma": 0, "polygamma": 1,
    "zeta": None, "triangular_solve": 0, "custom_linear_solve": None, "tridiagonal_solve": None,
}  # fmt: skip
NAMES = {
    "div": "a division by what may be 0", "integer_pow": "a division by what may be 0",
    "triangular_solve": "a linear system", "custom_linear_solve": "a linear system",
    "tridiagonal_solve": "a linear system",
}  # fmt: skip
# Names of scopes, which jaxprs keep: what logpi does, known to be right, and what it calls of a user's.
PROVEN, GIVEN = "logpi_proven", "logpi_given"
# ... and where a site hands out its log-probability, and a cost takes its baseline.
ACCOUNT, LEVEL = "logpi_account", "logpi_level"
LEFT_OUT, COMPARED = "a log-probability of logpi.sample that nobody takes", "a baseline of logpi.cost that is drawn"

Found = dict[str, set[int]]  # names of operations that may jump, and the places where they are


def proven() -> contextlib.AbstractContextManager[Any]:
    """What is traced in it is not looked through for jumps: samplers and densities whose derivatives are right."""
    return jax.named_scope(PROVEN)


def given() -> contextlib.AbstractContextManager[Any]:
    """What is traced in it is, wherever it is called from: functions that were given."""
    return jax.named_scope(GIVEN)


def common_jumps(jaxpr: Any, of_params: list[bool], of_draws: list[bool]) -> list[str]:
    """The operations that may jump where both the parameters and the draws say, by JAX's names.

    The marks say which inputs are parameters, and which ones draws come from. What the parameters reach through
    `stop_gradient` alone is not counted: no derivative is taken through it.
    """
    seen: tuple[Found, Found] = ({}, {})
    follow(jaxpr, of_params, seen[0])
    follow(jaxpr, of_draws, seen[1], stopped=True)
    compared = [name for name in seen[1] if name == COMPARED]  # its derivative is stopped, so no parameter comes there
    return [name for name, places in seen[0].items() if places & seen[1].get(name, set())] + compared


def follow(jaxpr: Any, reached: list[bool], found: Found, stopped: bool = False) -> list[bool]:
    """Marks what depends on the reached inputs; returns which outputs do."""
    known = {var for var, yes in zip(jaxpr.invars, reached, strict=True) if yes}
    read = _read(jaxpr)
    for eqn in jaxpr.eqns:
        marks = [_is_in(var, known) for var in eqn.invars]
        if not any(marks) or (eqn.primitive.name == "stop_gradient" and not stopped):
            continue
        is_read = any(var in read for var in eqn.outvars)
        if fault := _fault(eqn, is_read):
            found.setdefault(fault, set()).add(id(eqn))
        outputs, seen = [True] * len(eqn.outvars), found if is_read and not _is_proven(eqn) else {}
        if jump := _jump(eqn, marks, [var in read for var in eqn.outvars]):
            seen.setdefault(jump, set()).add(id(eqn))
        else:
            # What has a derivative of its own, or is known to be continuous, is not looked through for jumps.
            seen = {} if is_trusted(eqn) else seen
            outputs = _enter(eqn, marks, seen, stopped) or outputs
        known |= {var for var, yes in zip(eqn.outvars, outputs, strict=True) if yes}
    return [_is_in(var, known) for var in jaxpr.outvars]


def _read(jaxpr: Any) -> set[Any]:
    """What the results are made of: NumPyro, for one, looks at parameters in ways that nobody listens to."""
    read = {var for var in jaxpr.outvars if _is_var(var)}
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or any(var in read for var in eqn.outvars):
            read |= {var for var in eqn.invars if _is_var(var)}
    return read


def _enter(eqn: Any, marks: list[bool], found: Found, stopped: bool) -> list[bool] | None:
    """Which results of an operation with functions inside depend on what is marked; `None` for one without."""

    def walk(body, marks, quiet):
        return follow(body, marks, {} if quiet else found, stopped)

    return enter(eqn, marks, Follow(walk, operator.or_, operator.or_, operator.or_, True))


def _jump(eqn: Any, marks: list[bool], used: list[bool]) -> str | None:
    """What to call an operation that may jump; `None` where it does not, or where nobody uses what it gives."""
    name = eqn.primitive.name
    if name == "convert_element_type" and not jnp.issubdtype(eqn.params["new_dtype"], jnp.inexact):
        return "a cast to integers" if _is_float(eqn.invars[0]) and used[0] else None
    if name == "integer_pow":
        return NAMES[name] if eqn.params["y"] < 0 else None
    if name in POLES:
        place = POLES[name]
        return NAMES.get(name, name) if (any(marks) if place is None else marks[place]) else None
    own = own_name(eqn) or ""
    keys = eqn.params.get("num_keys", 0)
    # The sorted values, and those of a matrix, move without jumps. What comes along with them, as their indices or
    # vectors, does not; nor does the sign of a determinant.
    places = {"sort": used[keys:], "top_k": used[1:], "svd": used[1:], "eigh": used[:1]}.get(name)
    places = {"slogdet": used[:1], "eigh": used[1:]}.get(own, places)
    return own or name if any(used if places is None and name in JUMPING else places or ()) else None


def _fault(eqn: Any, is_used: bool) -> str | None:
    """What a site or a cost does that may make a derivative wrong."""
    scopes = _scopes(eqn)
    if ACCOUNT in scopes and not is_used:
        return LEFT_OUT
    return COMPARED if LEVEL in scopes and not _is_proven(eqn) else None


def _scopes(eqn: Any) -> str:
    return str(eqn.source_info.name_stack)


def _is_proven(eqn: Any) -> bool:
    scopes = _scopes(eqn)
    return scopes.rfind(PROVEN) > scopes.rfind(GIVEN)


def _is_var(var: Any) -> bool:
    return not isinstance(var, Literal)


def _is_in(var: Any, known: set[Any]) -> bool:
    return _is_var(var) and var in known


def _is_float(var: Any) -> bool:
    return jnp.issubdtype(var.aval.dtype, jnp.inexact)
