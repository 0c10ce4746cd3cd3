"""No randomness at all."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .base import AbstractDistribution
from .traits import Traits, traits


class Point(AbstractDistribution):
    """One event with certainty: its probability is 1, and that of every other 0."""

    event: PyTree[Array]

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> PyTree[Array]:
        return jax.tree.map(lambda x: jnp.broadcast_to(x, shape + jnp.shape(x)), self.event)

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[PyTree[Array], Float[Array, ""]]:
        return self.event, jnp.zeros(())

    def log_prob(self, event: PyTree[Array]) -> Float[Array, ""]:
        """0 for the event itself, -inf for any other."""
        same = jax.tree.map(lambda a, b: jnp.all(a == b), event, self.event)
        return jnp.where(jnp.stack(jax.tree.leaves(same)).all(), 0.0, -jnp.inf)

    def entropy(self) -> Float[Array, ""]:
        return jnp.zeros(())

    def kl(self, other: Any) -> Float[Array, ""]:
        """0 for the same event, infinite for another."""
        return -other.log_prob(self.event)

    def mode(self) -> PyTree[Array]:
        return self.event


@traits.register
def _(dist: Point) -> Traits:
    return Traits(
        "Point",
        support_bounds=lambda: [x for x in jax.tree.leaves(dist.event) if eqx.is_inexact_array(x)],
        not_reparametrised=list,
    )
