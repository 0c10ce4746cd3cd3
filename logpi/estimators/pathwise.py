"""The derivative of f itself, through the sampler."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..distributions.guards import check_reparametrised
from ..errors import check_fields, check_flag
from .base import AbstractEstimator
from .problem import Problem


class Pathwise(AbstractEstimator):
    r"""$\frac1n \sum_i \partial_\theta f(x_i(\theta))$, for an f without jumps and reparametrised events.

    Kingma & Welling 2014 (arXiv:1312.6114), section 2.4; implicit samplers, Figurnov et al. 2018 (arXiv:1805.08498).
    Through a jump of f it would return 0 with an error of 0. So where f compares, divides, rounds or takes an index
    from what it is given, the derivative is measured against values, and refused if it is not theirs;
    `continuous=True` says that nothing jumps there, and nothing is measured.
    """

    continuous: bool = False

    def __check_init__(self):
        check_fields(self, check_flag, "continuous")

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean of f over events that move with the parameters. Raises `InputError` where that would be wrong."""
        dist = problem.distribution(params)
        wrong = check_reparametrised(dist)
        events = problem.draw(dist, key, samples).events
        return jnp.mean(problem.costs(params, events)) + wrong
