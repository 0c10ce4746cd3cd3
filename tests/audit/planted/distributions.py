"""Distributions with one thing wrong, and right ones beside them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from logpi.distributions import AbstractDistribution, Normal


class LogLinear(eqx.Module):
    """exp(alpha + beta a), which is no distribution."""

    alpha: jax.Array
    beta: jax.Array

    def log_prob(self, a):
        return self.alpha + self.beta * a


class Squashed(eqx.Module):
    """tanh of a Gaussian; `slope` says whether its log-density takes the log-slope off."""

    mean: jax.Array
    slope: bool = eqx.field(static=True)

    def sample(self, key):
        return jnp.tanh(self.mean + jax.random.normal(key))

    def log_prob(self, y):
        y = jnp.clip(y, -1 + 1e-6, 1 - 1e-6)
        density = dist.Normal(self.mean, 1.0).log_prob(jnp.arctanh(y))
        return density - (jnp.log1p(-(y**2)) if self.slope else 0.0)


class Clipped(eqx.Module):
    """Draws are clipped to [-1, 1], and their density is the Gaussian's, as if they were not."""

    mean: jax.Array

    def sample(self, key):
        return jnp.clip(self.mean + jax.random.normal(key), -1.0, 1.0)

    def log_prob(self, x):
        return dist.Normal(self.mean, 1.0).log_prob(x)


class Wrong(eqx.Module):
    """A Gaussian with one thing wrong."""

    mean: jax.Array
    what: str = eqx.field(static=True)

    def sample(self, key):
        std = 1.05 if self.what == "sampler" else 1.0
        noise = jax.random.normal(key, self.mean.shape)
        return self.mean + std * (noise[:1] if self.what == "one key" else noise)

    def log_prob(self, x):
        log_probs = Normal(self.mean, jnp.zeros_like(self.mean))
        if self.what == "entries":
            return -0.5 * (x - self.mean) ** 2
        if self.what == "constant":
            return -0.5 * jnp.sum((x - self.mean) ** 2)
        if self.what == "nan":
            return jnp.where(x[0] > self.mean[0] + 2, jnp.nan, log_probs.log_prob(x))
        if self.what == "score":
            return log_probs.log_prob(x) + jnp.sum(self.mean - jax.lax.stop_gradient(self.mean))
        if self.what == "nan score":  # the gradient of the branch that is not taken
            guarded = jnp.where(x[0] > self.mean[0], jnp.sqrt(x[0] - self.mean[0]), 0.0)
            return log_probs.log_prob(x) + 0.0 * guarded
        return log_probs.log_prob(x)

    def entropy(self):
        return Normal(self.mean, jnp.zeros_like(self.mean)).entropy() * (0.9 if self.what == "entropy" else 1.0)


def wrong(what: str) -> Wrong:
    """In two dimensions."""
    return Wrong(jnp.array([0.3, -0.8]), what)


class Turned(AbstractDistribution):
    """A Gaussian of width 1 whose KL has the other sign."""

    mean: jax.Array

    def _right(self):
        return Normal(self.mean, jnp.zeros_like(self.mean))

    def sample(self, key, shape=()):
        return self._right().sample(key, shape)

    def sample_and_log_prob(self, key):
        return self._right().sample_and_log_prob(key)

    def log_prob(self, event):
        return self._right().log_prob(event)

    def entropy(self):
        return self._right().entropy()

    def kl(self, other):
        return -0.5 * jnp.sum((self.mean - other.mean) ** 2)

    def mode(self):
        return self.mean
