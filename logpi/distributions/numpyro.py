"""Any distribution of NumPyro, as one of ours."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .base import AbstractDistribution


class FromNumpyro(AbstractDistribution):
    """A NumPyro distribution over one event (its batch axes count as parts of the event, as `to_event` does).

    Sampling stops no gradient: whether a sampler is differentiable is told by NumPyro's `reparametrized_params`.
    """

    distribution: Any

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Array:
        """A draw by NumPyro's sampler."""
        with jax.numpy_rank_promotion("allow"):  # NumPyro's samplers broadcast
            return self.distribution.sample(key, shape)

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Array, Float[Array, ""]]:
        """A draw and its log-density, summed over batch axes."""
        event = self.sample(key)
        return event, self.log_prob(event)

    def log_prob(self, event: Array) -> Float[Array, ""]:
        """The logarithm of the density, summed over batch axes."""
        with jax.numpy_rank_promotion("allow"):
            return jnp.sum(_off_zero(self.distribution).log_prob(event))

    def entropy(self) -> Float[Array, ""]:
        """In nats, where NumPyro has a closed form; it raises `NotImplementedError` otherwise."""
        return jnp.sum(self.distribution.entropy())

    def kl(self, other: Any) -> Float[Array, ""]:
        """In nats, where NumPyro has a closed form; it raises `NotImplementedError` otherwise."""
        from numpyro.distributions import kl_divergence

        return jnp.sum(kl_divergence(self.distribution, other.distribution))

    def mode(self) -> Array:
        """The mean for a continuous distribution, the most probable value for one with a finite support.

        It raises `NotImplementedError` for counts without an end.
        """
        if not self.distribution.is_discrete:
            return jnp.asarray(self.distribution.mean)
        # Each entry for itself: NumPyro lists the support of several coins as all zeros and all ones.
        entries = entries_of(self.distribution)
        with jax.numpy_rank_promotion("allow"):
            support = entries.enumerate_support()
            best = jnp.argmax(entries.log_prob(support), axis=0)
        chosen = jnp.take_along_axis(support, best.reshape(1, *best.shape, *(1,) * entries.event_dim), axis=0)[0]
        return jnp.broadcast_to(chosen, shape_of(self.distribution))


def entries_of(distribution: Any) -> Any:
    """The distribution of the single entries, inside of what NumPyro wraps around it (`to_event`, `expand`)."""
    while type(distribution).__name__ in ("Independent", "ExpandedDistribution"):
        distribution = distribution.base_dist
    return distribution


def shape_of(distribution: Any) -> tuple[int, ...]:
    """The shape of one event, NumPyro's batch axes among its own."""
    return distribution.batch_shape + distribution.event_shape


def parts_of(distribution: Any) -> Iterator[Any]:
    """A NumPyro distribution, and those it is made of."""
    from numpyro.distributions import Distribution

    def is_part(node):
        return isinstance(node, Distribution)

    yield distribution
    for part in jax.tree.leaves(list(vars(distribution).values()), is_leaf=is_part):
        if is_part(part):
            yield from parts_of(part)


def _off_zero(distribution: Any) -> Any:
    """The same distribution, with logits of exactly 0 moved to the smallest number there is.

    NumPyro's Bernoulli and binomial have a formula in |logits|, whose derivative at 0 comes out as 0 or 1 in place of
    -1/2 or 1/2; and 0 is where logits begin.
    """
    kinked = ("BernoulliLogits", "BinomialLogits")
    logits = {id(part.logits) for part in parts_of(distribution) if type(part).__name__ in kinked}
    if not logits:
        return distribution

    def moved(x):
        if id(x) not in logits:
            return x
        x = jnp.asarray(x, float) if isinstance(x, int | float) else x
        return x + jnp.where(x == 0, jnp.finfo(x.dtype).tiny, 0).astype(x.dtype)

    return jax.tree.map(moved, distribution)
