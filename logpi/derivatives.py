"""Guards on derivatives: those that would be silently wrong are refused when they are asked for, and only then."""

import contextlib
from collections.abc import Callable, Generator, Iterable
from contextvars import ContextVar
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from .errors import InputError


class Doubts(NamedTuple):
    """Derivatives that are right only if something holds which nobody knows."""

    strangers: list[str]  # what these distributions are called
    keys: list[Any]  # of the draws that were seen
    shared: list[Any]  # those of them that came again


_doubts: ContextVar[Doubts | None] = ContextVar("doubts", default=None)


@contextlib.contextmanager
def doubts() -> Generator[Doubts]:
    """What is doubted inside of it."""
    found = Doubts([], [], [])
    token = _doubts.set(found)
    try:
        yield found
    finally:
        _doubts.reset(token)


def doubt(what: str) -> None:
    """Notes for whoever traces this program that a derivative in it is to be measured before it is believed."""
    found = _doubts.get()
    if found is not None and what not in found.strangers:
        found.strangers.append(what)


def doubt_shared(key: Any) -> None:
    """Notes the key of a draw; one that comes again leaves a doubt, for its draws are one."""
    found = _doubts.get()
    if found is not None:
        (found.shared if any(key is other for other in found.keys) else found.keys).append(key)


def when_differentiated(arrays: Iterable[Array], act: Callable[[list[Array]], None]) -> Float[Array, ""]:
    """0, of 32 bits so that it changes no type; calls `act` with the arrays where a derivative in one of them is taken.

    A value alone, or a derivative in something else, is let through: nothing depends on what is not differentiated.
    """

    @jax.custom_jvp
    def nothing(*_arrays):
        return jnp.zeros((), jnp.float32)

    def derivative(primals, tangents):
        if not all(isinstance(tangent, jax.custom_derivatives.SymbolicZero) for tangent in tangents):
            act(list(primals))
        return jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32)

    nothing.defjvp(derivative, symbolic_zeros=True)
    return nothing(*arrays)


def no_gradients(arrays: Iterable[Array], sentence: str) -> Float[Array, ""]:
    """0; raises `InputError(sentence)` where a derivative in any of the arrays is taken."""

    def refuse(_arrays):
        raise InputError(sentence)

    arrays = list(arrays)
    return when_differentiated(arrays, refuse) if arrays else jnp.zeros((), jnp.float32)


def first_order(x: Float[Array, ""], params: PyTree, estimator: str) -> Float[Array, ""]:
    """`x`, whose first derivative in `params` is right; raises `InputError` where a second one is asked for."""
    sentence = (
        f"{estimator} gives first derivatives only, and a derivative of its derivative was asked for (it would be "
        "wrong): use Score() or Enumerate(), which are right at every order."
    )

    @jax.custom_jvp
    def identity(x, _params):
        return x

    @identity.defjvp
    def derivative(primals, tangents):
        x, params = primals
        return x, tangents[0] * (1 + no_gradients(params, sentence)).astype(x.dtype)

    return identity(x, [leaf for leaf in jax.tree.leaves(params) if eqx.is_inexact_array(leaf)])


@jax.custom_jvp
def slope_of(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """0, whose derivatives are those of `x`."""
    return jnp.zeros_like(x)


@slope_of.defjvp
def _(primals, tangents):
    return slope_of(*primals), tangents[0]


@jax.custom_jvp
def unknown(x: Any, where: Bool[Array, "*shape"]) -> Float[Array, ""]:  # pyright: ignore[reportUnusedParameter]
    """0, to be added to a result, whose derivatives in the array `x` are NaN `where` they are not known."""
    return jnp.zeros((), jnp.float32)


def _unknown(primals, tangents):
    nothing = unknown(*primals)
    if isinstance(tangents[0], jax.custom_derivatives.SymbolicZero):
        return nothing, jnp.zeros((), jnp.float32)
    slope = jnp.where(primals[1], jnp.nan, 0.0) + nothing  # so that its own derivative is NaN, at every order
    return nothing, jnp.sum(slope.astype(tangents[0].dtype) * tangents[0]).astype(jnp.float32)


unknown.defjvp(_unknown, symbolic_zeros=True)
