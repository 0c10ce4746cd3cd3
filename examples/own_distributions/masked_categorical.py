"""One of n choices, some of which are forbidden (action masking). Huang & Ontañón 2022 (arXiv:2006.14171).

    dist = MaskedCategorical(logits, obs["action_mask"])      # in a policy's __call__; True where it may be drawn
    logpi.audit.policy(dist, key)                             # whether it is a distribution

The gradient in the logit of a forbidden choice is 0.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from logpi.distributions import AbstractDistribution, Categorical
from logpi.distributions.traits import Probability, Quantiles, Traits, traits


class MaskedCategorical(AbstractDistribution):
    """The integers 0 to n - 1 where the mask is true, with probabilities proportional to `exp(logits)`.

    At least one must be allowed.
    """

    logits: Float[Array, " n"]
    mask: Bool[Array, " n"]

    @property
    def allowed(self) -> Categorical:
        """The same, as a categorical that never draws a logit of -inf."""
        return Categorical(jnp.where(self.mask, self.logits, -jnp.inf))

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Int[Array, "*batch"]:
        """An allowed choice."""
        return self.allowed.sample(key, shape)

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Int[Array, ""], Float[Array, ""]]:
        """An allowed choice and its log-probability."""
        return self.allowed.sample_and_log_prob(key)

    def log_prob(self, event: Int[Array, ""]) -> Float[Array, ""]:
        """-inf for a forbidden choice."""
        return self.allowed.log_prob(event)

    def entropy(self) -> Float[Array, ""]:
        """Over the allowed choices."""
        return self.allowed.entropy()

    def kl(self, other: Any) -> Float[Array, ""]:
        """Infinite where `other` forbids what this one allows."""
        return self.allowed.kl(other.allowed)

    def mode(self) -> Int[Array, ""]:
        """The most probable choice."""
        return self.allowed.mode()


@traits.register
def _(dist: MaskedCategorical) -> Traits:
    n = dist.logits.shape[-1]
    return Traits(
        "MaskedCategorical",
        shape=(),
        values=lambda: [np.arange(n)],  # a forbidden one has the probability 0
        contains=lambda event: jnp.isin(event, jnp.arange(n)) & dist.mask[jnp.clip(event, 0, n - 1).astype(int)],
        such_as="a choice that the mask allows",
        support_bounds=list,  # the mask has no derivative
        pmf=lambda event: _pmf(dist, event),
        summary=lambda: {"probabilities": jax.nn.softmax(dist.allowed.logits)},  # for reports
        quantiles=lambda: Quantiles(1, lambda uniform: _choice_at(dist, uniform[0])),
    )


def _pmf(dist: MaskedCategorical, event: Int[Array, ""]) -> Probability:
    log_prob = dist.log_prob(event)
    is_possible = log_prob > -jnp.inf  # the cost of what is not possible is not asked for, nor any derivative of it
    return Probability(jnp.where(is_possible, jnp.exp(log_prob), 0.0), is_possible)


def _choice_at(dist: MaskedCategorical, uniform: Float[Array, ""]) -> Int[Array, ""]:
    """The first choice whose cumulated probability is beyond a number between 0 and 1."""
    total = jnp.cumsum(jax.nn.softmax(dist.allowed.logits))
    return jnp.argmax(total > uniform * total[-1])
