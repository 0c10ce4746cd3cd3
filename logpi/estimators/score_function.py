"""The score function: the gradient of an expectation for any f, from the derivatives of log-probabilities alone."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..distributions.threefry import split
from .base import AbstractEstimator
from .baselines import AbstractBaseline, check_baseline, LeaveOneOut, level_of
from .problem import Problem
from .sites import cost


class Score(AbstractEstimator):
    r"""$\frac1n \sum_i (f(x_i) - b_i) \, \partial \log \pi(x_i)$: each sample pushes its own log-probability.

    Unbiased at every order for any f of x, jumps included, as long as the support stays where it is. Williams 1992
    (REINFORCE), theorem 1.
    """

    baseline: AbstractBaseline = LeaveOneOut()

    def __check_init__(self):
        check_baseline(self.baseline)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean of the samples' costs, each explained by its log-probability."""
        draw_key, baseline_key = split(key)
        draws = problem.draws(params, draw_key, samples)
        return score_mean(self.baseline, problem, params, baseline_key, draws)


def score_mean(baseline, problem, params, key, draws) -> Float[Array, ""]:
    """The mean cost of draws with its score, compared with a baseline."""
    costs = problem.costs(params, draws.events)
    level = level_of(baseline, problem, params, key, costs, draws.unit)
    return jnp.mean(cost(costs, problem.log_probs(params, draws.events), level))
