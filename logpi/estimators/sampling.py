"""Samples that are spread out on purpose: fewer of them do. Errors come from independent sets, not from within one."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..distributions import AbstractDistribution
from ..distributions.quantiles import quantiles_of
from ..distributions.threefry import fast_key, split
from ..errors import check_fields, check_whole, InputError
from .base import AbstractEstimator, check_estimator, check_multiple
from .problem import Draws, Problem

Points = Callable[[PRNGKeyArray, int, int], Float[Array, "n d"]]  # (key, n, d) -> one randomised set


class Antithetic(AbstractEstimator):
    """Draws in pairs: with each event the one at the opposite quantiles. Good for f that rises or falls all the way.

    Hammersley & Morton 1956. An even f has no use for it: both members of a pair cost the same.
    """

    estimator: AbstractEstimator

    def __check_init__(self):
        check_estimator("estimator", self.estimator)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The estimator's, on pairs. Raises `InputError` for an odd number of samples."""
        check_multiple("Antithetic", samples, 2, "pairs")
        return _on_points(self, QuantileDraw(antithetic_points, samples // 2), problem, params, key, samples)


class Stratified(AbstractEstimator):
    """One event from each of equally probable slices, along every entry (a Latin hypercube beyond one dimension).

    `sets` of them are independent of each other: a leave-one-out baseline needs two. McKay et al. 1979.
    """

    estimator: AbstractEstimator
    sets: int = 2

    def __check_init__(self):
        check_estimator("estimator", self.estimator)
        check_fields(self, check_whole, "sets", low=1)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The estimator's, on stratified samples. Raises `InputError` if `samples` does not split into the sets."""
        check_multiple("Stratified", samples, self.sets, f"{self.sets} sets of equal size")
        return _on_points(self, QuantileDraw(stratified_points, self.sets), problem, params, key, samples)


class QuasiMonteCarlo(AbstractEstimator):
    """Sobol's points with a random digital shift: each point uniform, all of them even. For 1 to 5 dimensions or so.

    `sets` of them are independent of each other. A set of a power of two points is the most even. Owen 1998.
    """

    estimator: AbstractEstimator
    sets: int = 2

    def __check_init__(self):
        check_estimator("estimator", self.estimator)
        check_fields(self, check_whole, "sets", low=1)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The estimator's, on quasi-random samples. Raises `InputError` if `samples` does not split into the sets."""
        check_multiple("QuasiMonteCarlo", samples, self.sets, f"{self.sets} sets of equal size")
        return _on_points(self, QuantileDraw(sobol_points, self.sets), problem, params, key, samples)


class QuantileDraw(eqx.Module):
    """Draws `sets` independent sets of points, and the events at these quantiles."""

    points: Points = eqx.field(static=True)
    sets: int = eqx.field(static=True)

    def __call__(self, dist: AbstractDistribution, key: PRNGKeyArray, samples: int) -> Draws:
        """`samples` events in `sets` units."""
        d, event = quantiles_of(dist)
        keys = split(key, self.sets)
        points = jax.vmap(lambda key: self.points(key, samples // self.sets, d))(keys).reshape(samples, d)
        inside = jnp.clip(points, 1e-7, 1 - 1e-7)  # float32 rounds 1 - 1e-8 to 1, whose quantile is infinite
        return Draws(jax.vmap(event)(inside), samples // self.sets)


def _on_points(
    wrapper: Any, draw: QuantileDraw, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int
) -> Float[Array, ""]:
    """The wrapped estimator's scalar on these points; `InputError` if it drew none of them."""
    drawn = []

    def noted(dist: AbstractDistribution, key: PRNGKeyArray, samples: int) -> Draws:
        drawn.append(samples)
        return draw(dist, key, samples)

    scalar = wrapper.estimator(dataclasses.replace(problem, draw=noted), params, key, samples)
    if not drawn:
        name, inner = type(wrapper).__name__, type(wrapper.estimator).__name__
        raise InputError(
            f"{name} spreads the events that an estimator draws, but {inner} draws in a way of its own, so {name} "
            f"would do nothing: use {inner} without it, or {name}(Score())."
        )
    return scalar


def antithetic_points(key: PRNGKeyArray, n: int, d: int) -> Float[Array, "n d"]:
    """A pair: uniform points and their opposites."""
    half = jax.random.uniform(fast_key(key), (n // 2, d))
    return jnp.stack([half, 1 - half], axis=1).reshape(n, d)


def stratified_points(key: PRNGKeyArray, n: int, d: int) -> Float[Array, "n d"]:
    """A Latin hypercube: along each dimension one point in each of n slices."""
    order_key, place_key = split(key)
    slices = jax.vmap(lambda key: jax.random.permutation(fast_key(key), n), out_axes=1)(split(order_key, d))
    return (slices + jax.random.uniform(fast_key(place_key), (n, d))) / n


def sobol_points(key: PRNGKeyArray, n: int, d: int) -> Float[Array, "n d"]:
    """The first n points of Sobol's sequence, all bits of a dimension flipped where a random number has ones."""
    shift = jax.random.bits(fast_key(key), (d,), jnp.uint32)
    bits = jnp.asarray(_sobol_integers(n, d)) ^ shift[None]
    # Float32 has 24 bits: take the high ones, and stand in the middle of the cell.
    return ((bits >> 8).astype(jnp.float32) + 0.5) * 2.0**-24


def _sobol_integers(n: int, d: int) -> np.ndarray:
    from scipy.stats import qmc

    exponent = max(0, math.ceil(math.log2(n)))
    points = qmc.Sobol(d, scramble=False, bits=32).random_base2(exponent)[:n]
    return (points * 2.0**32).astype(np.uint32)
