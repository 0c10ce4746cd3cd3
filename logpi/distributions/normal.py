"""Independent Gaussians."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import InputError
from .base import AbstractDistribution
from .threefry import fast_key, in_one_row, stored
from .traits import Family, Quantiles, Traits, traits, wide_enough

HALF_LOG_TWO_PI = 0.5 * float(np.log(2 * np.pi))


class Normal(AbstractDistribution):
    """A Gaussian with a diagonal covariance. The event has the shape of `mean`; `log_std` is in natural logarithms.

    Raises `InputError` unless both have one shape: broadcast, an entropy would count too few entries.
    """

    mean: Float[Array, "..."]
    log_std: Float[Array, "..."]

    def __check_init__(self):
        shapes = jnp.shape(self.mean), jnp.shape(self.log_std)
        if shapes[0] != shapes[1]:
            raise InputError(
                f"mean and log_std of a Normal have the shapes {shapes[0]} and {shapes[1]}, but each entry needs both: "
                "give one shape, by jnp.broadcast_to where a number is to hold for all."
            )

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "*batch_and_shape"]:
        """`mean + std * noise`, differentiable in both."""
        dtype = jnp.result_type(self.mean, self.log_std, jnp.float32)  # not JAX's default, which may be of 64 bits
        noise = in_one_row(functools.partial(_noise, dtype=dtype), fast_key(key), shape + self.mean.shape)
        mean, std = (jnp.broadcast_to(x, noise.shape) for x in (self.mean, jnp.exp(self.log_std)))
        return mean + std * noise

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Float[Array, "*shape"], Float[Array, ""]]:
        event = self.sample(key)
        return event, self.log_prob(event)

    def log_prob(self, event: Float[Array, "*shape"]) -> Float[Array, ""]:
        """The logarithm of the density, summed over the entries."""
        z = (event - self.mean) * jnp.exp(-self.log_std)
        return -jnp.sum(0.5 * z**2 + self.log_std + HALF_LOG_TWO_PI)

    def entropy(self) -> Float[Array, ""]:
        return jnp.sum(self.log_std + HALF_LOG_TWO_PI + 0.5)

    def kl(self, other: Any) -> Float[Array, ""]:
        log_ratio = self.log_std - other.log_std
        shift = (self.mean - other.mean) * jnp.exp(-other.log_std)
        return 0.5 * jnp.sum(jnp.exp(2 * log_ratio) + shift**2 - 1 - 2 * log_ratio)

    def mode(self) -> Float[Array, "*shape"]:
        return self.mean


@functools.partial(jax.jit, static_argnums=1, static_argnames="dtype", inline=True)
def _noise(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Float[Array, "..."]:
    """`jax.random.normal`, put into memory: its inverse error function is a tenth of an expectation's time."""
    return stored(lambda key: jax.random.normal(key, shape, dtype), key, shape, dtype)


@traits.register
def _(dist: Normal) -> Traits:
    shape = jnp.shape(dist.mean)
    return Traits(
        "Normal",
        is_proven=lambda: True,
        shape=shape,
        families=lambda: [
            Family("Normal", "Normal", shape, lambda: {"loc": dist.mean, "scale": jnp.exp(dist.log_std)})
        ],
        quantiles=lambda: Quantiles(dist.mean.size, lambda uniform: _numbers_at(dist, uniform)),
        not_reparametrised=list,
        constraints=lambda: [wide_enough("Normal", dist.mean, jnp.exp(dist.log_std))],
        summary=lambda: {"mean": dist.mean, "std": np.exp(np.asarray(dist.log_std))},
    )


def _numbers_at(dist: Normal, uniform: Float[Array, " d"]) -> Float[Array, "*shape"]:
    return dist.mean + jnp.exp(dist.log_std) * jax.scipy.special.ndtri(uniform).reshape(dist.mean.shape)
