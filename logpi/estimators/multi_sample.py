"""Bounds that look at several samples at once."""

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..errors import check_between, InputError
from .base import AbstractEstimator
from .problem import Problem


class VIMCO(AbstractEstimator):
    r"""The bound $E[\log \frac1K \sum_k e^{f(x_k)}]$ over `particles` samples, each compared with the bound without it.

    f is a log-weight, as $\log p(x, z) - \log q_\theta(z \mid x)$, and usually depends on the parameters. The
    expectation is that of the bound (Burda et al. 2016, arXiv:1509.00519), not of f. Mnih & Rezende 2016
    (arXiv:1602.06725), eq. 10: the log-weight that is left out is replaced by the mean of the
    others. Right at every order.
    """

    particles: int = 8

    def __check_init__(self):
        check_between("particles", self.particles, 2)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean of the bound over sets of particles. Raises `InputError` unless `samples` splits into sets."""
        if samples % self.particles:
            raise InputError(
                f"samples is {samples}, but VIMCO draws sets of {self.particles} particles: give a multiple of it."
            )
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
    others = (jnp.sum(weights) - weights) / (k - 1)
    replaced = jnp.where(jnp.eye(k, dtype=bool), others[:, None], weights[None, :])
    without = jax.nn.logsumexp(replaced, axis=1) - jnp.log(k)
    # The whole set explains the bound, and each sample alone its own baseline: see `sites.cost`.
    each = jnp.exp(log_probs - stop_gradient(log_probs))
    total = jnp.sum(log_probs)
    return jnp.exp(total - stop_gradient(total)) * bound - jnp.sum((each - 1) * without)
