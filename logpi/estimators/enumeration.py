"""Estimators that sum over events instead of drawing them: all, some entries, the likely ones, or a drawn set."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..distributions.support import all_events, choices, table
from ..distributions.threefry import fast_key, split
from ..errors import check_fields, check_whole, InputError, shown
from .base import AbstractEstimator, check_multiple
from .baselines import AbstractBaseline, check_baseline, LeaveOneOut, level_of
from .problem import Problem
from .sites import cost


class Enumerate(AbstractEstimator):
    r"""$\sum_x \pi_\theta(x) f(x)$ over a finite support: exact, at every order."""

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The sum; key and samples are not used. Raises `InputError` for a support that is infinite or too large."""
        events = all_events(problem.distribution(params))
        probs, counts = problem.probabilities(params, events)
        return jnp.sum(probs * jnp.where(counts, problem.costs(params, events), 0.0))


class RaoBlackwell(AbstractEstimator):
    r"""Sums over some entries of an event, draws the others: $E[f] = E_{x_R}[\sum_{x_S} \pi(x_S \mid x_R) f(x)]$.

    `entries` are positions in the flattened event. Ranganath et al. 2014 (arXiv:1401.0118), section 3.1; Liu et al.
    2019 (arXiv:1810.04777).
    """

    entries: tuple[int, ...]
    baseline: AbstractBaseline = LeaveOneOut()

    def __check_init__(self):
        if not isinstance(self.entries, (tuple, list)):
            raise InputError(f"entries is {shown(self.entries)}, but it must be positions in an event: give (0,), say.")
        object.__setattr__(self, "entries", tuple(check_whole("an entry", entry, 0) for entry in self.entries))
        check_baseline(self.baseline)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean over drawn rests of the sums. Raises `InputError` for entries that an event does not have."""
        values, shape = choices(problem.distribution(params))
        if len(set(self.entries) & set(range(len(values)))) != max(len(self.entries), 1):
            raise InputError(
                f"entries is {self.entries}, but the event has entries 0 to {len(values) - 1}: give some, each once."
            )
        rows = jnp.asarray(table([values[entry] for entry in self.entries]))
        draw_key, baseline_key = split(key)
        draws = problem.draws(params, draw_key, samples)

        def filled(event):
            flat = jnp.broadcast_to(event.reshape(-1), (rows.shape[0], len(values)))
            return flat.at[:, np.asarray(self.entries)].set(rows.astype(event.dtype)).reshape(-1, *shape)

        events = jax.vmap(filled)(draws.events).reshape(-1, *shape)
        joint = problem.log_probs_of_listed(params, events).reshape(samples, -1)
        costs = problem.costs(params, events).reshape(samples, -1)
        rest = jax.nn.logsumexp(joint, axis=1)
        means = jax.vmap(_expectation)(joint - rest[:, None], costs)
        level = level_of(self.baseline, problem, params, baseline_key, means, draws.unit)
        return jnp.mean(cost(means, rest, level))


class SumAndSample(AbstractEstimator):
    r"""Sums over the `top` likeliest events, and draws from the rest: $\sum_{x \in T} \pi f + \pi(T^c) E[f \mid T^c]$.

    Liang et al. 2018 (arXiv:1807.02322), eq. 5. For peaked distributions.
    """

    top: int = 1
    baseline: AbstractBaseline = LeaveOneOut()

    def __check_init__(self):
        check_fields(self, check_whole, "top", low=1)
        check_baseline(self.baseline)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """`top` evaluations of f are summed and the others drawn. Raises `InputError` where nothing is left to draw."""
        events = all_events(problem.distribution(params))
        if self.top >= events.shape[0]:
            raise InputError(
                f"top is {self.top}, but there are {events.shape[0]} events: give fewer, or use Enumerate()."
            )
        if samples <= self.top:
            raise InputError(
                f"samples is {samples}, but {self.top} are summed and some must be left: give {self.top + 2} or more."
            )
        draw_key, baseline_key = split(key)
        log_probs = problem.log_probs_of_listed(params, events)
        _, likely = jax.lax.top_k(stop_gradient(log_probs), self.top)
        is_rest = jnp.ones(events.shape[0], bool).at[likely].set(False)
        rest = jax.nn.logsumexp(jnp.where(is_rest, log_probs, -jnp.inf))
        summed = _expectation(log_probs[likely], problem.costs(params, events[likely]))

        logits = jnp.where(is_rest, stop_gradient(log_probs), -jnp.inf)
        drawn = jax.random.categorical(fast_key(draw_key), logits, shape=(samples - self.top,))
        costs = problem.costs(params, events[drawn])
        level = level_of(self.baseline, problem, params, baseline_key, costs)
        return summed + jnp.exp(rest) * jnp.mean(cost(costs, log_probs[drawn] - rest, level))


class UnorderedSet(AbstractEstimator):
    r"""Draws `size` different events and weighs each: $\sum_{s \in S} \pi_\theta(s) R(S, s) f(s)$.

    $R(S, s) = p(S \setminus s \mid s \text{ first}) / p(S)$, with the set as its own baseline. Kool et al. 2020
    (arXiv:2002.06043), eqs. 8 and 13. For an f without noise, where a second look at the same event tells nothing. R
    costs the factorial of the size.
    """

    size: int = 2

    def __check_init__(self):
        check_fields(self, check_whole, "size", low=1, high=6)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean over sets. Raises `InputError` unless `samples` splits into sets, or if there are too few events."""
        events = all_events(problem.distribution(params))
        if events.shape[0] < self.size:
            raise InputError(
                f"size is {self.size}, but there are {events.shape[0]} events: give {events.shape[0]} or less."
            )
        check_multiple("UnorderedSet", samples, self.size, f"sets of {self.size}")
        log_probs = problem.log_probs_of_listed(params, events)
        frozen = stop_gradient(log_probs)
        noise = jax.random.gumbel(fast_key(key), (samples // self.size, events.shape[0]))
        # The largest with Gumbel noise: drawn without replacement.
        _, sets = jax.lax.top_k(frozen[None] + noise, self.size)
        costs = problem.costs(params, events[sets.reshape(-1)]).reshape(sets.shape)
        possible = (frozen > -jnp.inf)[sets]  # a set has others only where fewer events than its size are possible
        # What is left is summed, not subtracted from 1: of a set that holds almost everything it would be rounding.
        outside = jax.vmap(lambda drawn: jnp.sum(jnp.exp(frozen).at[drawn].set(0.0)))(sets)
        return jnp.mean(jax.vmap(_set_mean)(jnp.exp(log_probs)[sets], jnp.where(possible, costs, 0.0), outside))


def _expectation(log_probs: Float[Array, " n"], costs: Float[Array, " n"]) -> Float[Array, ""]:
    # An event of probability 0 adds nothing, whatever it costs.
    possible = log_probs != -jnp.inf
    return jnp.sum(jnp.where(possible, jnp.exp(log_probs) * jnp.where(possible, costs, 0.0), 0.0))


def _set_mean(probs: Float[Array, " k"], costs: Float[Array, " k"], outside: Float[Array, ""]) -> Float[Array, ""]:
    r"""$\sum_s \pi_\theta(s) R(S, s) f(s)$, each push compared with what the others of the set say of the mean.

    `outside` is the probability of all events that are not in the set.
    """
    fixed = stop_gradient(probs)
    k = probs.shape[0]
    whole = _set_probability(fixed, outside)
    total = jnp.zeros(())
    for s in range(k):
        rest = np.delete(np.arange(k), s)
        first = _set_probability(fixed[rest], outside)  # of the others, after s
        level = fixed[s] * costs[s]
        for other in rest:
            remaining = np.setdiff1d(rest, [other])
            level += fixed[other] * costs[other] * _set_probability(fixed[remaining], outside) / first
        level = stop_gradient(level) if k > 1 else jnp.zeros(())
        total += first / whole * (probs[s] * (costs[s] - level) + fixed[s] * level)
    return total


def _set_probability(probs: Float[Array, " k"], outside: Float[Array, ""]) -> Float[Array, ""]:
    """That the next draws without replacement are these, in any order, when these and `outside` are all that is left.

    A draw of what has no probability out of nothing that has counts as certain: the set is then all that is possible.
    """
    if not probs.shape[0]:
        return jnp.ones(())
    orders = np.asarray(list(itertools.permutations(range(probs.shape[0]))))
    drawn = probs[orders]
    left = outside + jnp.cumsum(drawn[:, ::-1], axis=1)[:, ::-1]
    return jnp.sum(jnp.prod(jnp.where(left > 0, drawn / jnp.where(left > 0, left, 1.0), 1.0), axis=1))
