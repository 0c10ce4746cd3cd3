"""One of `n` choices."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .base import AbstractDistribution
from .probabilities import by_logits
from .quantiles import choice_at
from .threefry import fast_key, in_one_row
from .traits import Branches, Family, Quantiles, Traits, traits


class Categorical(AbstractDistribution):
    """The integers 0 to n - 1, with probabilities proportional to `exp(logits)`. A logit of -inf is never drawn."""

    logits: Float[Array, " n"]

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Int[Array, "*batch"]:
        """A choice, by the largest of the logits with Gumbel noise."""
        if not shape:
            return jax.random.categorical(fast_key(key), self.logits)
        draw = functools.partial(jax.random.gumbel, dtype=self.logits.dtype)  # as `jax.random.categorical` does
        noise = in_one_row(draw, fast_key(key), shape + self.logits.shape)
        return jnp.argmax(jnp.broadcast_to(self.logits, noise.shape) + noise, axis=-1).astype(jnp.int32)

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Int[Array, ""], Float[Array, ""]]:
        event = self.sample(key)
        return event, self.log_prob(event)

    def log_prob(self, event: Int[Array, ""]) -> Float[Array, ""]:
        """The logarithm of the probability of a choice; -inf for an integer that is none."""
        # One-hot instead of an index: the gradient of an index is a scatter, which XLA does one row after the other.
        n = self.logits.shape[0]
        elsewhere = jnp.where((event >= 0) & (event < n), 0.0, -jnp.inf)  # what the other choices add to the sum
        return jnp.sum(jnp.where(jnp.arange(n) == event, jax.nn.log_softmax(self.logits), elsewhere))

    def entropy(self) -> Float[Array, ""]:
        """In nats; a choice of probability 0 adds nothing."""
        log_p = jax.nn.log_softmax(self.logits)
        possible = jnp.isfinite(log_p)
        return -jnp.sum(jnp.where(possible, jnp.exp(log_p) * jnp.where(possible, log_p, 0.0), 0.0))

    def kl(self, other: Any) -> Float[Array, ""]:
        """In nats; infinite where `other` rules out what this one allows."""
        log_p, log_q = jax.nn.log_softmax(self.logits), jax.nn.log_softmax(other.logits)
        possible = jnp.isfinite(log_p)
        difference = jnp.where(possible, log_p, 0.0) - jnp.where(possible, log_q, 0.0)
        return jnp.sum(jnp.where(possible, jnp.exp(log_p) * difference, 0.0))

    def mode(self) -> Int[Array, ""]:
        """The most probable choice, the first of them where several are."""
        return jnp.argmax(self.logits)


@traits.register
def _(dist: Categorical) -> Traits:
    n = jnp.shape(dist.logits)[-1]
    return Traits(
        "Categorical",
        is_proven=lambda: True,
        shape=(),
        values=lambda: [np.arange(n)],
        contains=lambda event: (event >= 0) & (event < n) & (event == jnp.floor(event)),
        such_as=f"one of 0 to {n - 1}",
        pmf=lambda event: by_logits(dist, event),
        families=lambda: [Family("Categorical", "Categorical", (), lambda: {"logits": dist.logits})],
        masked=lambda allowed: Categorical(jnp.where(allowed | ~jnp.any(allowed), dist.logits, -jnp.inf)),
        categorical_logits=lambda: dist.logits,
        branches=lambda _: _branches(dist),
        nearest_uniform=lambda: Categorical(jnp.where(jnp.isneginf(dist.logits), dist.logits, 0.0)),
        quantiles=lambda: Quantiles(1, lambda uniform: choice_at(jax.nn.softmax(dist.logits), uniform[0])),
        summary=lambda: {"probabilities": jax.nn.softmax(dist.logits)},
    )


def _branches(dist: Categorical) -> Branches:
    log_probs = jax.nn.log_softmax(dist.logits)
    return Branches(jnp.arange(dist.logits.shape[-1]), log_probs, jnp.exp(log_probs))
