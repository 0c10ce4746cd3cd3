"""Bounds that look at several samples at once."""

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..errors import check_fields, check_whole, InputError
from .base import AbstractEstimator, check_multiple
from .problem import Problem


class VIMCO(AbstractEstimator):
    r"""The bound $E[\log \frac1K \sum_k e^{f(x_k)}]$ over `particles` samples, each compared with the bound without it.

    f is a log-weight, as $\log p(x, z) - \log q_\theta(z \mid x)$, and usually depends on the parameters. The
    expectation is that of the bound (Burda et al. 2016, arXiv:1509.00519), not of f. Mnih & Rezende 2016
    (arXiv:1602.06725), eq. 10: the log-weight that is left out is replaced by the mean of the
    others. Right at every order. A log-weight may be -inf, as long as not all of a set are.
    """

    particles: int = 8

    def __check_init__(self):
        check_fields(self, check_whole, "particles", low=2)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean of the bound over sets of particles. Raises `InputError` unless `samples` splits into sets."""
        check_multiple("VIMCO", samples, self.particles, f"sets of {self.particles} particles")
        draws = problem.draws(params, key, samples)
        if draws.unit != 1:
            raise InputError(
                "VIMCO compares independent particles, and these are drawn in sets: use it without Antithetic, "
                "Stratified or QuasiMonteCarlo."
            )
        events = draws.events
        log_probs = problem.log_probs(params, events).reshape(-1, self.particles)
        log_weights = problem.costs(params, events).reshape(-1, self.particles)
        return jnp.mean(jax.vmap(_bound)(log_probs, log_weights))


def _bound(log_probs: Float[Array, " k"], log_weights: Float[Array, " k"]) -> Float[Array, ""]:
    k = log_weights.shape[0]
    bound = jax.nn.logsumexp(log_weights) - jnp.log(k)
    weights = stop_gradient(log_weights)
    # Summed without each instead of taken off the sum: a weight of 0, whose logarithm is -inf, would leave NaN.
    own = jnp.eye(k, dtype=bool)
    others = jnp.sum(jnp.where(own, 0.0, weights[None, :]), axis=1) / (k - 1)
    without = jax.nn.logsumexp(jnp.where(own, others[:, None], weights[None, :]), axis=1) - jnp.log(k)
    without = jnp.where(without > -jnp.inf, without, 0.0)  # where no other has a weight; any constant is right
    # The whole set explains the bound, and each sample alone its own baseline: see `sites.cost`.
    each = jnp.exp(log_probs - stop_gradient(log_probs))
    total = jnp.sum(log_probs)
    return jnp.exp(total - stop_gradient(total)) * bound - jnp.sum((each - 1) * without)
