"""The parameters: the leaves that one differentiates in. What is measured and not learned, a statistic, is none."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .errors import InputError, said, shown


def as_parameters(params: PyTree) -> tuple[PyTree, PyTree]:
    """The floats of a pytree as arrays, and the rest; `equinox.combine` puts them together again.

    Raises `InputError` if there is no float to differentiate in, or one that is complex.
    """
    leaves, structure = flatten("params", params)
    dynamic, static = map(structure.unflatten, split_leaves(leaves))
    return dynamic, static


def flatten(name: str, tree: PyTree) -> tuple[list[Any], Any]:
    """`jax.tree.flatten`. Raises `InputError` for a dictionary whose keys have no order."""
    try:
        return jax.tree.flatten(tree)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} is {shown(tree)}, which JAX cannot take apart ({said(error, 160)}): give dictionaries whose keys "
            "are all texts, or all numbers."
        ) from None


def split_leaves(leaves: list[Any]) -> tuple[list[Any], list[Any]]:
    """The floats among leaves as arrays, and the others, each with `None` in the places of the other.

    Raises `InputError` if there is no float to differentiate in, or one that is complex.
    """
    leaves = [_as_array(x) if _is_other_float(x) else x for x in leaves]
    dynamic = [x if eqx.is_inexact_array(x) else None for x in leaves]
    floats = [x for x in dynamic if x is not None]
    if not floats:
        kinds = sorted({str(getattr(x, "dtype", type(x).__name__)) for x in leaves})
        raise InputError(
            f"the parameters have no floating-point leaf (found: {', '.join(kinds) or 'no leaf'}), so there is nothing "
            "to differentiate in: give floats, as in jnp.array([0.0, 1.0])."
        )
    if any(jnp.issubdtype(x.dtype, jnp.complexfloating) for x in floats):
        raise InputError(
            "the parameters have complex numbers, but one differentiates in real ones: give their real "
            "and imaginary parts, and make them complex in `of`."
        )
    return dynamic, [x if y is None else None for x, y in zip(leaves, dynamic, strict=True)]


def floats_as_arrays(tree: PyTree) -> PyTree:
    """The same pytree, whose floats of Python and NumPy are arrays of JAX."""
    return jax.tree.map(lambda x: _as_array(x) if _is_other_float(x) else x, tree)


def _as_array(x: Any) -> jax.Array:
    # With its type said, it keeps it beside arrays of another. Each of these is the quickest way to say it.
    if isinstance(x, jax.Array):
        return jax.lax.convert_element_type(x, x.dtype)
    return jnp.asarray(x, jnp.result_type(float)) if isinstance(x, float) else jnp.asarray(x)


def _is_other_float(x: Any) -> bool:
    if isinstance(x, jax.Array) and not getattr(x, "weak_type", False):  # which keys do not have
        return False  # it is one already; `asarray` would take a while to see it
    return isinstance(x, float) or eqx.is_inexact_array(x)


def as_real_array(value: Any) -> Array | None:
    """The value as an array of real numbers; `None` for what is none, whatever its own methods raise."""
    try:
        array = jnp.asarray(value)
    except Exception:  # of an object of anybody's
        return None
    return array if jnp.isrealobj(array) else None


def check_numbers(name: str, value: Any, axes: int) -> Float[np.ndarray, "..."]:
    """The value as an array of floats. Raises `InputError` unless it is one of real numbers with so many axes."""
    try:
        numbers = None if np.iscomplexobj(value) else np.asarray(value, np.float64)
    except Exception:  # whatever an object of anybody's raises
        numbers = None
    if numbers is None or numbers.ndim != axes:
        axis = "axis" if axes == 1 else "axes"
        raise InputError(f"{name} is {shown(value)}, but it must be real numbers with {axes} {axis}: give an array.")
    return numbers


def exact_gradient(exact: PyTree, params: PyTree) -> Float[np.ndarray, " n"]:
    """A gradient that was said to be exact, in a row. Raises `InputError` unless it has a number for each parameter."""
    dynamic, _ = as_parameters(params)
    leaves, wanted = jax.tree.leaves(floats_as_arrays(params)), jax.tree.leaves(dynamic)
    try:
        numbers = [np.asarray(x, np.float64) for x in jax.tree.leaves(exact)]
    except (TypeError, ValueError):
        raise InputError(f"exact is {shown(exact)}, but it must be the gradient: give numbers.") from None
    if jax.tree.structure(exact) == jax.tree.structure(params):
        numbers = [x for x, leaf in zip(numbers, leaves, strict=True) if eqx.is_inexact_array(leaf)]
    elif jax.tree.structure(exact) != jax.tree.structure(dynamic):
        raise InputError(
            f"exact is {shown(exact)}, which is not built as the parameters are, "
            f"{shown(jax.tree.structure(dynamic))}: give a number for each of them."
        )
    if shapes := [(x.shape, y.shape) for x, y in zip(numbers, wanted, strict=True) if x.shape != y.shape]:
        raise InputError(
            f"exact has the shape {shapes[0][0]} where the parameters have {shapes[0][1]}: give a number for each."
        )
    row = np.concatenate([x.reshape(-1) for x in numbers])
    if not np.all(np.isfinite(row)):
        raise InputError(f"exact is {shown(exact)}, but a gradient to compare with is finite: give its numbers.")
    return row


def frozen(tree: PyTree) -> PyTree:
    """The same pytree, of whose floats no derivative is taken."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, tree)


def widened(tree: PyTree) -> PyTree:
    """The same pytree of floats, each of at least 32 bits: the digits that a mean, or a small step, needs."""
    return jax.tree.map(lambda x: x.astype(jnp.promote_types(x.dtype, jnp.float32)), tree)


def check_key(key: Any) -> PRNGKeyArray:
    """The key; `InputError` if it is not one key of `jax.random`."""
    if isinstance(key, jax.Array) and (
        (jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ())
        or (key.dtype == jnp.uint32 and key.shape == jax.eval_shape(jax.random.PRNGKey, 0).shape)  # the older form
    ):
        return key
    what = f"an array of shape {key.shape}" if isinstance(key, jax.Array) else shown(key)
    raise InputError(f"key is {what}, but it must be one key of JAX: give jax.random.key(0), say.")


class AbstractStatistics(eqx.Module):
    """A part of a model that is measured, not learned: no optimiser moves its leaves."""


def trainable(model: PyTree) -> PyTree:
    """A tree of the model's structure, True at every leaf that is learned: floating-point and not a statistic."""

    def is_statistics(node) -> bool:
        return isinstance(node, AbstractStatistics)

    def mark(node):
        return jax.tree.map(lambda _: False, node) if is_statistics(node) else eqx.is_inexact_array(node)

    return jax.tree.map(mark, model, is_leaf=is_statistics)
