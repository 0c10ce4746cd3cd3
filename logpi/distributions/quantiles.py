"""Quantile functions: events from numbers between 0 and 1, which can be drawn in better ways than independently."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import InputError
from .base import AbstractDistribution
from .traits import Quantiles, traits


def quantiles_of(dist: AbstractDistribution) -> Quantiles:
    """The quantile function of a distribution. Raises `InputError` where none is known."""
    known = traits(dist)
    quantiles = known.quantiles()
    if quantiles is None:
        raise InputError(
            f"{known.name} has no quantile function here, so its events cannot be made from evenly spread numbers: use "
            "the estimator without Antithetic, Stratified or QuasiMonteCarlo."
        )
    return quantiles


def choice_at(probs: Float[Array, " n"], uniform: Float[Array, ""]) -> Array:
    """Which of n choices, in proportion to these probabilities, is at a quantile."""
    # Rounding may leave the sum below 1, and the rest must not go to a choice of probability 0.
    total = jnp.cumsum(probs)
    return jnp.sum(total <= uniform * total[-1])
