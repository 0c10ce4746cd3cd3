"""Observations brought to mean 0 and variance 1.

Inside the policy, so that evaluating, saving and exporting need no second object.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PyTree, Shaped

from .. import spaces
from ..parameters import AbstractStatistics
from ..spaces.masks import without_mask
from ..spaces.membership import mapped
from ..statistics.moments import merged_variances, Moments
from ..trajectory import rows
from .base import AbstractActorCritic, Memory, Output
from .masked import Masked


class Normalizer(AbstractStatistics):
    """Running mean and variance of every number of an observation; a part that is not a `Box` stays.

    Normalised values are clipped at +-`limit`.
    """

    count: Float[Array, ""]
    mean: PyTree[Float[Array, "..."]]
    variance: PyTree[Float[Array, "..."]]
    limit: float = eqx.field(static=True)

    def __init__(self, space: spaces.Space, *, limit: float = 10.0):
        self.mean = _each_box(space, lambda box: jnp.zeros(box.shape))
        # Until something has been seen, pictures and bytes are divided by their range, as they are elsewhere.
        self.variance = _each_box(space, lambda box: jnp.full(box.shape, spaces.scale(box) ** 2))
        self.count, self.limit = jnp.zeros(()), limit

    def __call__(self, obs: PyTree[Array]) -> PyTree[Array]:
        """One observation, normalised."""

        def normalize(mean, variance, x):
            if mean.size == 0:  # a part that stays
                return x
            scaled = (x - stop_gradient(mean)) * jax.lax.rsqrt(stop_gradient(variance) + 1e-8)
            return jnp.clip(scaled, -self.limit, self.limit)

        return jax.tree.map(normalize, self.mean, self.variance, obs)

    def merged(self, obs: PyTree[Array], weight: Shaped[Array, " rows"]) -> "Normalizer":
        """The statistics with `rows` more observations (rows, ...), each counted `weight` times."""
        rows = jnp.sum(weight)
        total = self.count + rows

        def merge(mean, variance, x):
            if mean.size == 0:
                return Moments(mean, variance)
            w = weight.reshape(-1, *(1,) * mean.ndim) / jnp.maximum(rows, 1)
            new_mean = jnp.sum(w * x, 0)
            new = Moments(new_mean, jnp.sum(w * (x - new_mean[None]) ** 2, 0))
            return merged_variances(Moments(mean, variance), new, rows / jnp.maximum(total, 1))

        merged = jax.tree.map(merge, self.mean, self.variance, obs)
        mean = jax.tree.map(lambda _, moments: moments.mean, self.mean, merged)
        variance = jax.tree.map(lambda _, moments: moments.spread, self.mean, merged)
        where = lambda n: (n.count, n.mean, n.variance)  # noqa: E731
        return eqx.tree_at(where, self, (total, mean, variance))


def _each_box(space: spaces.Space, make: Callable[[spaces.Box], Array]) -> PyTree[Array]:
    """What is made of every `Box`, and arrays without entries where a part stays as it is."""
    return mapped(space, lambda part: make(part) if isinstance(part, spaces.Box) else jnp.zeros(0))


class Normalized(AbstractActorCritic):
    """A model that sees normalised observations. `observe` keeps the statistics up to date."""

    model: AbstractActorCritic
    normalizer: Normalizer

    def initial_memory(self) -> Memory:
        return self.model.initial_memory()

    def evaluate(self, obs: PyTree[Array], memory: Memory) -> tuple[Output, Memory]:
        return self.model.evaluate(self.normalizer(obs), memory)


def innermost_obs(model: AbstractActorCritic, obs: PyTree[Array]) -> PyTree[Array]:
    """What a model's networks see of one observation: without its mask, and normalised."""
    if isinstance(model, Masked):
        return without_mask(obs) if model.whole else innermost_obs(model.model, model.seen(obs))
    return model.normalizer(obs) if isinstance(model, Normalized) else obs


def observe(
    model: AbstractActorCritic, obs: PyTree[Array], weight: Shaped[Array, "streams time"]
) -> AbstractActorCritic:
    """The model after it has seen observations (streams, time, ...): a `Normalized` one takes them into its statistics.

    To be called after an update, not before: until then the stored log-probabilities belong to the old statistics.
    """
    if isinstance(model, Masked):
        return eqx.tree_at(lambda m: m.model, model, observe(model.model, model.seen(obs), weight))
    if not isinstance(model, Normalized):
        return model
    return eqx.tree_at(lambda m: m.normalizer, model, model.normalizer.merged(rows(obs), weight.reshape(-1)))
