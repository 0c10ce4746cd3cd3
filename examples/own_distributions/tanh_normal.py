"""A Gaussian squashed by tanh: actions between -1 and 1. Haarnoja et al. 2018 (arXiv:1812.05905), appendix C.

dist = TanhNormal(mean, log_std)      # in a policy's __call__; the event has the shape of both
logpi.audit.policy(dist, key)         # whether it is a distribution
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from logpi.distributions import AbstractDistribution, Normal
from logpi.distributions.traits import Quantiles, Traits, traits

# Of a standard normal, for expectations of smooth functions (Gauss-Hermite).
POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(64)


class TanhNormal(AbstractDistribution):
    """`tanh(u)` for u from a Gaussian with a diagonal covariance. `log_std` is in natural logarithms."""

    mean: Float[Array, "*shape"]
    log_std: Float[Array, "*shape"]

    @property
    def normal(self) -> Normal:
        """The distribution of u."""
        return Normal(self.mean, self.log_std)

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "*batch_and_shape"]:
        """Differentiable in both parameters."""
        return jnp.tanh(self.normal.sample(key, shape))

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Float[Array, "*shape"], Float[Array, ""]]:
        """From u itself, which need not be found again from its rounded tanh."""
        u = self.normal.sample(key)
        return jnp.tanh(u), self.normal.log_prob(u) - jnp.sum(log_slope(u))

    def log_prob(self, event: Float[Array, "*shape"]) -> Float[Array, ""]:
        """The density of u, divided by the slope of tanh there. An event rounded to 1 counts as the number before."""
        last = 1 - jnp.finfo(event.dtype).eps
        u = jnp.arctanh(jnp.clip(event, -last, last))
        return self.normal.log_prob(u) - jnp.sum(log_slope(u))

    def entropy(self) -> Float[Array, ""]:
        """The Gaussian's, and the mean of the log-slope by a sum over 64 points: right to 1e-4 for a std of up to 3."""
        points, weights = (jnp.asarray(x, self.mean.dtype) for x in (POINTS, WEIGHTS / np.sum(WEIGHTS)))
        u = jnp.reshape(self.mean, (-1, 1)) + jnp.outer(jnp.exp(self.log_std), points)  # a row for each entry
        return self.normal.entropy() + jnp.sum(log_slope(u) @ weights)

    def kl(self, other: Any) -> Float[Array, ""]:
        """The Gaussians': what is one to one changes no KL."""
        return self.normal.kl(other.normal)

    def mode(self) -> Float[Array, "*shape"]:
        """The median of each entry, which is what people play: the densest point may lie at 1 itself."""
        return jnp.tanh(self.mean)


def log_slope(u: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\log(1 - \tanh(u)^2) = 2 (\log 2 - u - \mathrm{softplus}(-2u))$, of which no digit is lost far from 0."""
    return 2 * (jnp.log(2.0) - u - jax.nn.softplus(-2 * u))


@traits.register
def _(dist: TanhNormal) -> Traits:
    def event(uniform):
        u = dist.mean + jnp.exp(dist.log_std) * jax.scipy.special.ndtri(uniform).reshape(dist.mean.shape)
        return jnp.tanh(u)

    return Traits(
        "TanhNormal",
        shape=dist.mean.shape,
        contains=lambda event: jnp.abs(event) <= 1,  # `log_prob` goes on beyond
        such_as="numbers between -1 and 1",
        support_bounds=list,  # -1 and 1, whatever the parameters
        quantiles=lambda: Quantiles(dist.mean.size, event),
        not_reparametrised=list,  # a derivative may be taken through draws, in all parameters
    )
