"""Several independent distributions as one."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..threefry import split
from .base import AbstractDistribution


class Joint(AbstractDistribution):
    """Independent parts whose events are of one shape; the event is the stack of theirs along a first axis.

    A multi-discrete action is a `Joint` of `Categorical`s.
    """

    parts: tuple[AbstractDistribution, ...]

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Array:
        """The stack of the parts' events."""
        keys = split(key, len(self.parts))
        drawn = [part.sample(key, shape) for part, key in zip(self.parts, keys, strict=True)]
        return jnp.stack(drawn, axis=len(shape))

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Array, Float[Array, ""]]:
        """The stack of the parts' events, and the sum of their log-probabilities."""
        keys = split(key, len(self.parts))
        drawn = [part.sample_and_log_prob(key) for part, key in zip(self.parts, keys, strict=True)]
        return jnp.stack([event for event, _ in drawn]), jnp.sum(jnp.stack([log_prob for _, log_prob in drawn]))

    def log_prob(self, event: Array) -> Float[Array, ""]:
        """The sum of the parts'."""
        return jnp.sum(jnp.stack([part.log_prob(event[i]) for i, part in enumerate(self.parts)]))

    def entropy(self) -> Float[Array, ""]:
        """The sum of the parts', in nats."""
        return jnp.sum(jnp.stack([part.entropy() for part in self.parts]))

    def kl(self, other: Any) -> Float[Array, ""]:
        """The sum of the parts', in nats."""
        return jnp.sum(jnp.stack([p.kl(q) for p, q in zip(self.parts, other.parts, strict=True)]))

    def mode(self) -> Array:
        """The stack of the parts' modes."""
        return jnp.stack([part.mode() for part in self.parts])
