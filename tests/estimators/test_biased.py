"""What is biased, and by how much: so that an estimator without bias stands out, and a bias would not come back unseen.

The problem of `estimators.md`: six coins and a quadratic f, against enumeration. Fixed keys.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
import logpi as le
from logpi.distributions import Bernoulli
from tests.estimators.cases import flat

WEIGHTS = jnp.asarray(np.linspace(0.05, 0.4, 6, dtype=np.float32))
LOGITS = jnp.asarray([0.3, -0.5, 0.8, -1.0, 0.1, 0.6])
KEY = jax.random.key(0)


def f(x):
    return (x @ WEIGHTS - 0.45) ** 2


PROBLEM = le.expectation(f, Bernoulli).problem


@functools.cache
def exact():
    """The gradient."""
    return flat(jax.jit(jax.grad(le.Expectation(PROBLEM, le.Enumerate(), 1)))(LOGITS, KEY))


class OwnMean(logpi.estimators.AbstractBaseline):
    """The mistake: the mean of the same batch."""

    def __call__(self, problem, params, key, costs):
        return jax.lax.stop_gradient(jnp.mean(costs))

    def updated(self, value):
        return self


def share(program) -> tuple[float, float]:
    """How far the gradient is off along the true one, as a share of it, and the standard error of that."""
    drawn = le.estimate(program, LOGITS, KEY, replicates=40_000)
    right = exact()
    norm = right @ right
    error = np.sqrt(np.sum((flat(drawn.gradient_error) * right) ** 2)) / norm
    return float(flat(drawn.gradient) @ right / norm - 1), float(error)


def used_before(params, key):
    """The moving average with its own batch in it."""
    J = le.Expectation(PROBLEM, le.Score(le.MovingAverage(0.5)), 4)
    first = J.updated(jnp.asarray(0.1))
    return first.updated(first(params, key))(params, key)


def used_after(params, key):
    """The moving average of another batch."""
    before, key = jax.random.split(key)
    J = le.Expectation(PROBLEM, le.Score(le.MovingAverage(0.5)), 4)
    first = J.updated(jnp.asarray(0.1))
    return first.updated(first(params, before))(params, key)


def of(estimator, samples):
    return le.Expectation(PROBLEM, estimator, samples)


# name: (program, the least that it is off by)
BIASED = {
    "straight-through": (of(le.BiasedStraightThrough(), 8), 0.05),
    "gumbel-softmax": (of(le.BiasedGumbelSoftmax(), 8), 0.2),
    "standardised": (of(le.BiasedStandardisedScore(), 8), 0.5),
    "own mean": (of(le.Score(OwnMean()), 4), 0.2),
    "average updated before its use": (used_before, 0.05),
}
UNBIASED = {
    "score": of(le.Score(), 4),
    "average updated after its use": used_after,
    "optimal from a pilot": of(le.Score(le.Optimal(8)), 8),
}


@pytest.mark.parametrize("name", BIASED)
def test_is_biased(name):
    program, least = BIASED[name]
    off, error = share(program)
    assert abs(off) > least + 4.5 * error


@pytest.mark.parametrize("name", UNBIASED)
def test_is_not_biased(name):
    off, error = share(UNBIASED[name])
    assert abs(off) < 4.5 * error < 0.05


def test_the_own_mean_is_off_by_one_nth():
    off, error = share(BIASED["own mean"][0])
    assert abs(off + 1 / 4) < 4.5 * error < 0.05
