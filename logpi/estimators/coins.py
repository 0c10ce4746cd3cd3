"""Distributions that are coins or one choice, whatever library they come from."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..distributions import AbstractDistribution, Bernoulli, Categorical, FromNumpyro
from ..distributions.numpyro import entries_of, own_name, shape_of
from ..errors import InputError
from .support import name_of


def logits_of(dist: AbstractDistribution, estimator: str) -> Float[Array, "*shape"]:
    """The logits of independent coins. Raises `InputError` for any other distribution."""
    if isinstance(dist, Bernoulli):
        return dist.logits
    if isinstance(dist, FromNumpyro):
        inner = entries_of(dist.distribution)
        if own_name(inner) in ("BernoulliLogits", "BernoulliProbs"):
            return jnp.broadcast_to(inner.logits, shape_of(dist.distribution))
    raise InputError(f"{estimator} is for independent Bernoulli coins, not for {name_of(dist)}: use Score() for it.")


def choice_logits(dist: AbstractDistribution) -> Float[Array, " n"] | None:
    """The logits of one choice out of n; `None` for any other distribution."""
    if isinstance(dist, Categorical):
        return dist.logits
    if isinstance(dist, FromNumpyro) and own_name(dist.distribution) in ("CategoricalLogits", "CategoricalProbs"):
        return dist.distribution.logits if dist.distribution.batch_shape == () else None
    return None
