"""Programs of several sites, also inside `lax.scan`, against answers that are exact by other means.

Each mean is compared within 4.5 standard errors: 7e-6 false alarms for each number, fewer than 80 numbers, fixed keys.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi as le
from logpi.distributions import Categorical, Normal
from tests.estimators.cases import deviations, flat


def agrees(program, params, value, gradient, bias_seen: float, replicates: int = 400_000) -> None:
    """Value and gradient of a program are right, and a bias of this share of the gradient would be 4.5 errors."""
    e = le.estimate(program, params, jax.random.key(1), replicates=replicates)
    assert 4.5 * np.linalg.norm(flat(e.gradient_error)) < bias_seen * np.linalg.norm(gradient)
    assert np.all(deviations(e, float(value), np.asarray(gradient, np.float64)) < 4.5), (e, value, gradient)


def stopping_time(p, key):
    """Throws of a coin until the first head: each throw is a cost of 1, explained by the throws before it."""

    def throw(carry, key):
        alive, log_prob = carry
        paid = le.cost(alive, log_prob)
        head, more = le.sample(dist.Bernoulli(probs=p), key)
        return (alive * (1 - head), log_prob + alive * more), paid

    _, paid = jax.lax.scan(throw, (jnp.ones(()), jnp.zeros(())), jax.random.split(key, 40))
    return jnp.sum(paid)


def test_a_stopping_time():
    """1/p throws, cut at 40, which a run of tails reaches once in a million."""
    agrees(stopping_time, jnp.asarray(0.3), 1 / 0.3, [-1 / 0.3**2], 0.02)


@pytest.mark.parametrize(("by", "then"), [("score", "score"), ("score", "pathwise"), ("pathwise", "score")])
def test_a_site_that_depends_on_a_site(by, then):
    def program(t, key):
        first, second = jax.random.split(key)
        x1, lp1 = le.sample(dist.Normal(t, 1.0), first, by=by)
        x2, lp2 = le.sample(Normal(t * x1, jnp.zeros(())), second, by=then)
        return le.cost(x2, lp1 + lp2)

    agrees(program, jnp.asarray(1.3), 1.3**2, [2.6], 0.03)


A, B, COST, NOISE, STEPS = 0.9, 0.5, 0.3, 0.2, 6


def lqr(params, key):
    """A line with a drift, pushed by a Gaussian policy; the cost is quadratic in place and push."""

    def step(carry, key):
        place, log_prob = carry
        push_key, noise_key = jax.random.split(key)
        push, more = le.sample(Normal(params["gain"] * place, params["log_std"]), push_key)
        log_prob = log_prob + more
        paid = le.cost(place**2 + COST * push**2, log_prob, baseline=1.0)
        return (A * place + B * push + NOISE * jax.random.normal(noise_key), log_prob), paid

    _, paid = jax.lax.scan(step, (jnp.ones(()), jnp.zeros(())), jax.random.split(key, STEPS))
    return jnp.sum(paid)


def lqr_exactly(params):
    """By the recursion of the second moment."""
    square, total, variance = 1.0, 0.0, jnp.exp(2 * params["log_std"])
    for _ in range(STEPS):
        total += square + COST * (params["gain"] ** 2 * square + variance)
        square = (A + B * params["gain"]) ** 2 * square + B**2 * variance + NOISE**2
    return total


def test_a_linear_quadratic_regulator():
    params = {"gain": jnp.asarray(-0.4), "log_std": jnp.asarray(-0.7)}
    value, gradient = jax.jit(jax.value_and_grad(lqr_exactly))(params)
    agrees(lqr, params, value, flat(gradient), 0.05, replicates=1_000_000)


REWARD = jnp.asarray([[1.0, -0.5], [0.2, 0.8], [-1.0, 2.0]])
MOVES = jnp.asarray(
    [[[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], [[0.3, 0.3, 0.4], [0.5, 0.0, 0.5]], [[0.2, 0.2, 0.6], [1.0, 0, 0]]]
)
LOGITS = jnp.asarray([[0.3, -0.2], [0.0, 0.5], [-0.4, 0.1]])
HORIZON = 4


def mdp(logits, key):
    """Three states and two actions; each reward is explained by the actions up to it."""

    def step(carry, key):
        state, log_prob = carry
        action_key, move_key = jax.random.split(key)
        action, more = le.sample(Categorical(logits[state]), action_key)
        log_prob = log_prob + more
        paid = le.cost(REWARD[state, action], log_prob, baseline=0.5)
        return (jax.random.choice(move_key, 3, p=MOVES[state, action]), log_prob), paid

    _, paid = jax.lax.scan(step, (jnp.zeros((), int), jnp.zeros(())), jax.random.split(key, HORIZON))
    return jnp.sum(paid)


def mdp_exactly(logits):
    """By the recursion of the values."""
    policy, values = jax.nn.softmax(logits), jnp.zeros(3)
    for _ in range(HORIZON):
        values = jnp.sum(policy * (REWARD + MOVES @ values), axis=1)
    return values[0]


def test_an_mdp():
    value, gradient = jax.jit(jax.value_and_grad(mdp_exactly))(LOGITS)
    agrees(mdp, LOGITS, value, flat(gradient), 0.06)


def test_the_hessian_of_an_mdp():
    """DiCE: every order is right, that of the classic surrogate is not."""
    keys = jax.random.split(jax.random.key(2), 100_000)
    drawn = jax.jit(lambda keys: jax.lax.map(lambda key: jax.hessian(mdp)(LOGITS, key), keys, batch_size=2000))(keys)
    drawn = np.asarray(drawn, np.float64).reshape(len(keys), -1)
    exact = np.asarray(jax.jit(jax.hessian(mdp_exactly))(LOGITS), np.float64).reshape(-1)
    error = drawn.std(axis=0) / np.sqrt(len(keys))
    assert 3 * np.linalg.norm(error) < 0.25 * np.linalg.norm(exact)
    assert np.all(np.abs(drawn.mean(axis=0) - exact) < 4.5 * error + 1e-6)


def test_a_function_that_depends_on_the_parameters():
    """Of 2t, the score's part alone gives t."""
    J = le.expectation(lambda x, t: t * x, lambda t: dist.Normal(t, 1.0))
    agrees(J, jnp.asarray(1.5), 2.25, [3.0], 0.01, replicates=20_000)
    K = le.expectation(lambda x, t: t * x, lambda t: dist.Normal(t, 1.0), estimator=le.Pathwise())
    agrees(K, jnp.asarray(1.5), 2.25, [3.0], 0.01, replicates=20_000)


def test_parameters_of_any_structure():
    """A distribution as the parameters, a dict with leaves that are no floats, and one that nothing uses."""
    policy = Normal(jnp.asarray([0.5, -1.0]), jnp.asarray([0.1, -0.3]))
    e = le.estimate(le.expectation(lambda x: jnp.sum(x**2)), policy, jax.random.key(0), replicates=3000)
    assert isinstance(e.gradient, Normal)
    exact = np.concatenate([2 * policy.mean, 2 * jnp.exp(2 * policy.log_std)])
    value = float(jnp.sum(policy.mean**2 + jnp.exp(2 * policy.log_std)))
    assert np.all(deviations(e, value, exact) < 4.5)

    params = {"loc": 0.5, "unused": jnp.ones(2), "count": 3, "name": None}
    J = le.expectation(lambda x: x, lambda p: dist.Normal(p["loc"] * p["count"], 1.0))
    e = le.estimate(J, params, jax.random.key(0), replicates=1000)
    assert e.gradient["count"] is None and np.all(e.gradient["unused"] == 0) and np.all(e.gradient_error["unused"] == 0)
    assert abs(e.gradient["loc"] - 3) < 4.5 * e.gradient_error["loc"] and e.converged


@pytest.mark.parametrize("seed", [jax.random.key, jax.random.PRNGKey])
@pytest.mark.parametrize("by", ["score", "pathwise"])
def test_a_site_takes_the_keys_of_transforms(seed, by):
    """In the older form too: under `vmap` and `scan` a key is one of many, and not known."""
    keys = jax.random.split(seed(0), 3)

    def draw(key):
        return le.sample(dist.Normal(0.5, 1.0), key, by=by)[0]

    alone = [draw(key) for key in keys]
    np.testing.assert_allclose(jax.vmap(draw)(keys), alone, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(draw))(keys), alone, rtol=1e-6)
    np.testing.assert_allclose(jax.lax.scan(lambda carry, key: (carry, draw(key)), None, keys)[1], alone, rtol=1e-6)


def test_events_that_are_pytrees_and_objects_of_others():
    class Pair:
        """Two numbers under names, with one key for each draw."""

        def __init__(self, params):
            self.params = params

        def sample(self, key):
            a, b = jax.random.normal(key, (2,))
            return {"a": self.params["a"] + a, "b": self.params["b"] + b}

        def log_prob(self, event):
            return -0.5 * sum((event[name] - self.params[name]) ** 2 for name in event)

    params = {"a": jnp.asarray(1.0), "b": jnp.asarray(-0.5)}
    J = le.expectation(lambda x: x["a"] * x["b"], Pair, samples=8)
    agrees(J, params, -0.5, [-0.5, 1.0], 0.03, replicates=100_000)


def test_the_score_of_an_event():
    """The smallest case: for exp(a + b x), not normalised, the scores are 1 and x."""

    class Exponential:
        def __init__(self, params):
            self.params = params

        def log_prob(self, event):
            return self.params["alpha"] + self.params["beta"] * event

    params = {"alpha": 0.2, "beta": -1.0, "steps": 3}
    scores = le.score(params, jnp.asarray(4.0), of=Exponential)
    assert scores["alpha"] == 1 and scores["beta"] == 4 and scores["steps"] is None
    normal = le.score(Normal(jnp.asarray([1.0]), jnp.zeros(1)), jnp.asarray([3.0]))
    np.testing.assert_allclose([normal.mean[0], normal.log_std[0]], [2.0, 3.0], rtol=1e-6)
