"""The parameters: the leaves that one differentiates in. What is measured and not learned, a statistic, is none.

A pytree is taken apart by its leaves, and put together again, never with a hole in between: other libraries rebuild
their objects by constructors, which take numbers, and no `None` in place of one.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .errors import InputError, said, shown

STAND_IN = -1.5  # what no scale, count or probability may be


@dataclasses.dataclass(frozen=True)
class Frame:
    """What is left of a pytree of which some leaves were taken. It has a hash where all that is left has one."""

    structure: Any
    is_taken: tuple[bool, ...]
    others: tuple[Any, ...]  # the leaves that were not

    def filled(self, taken: Iterable[Any]) -> PyTree:
        """The pytree with these leaves in place of those that were taken."""
        taken, others = iter(taken), iter(self.others)
        return self.structure.unflatten([next(taken) if yes else next(others) for yes in self.is_taken])

    def shaped(self, numbers: list[Any]) -> PyTree:
        """Numbers in the structure of the pytree, with `None` for each of the others.

        It is a list of the numbers where the pytree does not hold just any, because it checks or changes what it is
        built of.
        """
        is_free = holds_anything(self.structure) or self._holds_like(numbers)
        return self._with_holes(numbers) if is_free else list(numbers)

    def _holds_like(self, numbers: list[Any]) -> bool:
        try:
            with jax.ensure_compile_time_eval():
                given = [jnp.full(x.shape, STAND_IN, x.dtype) for x in numbers]
                back = jax.tree.leaves(self._with_holes(given))
                return len(back) == len(given) and all(map(np.array_equal, back, given))
        except Exception:  # whatever a constructor of anybody's raises
            return False

    def _with_holes(self, numbers: Iterable[Any]) -> PyTree:
        numbers = iter(numbers)
        return self.structure.unflatten([next(numbers) if yes else None for yes in self.is_taken])


def apart(
    tree: PyTree, is_wanted: Callable[[Any], bool], is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[Any], Frame]:
    """Those leaves of a pytree that are wanted, and the rest of it."""
    leaves, structure = jax.tree.flatten(tree, is_leaf=is_leaf)
    is_taken = tuple(map(is_wanted, leaves))
    pairs = list(zip(leaves, is_taken, strict=True))
    return [x for x, yes in pairs if yes], Frame(structure, is_taken, tuple(x for x, yes in pairs if not yes))


def holds_anything(structure: Any) -> bool:
    """Whether pytrees of this structure take whatever they are given for leaves, and give it back, as lists do."""
    try:
        marks, same = jax.tree.flatten(structure.unflatten([True] * structure.num_leaves))
        nothing = jax.tree.leaves(structure.unflatten([None] * structure.num_leaves))
    except Exception:  # whatever a constructor of anybody's raises
        return False
    return same == structure and all(mark is True for mark in marks) and not nothing


def as_parameters(params: PyTree) -> tuple[list[Array], Frame]:
    """The floats of a pytree as arrays, and the rest, which puts them together again.

    Raises `InputError` if there is no float to differentiate in, or one that is complex.
    """
    leaves, structure = flatten("params", params)
    floats, is_float, others = split_leaves(leaves)
    return [typed(x) for x in floats], Frame(structure, is_float, others)


def flatten(name: str, tree: PyTree) -> tuple[list[Any], Any]:
    """`jax.tree.flatten`. Raises `InputError` for a dictionary whose keys have no order."""
    try:
        return jax.tree.flatten(tree)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} is {shown(tree)}, which JAX cannot take apart ({said(error, 160)}): give dictionaries whose keys "
            "are all texts, or all numbers."
        ) from None


def split_leaves(leaves: list[Any]) -> tuple[list[Any], tuple[bool, ...], tuple[Any, ...]]:
    """The floats among leaves as arrays of JAX or NumPy, where they are, and the others.

    Raises `InputError` if there is no float to differentiate in, or one that is complex.
    """
    floats, frame = apart([_float_as_array(x) for x in leaves], eqx.is_inexact_array)
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
    return floats, frame.is_taken, frame.others


def floats_as_arrays(tree: PyTree) -> PyTree:
    """The same pytree, whose floats of Python and NumPy are arrays of JAX."""
    return jax.tree.map(lambda x: typed(y) if eqx.is_inexact_array(y := _float_as_array(x)) else y, tree)


def typed(x: Any) -> jax.Array:
    """The same array, JAX's, which keeps its type beside arrays of another. A weakly typed one would take theirs."""
    x = x if isinstance(x, jax.Array) else jnp.asarray(x)
    return jax.lax.convert_element_type(x, x.dtype) if getattr(x, "weak_type", False) else x  # which keys do not have


def _float_as_array(x: Any) -> Any:
    if isinstance(x, jax.Array):
        return x
    # NumPy's, which a compiled program takes as it is: to make one of JAX's would take longer than all else here.
    if isinstance(x, float) or eqx.is_inexact_array(x):
        return np.asarray(x, jax.dtypes.canonicalize_dtype(getattr(x, "dtype", float)))
    return x


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
    wanted, rest = as_parameters(params)
    structure = jax.tree.structure(rest.shaped(wanted))
    try:
        numbers = [np.asarray(x, np.float64) for x in jax.tree.leaves(exact)]
    except (TypeError, ValueError):
        raise InputError(f"exact is {shown(exact)}, but it must be the gradient: give numbers.") from None
    if jax.tree.structure(exact) == jax.tree.structure(params):
        numbers = [x for x, is_float in zip(numbers, rest.is_taken, strict=True) if is_float]
    elif jax.tree.structure(exact) != structure:
        raise InputError(
            f"exact is {shown(exact)}, which is not built as the parameters are, "
            f"{shown(structure)}: give a number for each of them."
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
