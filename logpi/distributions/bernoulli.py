"""Independent coins."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from .base import AbstractDistribution
from .probabilities import by_logits
from .threefry import fast_key, in_one_row
from .traits import Family, Quantiles, Traits, traits


class Bernoulli(AbstractDistribution):
    """An array of independent zeros and ones, one with probability `sigmoid(logits)`. The event has their shape."""

    logits: Float[Array, "*shape"]

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Int[Array, "*batch_and_shape"]:
        """The coins: ones where a uniform number is below their probability."""
        uniform = in_one_row(jax.random.uniform, fast_key(key), shape + self.logits.shape)
        return (uniform < jnp.broadcast_to(jax.nn.sigmoid(self.logits), uniform.shape)).astype(jnp.int32)

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Int[Array, "*shape"], Float[Array, ""]]:
        event = self.sample(key)
        return event, self.log_prob(event)

    def log_prob(self, event: Int[Array, "*shape"]) -> Float[Array, ""]:
        """The logarithm of the probability of all coins together; -inf if one is neither 0 nor 1."""
        # Both logarithms, and then the choice: where many events share their logits, there are no more than two a coin.
        ones, zeros = jax.nn.log_sigmoid(self.logits), jax.nn.log_sigmoid(-self.logits)
        return jnp.sum(jnp.where(event == 1, ones, jnp.where(event == 0, zeros, -jnp.inf)))

    def entropy(self) -> Float[Array, ""]:
        """In nats; a value of probability 0 adds nothing."""
        return -jnp.sum(_expected(self.logits, jax.nn.log_sigmoid(self.logits), jax.nn.log_sigmoid(-self.logits)))

    def kl(self, other: Any) -> Float[Array, ""]:
        """In nats; infinite where `other` rules out what this one allows."""
        one = jax.nn.log_sigmoid(self.logits) - jax.nn.log_sigmoid(other.logits)
        zero = jax.nn.log_sigmoid(-self.logits) - jax.nn.log_sigmoid(-other.logits)
        return jnp.sum(_expected(self.logits, one, zero))

    def mode(self) -> Int[Array, "*shape"]:
        return (self.logits > 0).astype(jnp.int32)


@traits.register
def _(dist: Bernoulli) -> Traits:
    shape = jnp.shape(dist.logits)
    return Traits(
        "Bernoulli",
        is_proven=lambda: True,
        shape=shape,
        values=lambda: [np.arange(2)] * dist.logits.size,
        contains=lambda event: jnp.logical_or(event == 0, event == 1),
        pmf=lambda event: by_logits(dist, event),
        families=lambda: [Family("Bernoulli", "Bernoulli", shape, lambda: {"probs": jax.nn.sigmoid(dist.logits)})],
        masked=lambda allowed: _masked(dist, allowed),
        bernoulli_logits=lambda: dist.logits,
        nearest_uniform=lambda: Bernoulli(jnp.where(jnp.isinf(dist.logits), dist.logits, 0.0)),
        quantiles=lambda: Quantiles(dist.logits.size, lambda uniform: _coins_at(dist, uniform)),
        summary=lambda: {"ones": jax.nn.sigmoid(dist.logits)},
    )


def _expected(logits: Array, one: Array, zero: Array) -> Float[Array, "*shape"]:
    """The mean of what each coin's values come to; one that is never drawn may be infinite, or no number."""
    p = jax.nn.sigmoid(logits)
    return p * jnp.where(logits > -jnp.inf, one, 0.0) + (1 - p) * jnp.where(logits < jnp.inf, zero, 0.0)


def _masked(dist: Bernoulli, allowed: Bool[Array, " flags"]) -> Bernoulli:
    """Where neither value is allowed, both are."""
    zero, one = jnp.moveaxis(allowed.reshape(*dist.logits.shape, 2), -1, 0)
    return Bernoulli(jnp.where(one | ~zero, jnp.where(zero | ~one, dist.logits, jnp.inf), -jnp.inf))


def _coins_at(dist: Bernoulli, uniform: Float[Array, " d"]) -> Int[Array, "*shape"]:
    return (uniform.reshape(dist.logits.shape) > jax.nn.sigmoid(-dist.logits)).astype(jnp.int32)
