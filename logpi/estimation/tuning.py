"""Fitting a control variate: less variance, the same expectation."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PRNGKeyArray, PyTree

from ..distributions.threefry import split
from ..errors import check_whole, InputError, said, shown
from ..estimators.base import AbstractEstimator
from ..estimators.baselines import AbstractBaseline
from ..parameters import apart, as_parameters, check_key, floats_as_arrays, Frame
from .derivative_check import unchecked
from .expectations import checked_facts, Expectation
from .programs import MOST_SAMPLES, Pieces


def tune(
    J: Expectation,
    params: PyTree,
    key: PRNGKeyArray,
    *,
    optimiser: optax.GradientTransformation | None = None,
    steps: int = 200,
    replicates: int = 16,
) -> Expectation:
    r"""The same expectation with the arrays of its estimator (a surrogate, a temperature, a scale) fitted.

    Goes down $E|\hat g|^2$: as $E[\hat g]$ does not depend on them, that is the variance, and its gradient has no bias.
    Grathwohl et al. 2018 (arXiv:1711.00123), section 3.1. `optimiser` is Optax's Adam at 0.01 unless given; each step
    takes `replicates` gradients at the same `params`. Raises `InputError` if there is nothing to fit.
    """
    steps = check_whole("steps", steps, 0, MOST_SAMPLES)
    replicates = check_whole("replicates", replicates, 1, MOST_SAMPLES)
    if not isinstance(J, Expectation):
        raise InputError(
            f"J is {shown(J)}, but only the estimator of an expectation is tuned: give logpi.expectation(f)."
        )
    optimiser = optax.adam(1e-2) if optimiser is None else optimiser
    floats, of_params = as_parameters(params)
    key, (fitted, rest) = check_key(key), _fittable(J.estimator)
    if not fitted:
        raise InputError(
            f"{type(J.estimator).__name__} has no arrays to fit: tune LAX, RELAX or REBAR, or choose another baseline."
        )
    check_optimiser(optimiser, fitted)
    checked_facts(J, Pieces.of(J, params), key)

    def square(fitted, key):
        tuned = Expectation(J.problem, rest.filled(fitted), J.samples)

        def gradient(key):
            return ravel_pytree(jax.grad(lambda floats: tuned(of_params.filled(floats), key))(floats))[0]

        return jnp.mean(jnp.sum(jax.vmap(gradient)(split(key, replicates)) ** 2, axis=1))

    with unchecked():
        fitted = _descend(square, fitted, split(key, steps), optimiser)
    if not all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in fitted):
        raise InputError(
            "fitting the control variate diverged: give an optimiser with a smaller step, optax.adam(1e-3) say."
        )
    return Expectation(J.problem, rest.filled(fitted), J.samples)


def check_optimiser(optimiser: object, params: PyTree) -> None:
    """Raises `InputError` for what takes no step from a gradient alone: none of Optax's, or one that asks for more."""
    given: Any = optimiser
    try:
        jax.eval_shape(lambda params: given.update(params, given.init(params), params), params)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"optimiser is {shown(optimiser)}, which takes no step along a gradient alone "
            f"({type(error).__name__}: {said(error, 160)}): give one of Optax's that does, as optax.adam(1e-2)."
        ) from None


def _descend(
    square: Callable[..., Any], fitted: PyTree, keys: Array, optimiser: optax.GradientTransformation
) -> PyTree:
    """After one step down for each key."""

    def step(carry, key):
        fitted, state = carry
        change, state = optimiser.update(jax.grad(square)(fitted, key), state, fitted)
        return (optax.apply_updates(fitted, change), state), None

    (fitted, _), _ = jax.jit(lambda carry: jax.lax.scan(step, carry, keys))((fitted, optimiser.init(fitted)))
    return fitted


def _fittable(estimator: AbstractEstimator) -> tuple[list[Array], Frame]:
    """The arrays of an estimator, and the rest. Baselines have ways of their own to learn, and no gradient here."""
    arrays = floats_as_arrays(estimator)
    return apart(arrays, eqx.is_inexact_array, is_leaf=lambda node: isinstance(node, AbstractBaseline))
