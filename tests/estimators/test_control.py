"""Control variates: no baseline and no surrogate moves the expectation, the right one reduces the variance."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi as le
from logpi.distributions import Bernoulli, Categorical
from logpi.estimators.enumeration import _set_mean
from tests.estimators.cases import deviations, flat

TABLE = jnp.asarray([1.0, -2.0, 0.5, 3.0])
LOGITS = jnp.asarray([0.2, -0.7, 1.1, 0.4])
KEY = jax.random.key(0)


class Quadratic(eqx.Module):
    """A surrogate with arrays to fit."""

    a: jax.Array
    b: jax.Array

    def __call__(self, x):
        return jnp.sum(self.a * x + self.b * x**2)


def relaxed(probs):
    return probs @ TABLE


def exactly(logits):
    return jnp.sum(jax.nn.softmax(logits) * TABLE)


def spread(e) -> float:
    return float(np.sum(flat(e.gradient_error) ** 2)) * e.replicates


CHOICE = le.expectation(lambda x: TABLE[x], Categorical).problem
SURROGATES = {
    "REBAR": le.REBAR(0.7, 0.5, relaxed=relaxed),
    "REBAR, other settings": le.REBAR(0.2, -1.0, relaxed=lambda p: jnp.sin(3 * p @ TABLE)),
    "RELAX": le.RELAX(lambda z: jnp.sum(jnp.tanh(z) * TABLE)),
}


@pytest.mark.parametrize(
    "name", ["REBAR", *(pytest.param(n, marks=pytest.mark.slow) for n in SURROGATES if n != "REBAR")]
)
def test_relaxations_of_a_choice(name):
    """Whatever the surrogate: within 4.5 errors, each of them below 1.5 % of the gradient's norm."""
    e = le.estimate(le.Expectation(CHOICE, SURROGATES[name], 16), LOGITS, KEY, replicates=40_000)
    exact = np.asarray(jax.grad(exactly)(LOGITS))
    assert np.all(deviations(e, float(exactly(LOGITS)), exact) < 4.5)
    assert np.all(flat(e.gradient_error) < 0.015 * np.linalg.norm(exact))


def square(x):
    return (x - 0.1) ** 2


def normal(params):
    return dist.Normal(params["loc"], params["scale"])


PARAMS = {"loc": jnp.asarray(1.0), "scale": jnp.asarray(1.5)}
COINS = jnp.asarray([0.3, -0.5, 0.8])
FITTED = {
    "LAX": (le.expectation(square, normal, 8, le.LAX(Quadratic(jnp.zeros(()), jnp.zeros(())))), PARAMS),
    "RELAX": (
        le.expectation(
            lambda b: (jnp.sum(b) - 1.3) ** 2, Bernoulli, 8, le.RELAX(Quadratic(jnp.zeros(3), jnp.zeros(3)))
        ),
        COINS,
    ),
    "REBAR": (le.expectation(lambda b: (jnp.sum(b) - 1.3) ** 2, Bernoulli, 8, le.REBAR(0.1, 0.0)), COINS),
}


@pytest.mark.parametrize("name", ["LAX", *(pytest.param(n, marks=pytest.mark.slow) for n in FITTED if n != "LAX")])
def test_tuning_reduces_the_variance_and_moves_nothing(name):
    """To 85 % at most; the means of both differ by no more than 4.5 errors."""
    J, params = FITTED[name]
    tuned = le.tune(J, params, jax.random.key(1), steps=200)
    before, after = (le.estimate(K, params, KEY, replicates=20_000) for K in (J, tuned))
    assert spread(after) < 0.85 * spread(before)
    error = np.hypot(flat(before.gradient_error), flat(after.gradient_error))
    assert np.all(np.abs(flat(before.gradient) - flat(after.gradient)) < 4.5 * error)


def test_the_optimal_baseline_reduces_the_variance():
    """Of an f far from 0; and leave-one-out does not notice where f is."""
    J = le.expectation(lambda x: square(x) + 100, normal, 16)
    plain, optimal, others = (
        le.estimate(le.Expectation(J.problem, le.Score(b), 16), PARAMS, KEY, replicates=2000)
        for b in (le.NoBaseline(), le.Optimal(64), le.LeaveOneOut())
    )
    assert spread(optimal) < spread(plain) / 20 and spread(others) < spread(plain) / 20
    shifted = le.estimate(le.expectation(square, normal, 16), PARAMS, KEY, replicates=2000)
    np.testing.assert_allclose(flat(others.gradient), flat(shifted.gradient), rtol=1e-2)


@pytest.mark.parametrize("decay", [0.8, jnp.asarray(0.8)], ids=["number", "array"])
def test_a_moving_average_is_that_of_the_values_seen(decay):
    J = le.expectation(square, normal, 4, le.Score(le.MovingAverage(decay)))
    values = [3.0, 1.0, 2.0]
    for value in values:
        J = J.updated(jnp.asarray(value))
    weights = 0.8 ** np.arange(2, -1, -1)
    baseline = J.estimator.baseline(J.problem, PARAMS, KEY, jnp.zeros((4, 1)))
    np.testing.assert_allclose(baseline, np.sum(weights * values) / np.sum(weights), rtol=1e-5)
    fresh = le.MovingAverage()(J.problem, PARAMS, KEY, jnp.zeros((4, 1)))
    assert fresh == 0


def test_a_learned_baseline_learns():
    """It comes to what it is shown in two contexts, and an expectation passes values on, inside of wrappers too."""
    learned = le.Learned(Quadratic(jnp.zeros(()), jnp.zeros(())), jnp.asarray(1.0), 0.1)
    for _ in range(300):
        for context in (1.0, -1.0):
            learned = learned.at(jnp.asarray(context)).updated(jnp.asarray(3.0 + context))
    for context in (1.0, -1.0):
        value = learned.at(jnp.asarray(context))(None, None, KEY, jnp.zeros((2, 1)))
        np.testing.assert_allclose(value, 3.0 + context, atol=0.02)
    J = le.expectation(square, normal, 4, le.Antithetic(le.Score(learned))).updated(jnp.asarray(100.0))
    assert float(J.estimator.estimator.baseline.function.b) > float(learned.function.b) + 1


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("rare", [0.1, 1e-7])
def test_the_weights_of_a_set(size, rare):
    """R(S, s) = p(S without s | s taken first) / p(S), by summing over all orders of drawing one after the other."""
    probs = np.asarray([rare, 2.5 * rare, 1 - 6 * rare, 2.5 * rare])

    def order(drawn, taken=0.0):
        chance = 1.0
        for i in drawn:
            chance *= probs[i] / (1 - taken)
            taken += probs[i]
        return chance

    for members in itertools.combinations(range(4), size):
        whole = sum(order(o) for o in itertools.permutations(members))
        rests = [[m for m in members if m != s] for s in members]
        right = [
            sum(order(o, probs[s]) for o in itertools.permutations(rest)) / whole
            for s, rest in zip(members, rests, strict=True)
        ]
        drawn = jnp.asarray(probs[list(members)], jnp.float32)
        outside = jnp.asarray(probs[[i for i in range(4) if i not in members]].sum(), jnp.float32)
        ours = [_set_mean(drawn, jnp.eye(size)[i], outside) / drawn[i] for i in range(size)]
        np.testing.assert_allclose(ours, right, rtol=1e-5)


@pytest.mark.parametrize(
    "logits", [[-jnp.inf, 0.3, -jnp.inf, 1.0], [-jnp.inf, 0.0, -jnp.inf, -jnp.inf], [0.0, -15.0, -16.0, -17.0]]
)
def test_sets_where_little_is_possible(logits):
    """Fewer possible events than a set holds, with a cost that is infinite elsewhere: exact. And a peaked choice."""
    logits = jnp.asarray(logits)
    costs = jnp.where(jnp.isfinite(logits), TABLE, jnp.inf)
    J = le.expectation(lambda x: costs[x], Categorical, 3000, le.UnorderedSet(3))
    value, gradient = jax.jit(jax.value_and_grad(J))(logits, KEY)
    exact = le.expectation(lambda x: costs[x], Categorical, 1, le.Enumerate())
    right, right_gradient = jax.value_and_grad(exact)(logits, KEY)
    # A mean over 1000 sets: exact where everything is in each; of the peaked one, noise of 1e-7 around 1.
    np.testing.assert_allclose(value, right, rtol=2e-6)
    np.testing.assert_allclose(gradient, right_gradient, rtol=0.2, atol=3e-6)
