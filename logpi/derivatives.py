"""Guards on derivatives: those that would be silently wrong are refused when they are asked for, and only then."""

from collections.abc import Iterable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from .errors import InputError


def no_gradient(x: Array, sentence: str) -> Float[Array, ""]:
    """0, to be added to a result; raises `InputError(sentence)` where the derivative in `x` is taken.

    A value alone, or a derivative in something else, is let through: nothing depends on what is not differentiated.
    """

    @jax.custom_jvp
    def nothing(_x):
        return jnp.zeros((), jnp.float32)

    def refuse(_primals, tangents):
        if not isinstance(tangents[0], jax.custom_derivatives.SymbolicZero):
            raise InputError(sentence)
        return jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32)

    nothing.defjvp(refuse, symbolic_zeros=True)
    return nothing(x)


def no_gradients(arrays: Iterable[Array], sentence: str) -> Float[Array, ""]:
    """0, of 32 bits so that it changes no type; raises `InputError(sentence)` for a derivative in any of the arrays."""
    return sum((no_gradient(array, sentence) for array in arrays), jnp.zeros((), jnp.float32))


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
def unknown(x: Float[Array, "*shape"], where: Bool[Array, "*shape"]) -> Float[Array, ""]:  # pyright: ignore[reportUnusedParameter]
    """0, to be added to a result, whose derivatives in `x` are NaN `where` they are not known."""
    return jnp.zeros((), jnp.float32)


def _unknown(primals, tangents):
    nothing = unknown(*primals)
    if isinstance(tangents[0], jax.custom_derivatives.SymbolicZero):
        return nothing, jnp.zeros((), jnp.float32)
    slope = jnp.where(primals[1], jnp.nan, 0.0) + nothing  # so that its own derivative is NaN, at every order
    return nothing, jnp.sum(slope.astype(tangents[0].dtype) * tangents[0]).astype(jnp.float32)


unknown.defjvp(_unknown, symbolic_zeros=True)
