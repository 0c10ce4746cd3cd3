"""The derivative of f itself, through the sampler."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..distributions.guards import check_reparametrised
from ..distributions.traits import traits
from ..errors import check_fields, check_flag
from ..jaxprs.discontinuities import refuse_jumps
from .base import AbstractEstimator
from .problem import Problem


class Pathwise(AbstractEstimator):
    r"""$\frac1n \sum_i \partial_\theta f(x_i(\theta))$, for an f without jumps and reparametrised events.

    Kingma & Welling 2014 (arXiv:1312.6114), section 2.4; implicit samplers, Figurnov et al. 2018 (arXiv:1805.08498).
    Through a jump of f it would return 0 with an error of 0, so an f that compares, rounds or takes an index from what
    it is given is refused, until `continuous=True` says that nothing jumps there.
    """

    continuous: bool = False

    def __check_init__(self):
        check_fields(self, check_flag, "continuous")

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean of f over events that move with the parameters. Raises `InputError` where that would be wrong."""
        dist = problem.distribution(params)
        wrong = check_reparametrised(dist)
        events = problem.draw(dist, key, samples).events
        problem = dataclasses.replace(problem, continuous=self.continuous or problem.continuous)
        if not problem.continuous:
            refuse_jumps(
                lambda events: problem.costs(params, events),
                events,
                "f may jump: it uses {} on what it is given, and Pathwise() does not see a jump (it would report a "
                "gradient of 0 there): use Score(), or Pathwise(continuous=True) if f is continuous.",
                traits(dist).is_positive(),
            )
        return jnp.mean(problem.costs(params, events)) + wrong
