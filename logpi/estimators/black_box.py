"""Gradients from values alone: evolution strategies, and differences as oracles for tests."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..derivatives import first_order
from ..distributions import Normal
from ..distributions.threefry import fast_key, split
from ..errors import check_between, check_fields
from ..parameters import apart, frozen, widened
from .base import AbstractEstimator, check_multiple
from .problem import independent, Problem
from .sites import cost

AT_ONCE = 2**22  # numbers of the parameters at all ends of steps that are taken side by side


class EvolutionStrategies(AbstractEstimator):
    r"""The score function of a Gaussian over the parameters: $E_\epsilon[J(\theta + \sigma\epsilon)]$.

    Unbiased for this *smoothed* J, not for J itself; needs no log-probability, so any sampler will do. Opposite pairs
    share their random numbers. Salimans et al. 2017 (arXiv:1703.03864), section 2; Sehnke et al. 2010 (PGPE).
    """

    std: float = eqx.field(static=True, default=0.1)

    def __check_init__(self):
        check_fields(self, check_between, "std", low=1e-12)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean over pairs of parameters, one event each. Raises `InputError` for an odd number of samples."""
        check_multiple("EvolutionStrategies", samples, 2, "pairs")
        centre, restored = _wide(params)
        search = Normal(centre, jnp.full_like(centre, jnp.log(self.std)))
        noise_key, event_key = split(key)
        noise = self.std * jax.random.normal(fast_key(noise_key), (samples // 2, centre.size), centre.dtype)
        points = stop_gradient(centre[None] + jnp.concatenate([noise, -noise]))
        halves = split(event_key, samples // 2)
        keys = jnp.concatenate([halves, halves])
        alone = dataclasses.replace(problem, draw=independent)
        at = jax.vmap(lambda point, key: plain_mean(alone, restored(point), key, 1))
        # The members of a pair push in opposite directions: what both cost cancels, without a baseline.
        return jnp.mean(cost(at(points, keys), jax.vmap(search.log_prob)(points)))


class SPSA(AbstractEstimator):
    r"""A difference along one random direction of signs, with common random numbers: biased by $O(h^2)$. An oracle.

    Spall 1992, eq. 2.2.
    """

    step: float = eqx.field(static=True, default=1e-2)

    def __check_init__(self):
        check_fields(self, check_between, "step", low=1e-12)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean cost, with the difference as its first derivative."""
        direction_key, key = split(key)

        def signs(index, size):
            return jax.random.rademacher(fast_key(direction_key), (len(index), size))

        return _by_differences(problem, params, key, samples, self.step, number=1, directions=signs, name="SPSA()")


class FiniteDifferences(AbstractEstimator):
    r"""A difference along each parameter, with common random numbers: biased by $O(h^2)$. An oracle for few parameters.

    Glasserman & Yao 1992.
    """

    step: float = eqx.field(static=True, default=1e-2)

    def __check_init__(self):
        check_fields(self, check_between, "step", low=1e-12)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean cost, with the differences as its first derivative."""

        def axes(index, size):
            return jax.nn.one_hot(index, size)

        return _by_differences(
            problem, params, key, samples, self.step, number=None, directions=axes, name="FiniteDifferences()"
        )


def _by_differences(problem, params, key, samples, step, *, number, directions, name) -> Float[Array, ""]:
    """Along the first `number` directions, or as many as there are parameters; few at a time, where these are many."""
    centre, restored = _wide(params)
    still, number = stop_gradient(centre), centre.size if number is None else number

    def value(point):
        return plain_mean(problem, restored(point), key, samples)

    def slopes(index):
        moves = directions(index, centre.size).astype(centre.dtype)
        ends = still[None, None] + step * jnp.stack([moves, -moves])
        # The distance that was gone, after rounding: beside a large parameter a small step is another one, or none.
        apart = ends[0] - ends[1]
        high, low = jax.vmap(value)(ends.reshape(-1, centre.size)).reshape(2, -1)
        return jnp.sum(jnp.where(moves == 0, 0.0, (high - low)[:, None] / apart), axis=0)

    width = min(number, max(1, AT_ONCE // (2 * centre.size)))
    blocks = -(-number // width)  # the last may reach beyond the last parameter, where no axis is

    def more(total, block):
        return total + slopes(block * width + jnp.arange(width)), None

    if blocks == 1:
        slope = slopes(jnp.arange(width))
    else:
        slope, _ = jax.lax.scan(more, jnp.zeros_like(still), jnp.arange(blocks))
    return value(still) + first_order(stop_gradient(slope) @ (centre - still), params, name)


def _wide(params: PyTree) -> tuple[Array, Callable[[Array], PyTree]]:
    """The parameters as one array of at least 32 bits, in which a small step is none of rounding; and back."""
    floats, rest = apart(params, eqx.is_inexact_array)
    centre, unravel = ravel_pytree(widened(floats))
    return centre, lambda point: rest.filled(unravel(point))


def plain_mean(problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
    """The mean of f over events, without a derivative."""
    still = frozen(params)
    return jnp.mean(stop_gradient(problem.costs(still, problem.draws(still, key, samples).events)))
