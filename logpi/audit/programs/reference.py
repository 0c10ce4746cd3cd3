"""What value and gradient of a program should be: said exactly, summed over all events, or measured without a score."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PRNGKeyArray, PyTree

from ...errors import InputError
from ...estimation.estimates import estimate
from ...estimation.expectations import Expectation, expectation
from ...estimation.programs import Program
from ...estimators.enumeration import Enumerate
from ...estimators.problem import check_function
from ...parameters import as_parameters, exact_gradient, flatten

MOST_DIRECTIONS = 16  # of a measured reference: more parameters than that are looked at along random directions
STEP = 0.1  # of finite differences, as a share of a parameter
CURVED = 0.1  # of the difference between two orders of them, which is of the next order yet


@dataclasses.dataclass(frozen=True)
class Reference:
    """The truth along some directions in the parameters: the gradient's entries themselves, where there are few."""

    meaning: str
    directions: Float[np.ndarray, "k parameters"] | None  # None: every entry
    gradient: Float[np.ndarray, " k"]
    error: Float[np.ndarray, " k"]  # standard errors; 0 where it is exact
    floor: Float[np.ndarray, " k"]  # what the method itself may be off
    value: float | None = None


def reference(program: Program, params: PyTree, key: PRNGKeyArray, exact: Any, replicates: int) -> Reference:
    """`exact` where it is given; else a sum over all events where they are few; else finite differences.

    Raises `InputError` where `exact` does not fit the parameters, or the program breaks down a step beside them.
    """
    if exact is not None:
        return _said(exact, params)
    if isinstance(program, Expectation):
        problem = program.problem
        whole = expectation(problem.f, problem.of, 1, Enumerate())
        try:
            return dataclasses.replace(_said(lambda p: whole(p, key), params), meaning="the sum over all events")
        except InputError:  # there are too many events, or no end of them
            pass
    return _measured(program, params, key, replicates)


def flat(tree: PyTree) -> Float[np.ndarray, " n"]:
    """All numbers of a pytree in a row, in float64."""
    return np.asarray(ravel_pytree(tree)[0], np.float64)


def along(program: Program, params: PyTree, directions: Float[np.ndarray, "k parameters"] | None) -> tuple[Any, PyTree]:
    """The program as one of k numbers, the steps along the directions, and where it stands: at 0."""
    if directions is None:
        return program, params
    floats, rest = as_parameters(params)
    start, unravel = ravel_pytree(floats)

    def moved(steps, key):
        return program(rest.filled(unravel(start + steps @ jnp.asarray(directions, start.dtype))), key)

    return moved, jnp.zeros(len(directions), start.dtype)


def _said(exact: PyTree | Callable[[PyTree], Any], params: PyTree) -> Reference:
    flatten("exact", exact)
    # A model may be called too: built as the parameters are, it holds the numbers of a gradient. A function is a leaf.
    floats, rest = as_parameters(params)
    built = [jax.tree.structure(tree) for tree in (params, rest.shaped(floats))]
    is_gradient = not jax.tree_util.all_leaves([exact]) and jax.tree.structure(exact) in built
    if callable(exact) and not is_gradient:
        check_function("exact", exact)
        value, gradient = _function_of(exact, params)
    else:
        value, gradient = None, exact_gradient(exact, params)
    floor = np.full(gradient.size, 1e-5 * (1e-3 + np.abs(gradient).max(initial=0.0)))
    return Reference("exact", None, gradient, np.zeros_like(gradient), floor, value)


def _function_of(exact: Callable[[PyTree], Any], params: PyTree) -> tuple[float, Float[np.ndarray, " n"]]:
    """The value and the gradient of what is said to be J. Raises `InputError` unless it is one finite number."""
    floats, rest = as_parameters(params)
    try:
        inspect.signature(exact).bind(None)
    except TypeError as error:
        raise InputError(
            f"exact cannot be called as exact(params) ({error}): give a function of these alone."
        ) from None
    except ValueError:  # some built-in functions have no signature
        pass

    def one(floats):
        value = exact(rest.filled(floats))
        if value is None or jnp.shape(value) != ():
            what = "is None" if value is None else f"has the shape {jnp.shape(value)}"
            raise InputError(f"exact(params) {what}, but J is one number: give it, or the gradient itself.")
        return jnp.asarray(value, float)

    value, tree = jax.value_and_grad(one)(floats)
    if not np.isfinite(float(value)) or not np.all(np.isfinite(flat(tree))):
        raise InputError(
            f"exact(params) is {float(value)} with the gradient {flat(tree)}: give a J that is finite here."
        )
    return float(value), flat(tree)


def _measured(program: Program, params: PyTree, key: PRNGKeyArray, replicates: int) -> Reference:
    """Central differences of the mean value, of fourth order, with the same keys on both sides: no score in it."""
    size = flat(as_parameters(params)[0])
    # In steps that are shares of the parameters, so that a small scale does not become negative.
    steps = STEP * np.where(np.abs(size) > 1e-3, np.abs(size), 1.0)
    directions = np.diag(steps)
    if len(steps) > MOST_DIRECTIONS:
        signs = np.random.default_rng(0).standard_normal((MOST_DIRECTIONS, len(steps)))
        directions = steps * signs / np.linalg.norm(signs, axis=1, keepdims=True)
    moved, origin = along(program, params, directions)
    units = jnp.eye(len(directions), dtype=origin.dtype)

    def differences(weights, key):
        """A program whose derivative in the weights is the differences, so that they get their errors."""

        def across(step):
            return jax.lax.map(lambda unit: moved(step * unit, key) - moved(-step * unit, key), units)

        near, far = across(1.0), across(2.0)
        both = jnp.concatenate([(8 * near - far) / 12, near / 2])
        return weights @ jax.lax.stop_gradient(both)

    try:
        found = estimate(differences, jnp.zeros(2 * len(units), origin.dtype), key, replicates=replicates)
    except InputError as reason:
        raise InputError(
            f"the program breaks down {100 * STEP:.0f} % beside the parameters, so nothing is left to compare the "
            f"gradient with ({reason}): give exact=, the gradient or a function that is J."
        ) from None
    fourth, second = np.split(flat(found.gradient), 2)
    error = flat(found.gradient_error)[: len(units)]
    floor = CURVED * np.abs(fourth - second) + 1e-5 * (1e-3 + np.abs(fourth))
    return Reference("finite differences of the mean value", directions, fourth, _known(error), floor)


def _known(error: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Infinite errors are of what did not vary: there is no noise in that."""
    return np.where(np.isfinite(error), error, 0.0)
