"""The page's numbers against the library's: scores, exact gradients, estimates and their errors, to 1e-6."""

import functools
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import logpi
from logpi.distributions import Bernoulli, Categorical, Normal
from tests.explain.javascript import evaluate

CLOSE = {"rtol": 1e-7, "atol": 1e-9}
THETAS = {
    "raw": [-0.7, 0.4],
    "loglinear": [0.3, -0.6],
    "softmax": [0.5, -1.2, 2.0, 0.1],
    "bernoulli": [-0.8],
    "gaussian": [0.7, -0.3],
}
FINITE = ["loglinear", "softmax", "bernoulli"]
TABLES = {name: [0.5, -1.0] if name == "bernoulli" else [0.0, 30.5, -2.0, 3.0] for name in FINITE}
FUNCTIONS = {
    "parabola": lambda a: -((a - 2) ** 2),
    "offset": lambda a: 30 - (a - 2) ** 2,
    "hills": lambda a: jnp.exp(-((a + 2) ** 2)) + 2 * jnp.exp(-((a - 2) ** 2)),
    "step": lambda a: jnp.where(a > 1, 1.0, 0.0),
}


class LogLinear(eqx.Module):
    """exp(alpha + beta a), as it stands: no distribution."""

    theta: Array

    def log_prob(self, action):
        return self.theta[0] + self.theta[1] * action


def policy(name: str) -> Any:
    """From parameters to the library's distribution."""
    makers = {
        "raw": LogLinear,
        "loglinear": lambda t: Categorical(t[0] + t[1] * jnp.arange(4.0)),
        "softmax": Categorical,
        "bernoulli": lambda t: Bernoulli(t[0]),
        "gaussian": lambda t: Normal(t[0], t[1]),
    }
    return makers[name]


def events(name: str) -> list[Any]:
    """Actions to try."""
    return [-1.5, 0.7, 3.0] if name == "gaussian" else list(range(2 if name == "bernoulli" else 4))


@functools.cache
def scores(name: str) -> np.ndarray:
    """The library's score of every action: (actions, parameters)."""
    theta, actions = jnp.array(THETAS[name]), jnp.array(events(name))
    return np.array(jax.jit(jax.vmap(lambda a: logpi.score(theta, a, of=policy(name))))(actions))


@functools.cache
def log_probs(name: str) -> np.ndarray:
    """The library's log-probability of every action."""
    return np.array(jax.jit(jax.vmap(policy(name)(jnp.array(THETAS[name])).log_prob))(jnp.array(events(name))))


def probabilities(name: str) -> np.ndarray:
    """The library's probability of every action of a finite policy."""
    return np.exp(log_probs(name))


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("engine", ["node", "chromium"])
def test_log_probabilities_and_scores_are_those_of_the_library(engine, tmp_path):
    places = [(name, theta, action) for name, theta in THETAS.items() for action in events(name)]
    found = evaluate(engine, [[what, *place] for what in ("logProb", "score") for place in places], tmp_path)
    np.testing.assert_allclose(found[: len(places)], np.concatenate([log_probs(name) for name in THETAS]), **CLOSE)
    for name in THETAS:
        mine = [score for place, score in zip(places, found[len(places) :], strict=True) if place[0] == name]
        np.testing.assert_allclose(mine, scores(name), **CLOSE)


def test_the_smallest_case_is_1_and_a(tmp_path):
    for action, score in enumerate(evaluate("node", [["score", "raw", [0.2, 0.1], a] for a in range(4)], tmp_path)):
        assert score == [1, action]
    normalised = evaluate("node", [["score", "loglinear", [0.2, 0.1], a] for a in range(4)], tmp_path)
    assert [score[0] for score in normalised] == [0, 0, 0, 0]  # alpha drops out, to the last bit


@pytest.mark.parametrize("engine", ["node", "chromium"])
def test_exact_objectives_and_gradients_are_those_of_enumeration(engine, tmp_path):
    calls = [[what, name, THETAS[name], TABLES[name]] for name in FINITE for what in ("objective", "gradient")]
    found = evaluate(engine, calls, tmp_path)
    for name, value, gradient in zip(FINITE, found[::2], found[1::2], strict=True):
        reward = jnp.array(TABLES[name])
        J = logpi.expectation(lambda a, r=reward: r[a], of=policy(name), estimator=logpi.Enumerate())
        expected = jax.jit(jax.value_and_grad(J))(jnp.array(THETAS[name]), jax.random.key(0))
        np.testing.assert_allclose(value, expected[0], **CLOSE)
        np.testing.assert_allclose(gradient, expected[1], **CLOSE)


def gaussian_objectives(theta):
    """E[f] of each function with the library's density: 400 Gauss-Legendre points on each side of the jump."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    total = 0.0
    for low, high in ((-15.0, 1.0), (1.0, 15.0)):
        actions = jnp.asarray((high - low) / 2 * nodes + (high + low) / 2)
        density = jnp.exp(jax.vmap(Normal(theta[0], theta[1]).log_prob)(actions))
        rewards = jnp.stack([f(actions) for f in FUNCTIONS.values()])
        total += (high - low) / 2 * (rewards @ (jnp.asarray(weights) * density))
    return total


def test_exact_gradients_of_the_gaussian(tmp_path):
    thetas = [[0.7, -0.3], [-1.0, 0.4]]
    places = [(theta, name) for theta in thetas for name in FUNCTIONS]
    calls = [[what, "gaussian", theta, name] for theta, name in places for what in ("objective", "gradient")]
    found = evaluate("node", calls, tmp_path)
    both = jax.jit(lambda t: (gaussian_objectives(t), jax.jacrev(gaussian_objectives)(t)))
    known = {tuple(theta): both(jnp.array(theta)) for theta in thetas}
    for (theta, name), value, gradient in zip(places, found[::2], found[1::2], strict=True):
        at = list(FUNCTIONS).index(name)
        expected = [part[at] for part in known[tuple(theta)]]
        np.testing.assert_allclose(value, expected[0], rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-7, atol=1e-8)


def levels(baseline: str, name: str, costs: Array) -> Array:
    """What each cost is compared with; the mean of the others is the library's."""
    if baseline == "none":
        return jnp.zeros(())
    if baseline == "mean":
        return jnp.mean(costs)
    if baseline == "loo":
        return logpi.LeaveOneOut()(None, None, None, costs[:, None])[:, 0]
    mass = probabilities(name) * np.sum(scores(name) ** 2, axis=1)
    return jnp.asarray(mass @ np.array(TABLES[name]) / mass.sum())  # Greensmith et al. 2004, theorem 8


@pytest.mark.parametrize("baseline", ["none", "mean", "loo", "optimal"])
def test_estimates_are_the_derivative_of_the_librarys_surrogate(baseline, tmp_path):
    batches = {name: [0, 1, 1, 0, 1] if name == "bernoulli" else [2, 0, 3, 3, 1, 2, 0] for name in FINITE}
    settings = {
        name: {
            "policy": name, "theta": THETAS[name], "reward": TABLES[name], "baseline": baseline, "estimator": "score",
        }
        for name in FINITE
    }  # fmt: skip
    samples = evaluate("node", [["samples", settings[name], batches[name]] for name in FINITE], tmp_path)
    calls = [[what, settings[n], s] for n, s in zip(FINITE, samples, strict=True) for what in ("estimate",)]
    slopes = [["crossEntropySlope", n, THETAS[n], s] for n, s in zip(FINITE, samples, strict=True)]
    found = evaluate("node", calls + slopes, tmp_path)
    for name, sample, estimate, slope in zip(FINITE, samples, found[:3], found[3:], strict=True):
        actions, reward = jnp.array(batches[name]), jnp.array(TABLES[name])
        costs = reward[actions]

        def surrogate(theta, name=name, actions=actions, costs=costs):
            log_probs = jax.vmap(policy(name)(theta).log_prob)(actions)
            level = jnp.broadcast_to(levels(baseline, name, costs), costs.shape)
            return jnp.mean(logpi.cost(costs, log_probs, level))

        gradient = jax.jit(jax.grad(surrogate))(jnp.array(THETAS[name]))
        np.testing.assert_allclose(estimate["mean"], gradient, **CLOSE)
        parts = np.array([s["part"] for s in sample])
        np.testing.assert_allclose(estimate["error"], parts.std(0, ddof=1) / np.sqrt(len(parts)), **CLOSE)
        np.testing.assert_allclose(-np.array(slope), gradient, atol=1e-8)  # the supervised twin, by differences


def test_pathwise_estimates_are_the_derivative_through_the_draws(tmp_path):
    theta, actions = jnp.array(THETAS["gaussian"]), jnp.array([0.1, 1.9, -0.4, 2.2])
    noise = (actions - theta[0]) / jnp.exp(theta[1])
    for reward in ("parabola", "hills"):
        setting = {"policy": "gaussian", "theta": THETAS["gaussian"], "reward": reward, "baseline": "none"}
        setting |= {"estimator": "pathwise"}
        (samples,) = evaluate("node", [["samples", setting, actions.tolist()]], tmp_path)
        (estimate,) = evaluate("node", [["estimate", setting, samples]], tmp_path)
        f = FUNCTIONS[reward]
        gradient = jax.grad(lambda t, f=f: jnp.mean(f(t[0] + jnp.exp(t[1]) * noise)))(theta)
        np.testing.assert_allclose(estimate["mean"], gradient, **CLOSE)


def test_the_error_is_exact_over_all_batches(tmp_path):
    count = 3
    # Every batch of three with its probability, against the closed forms of picture 5.
    kinds = list(itertools.product(FINITE, ["none", "mean", "loo", "optimal"]))
    settings = [
        {"policy": n, "theta": THETAS[n], "reward": TABLES[n], "baseline": b, "estimator": "score"} for n, b in kinds
    ]
    found = evaluate("node", [["rootMeanSquare", s, count] for s in settings], tmp_path)
    for (name, baseline), error in zip(kinds, found, strict=True):
        push, mass, reward = scores(name), probabilities(name), np.array(TABLES[name])
        exact = (mass * reward) @ push
        batches = np.array(list(itertools.product(range(len(mass)), repeat=count)))
        costs = reward[batches]
        compared = jax.jit(jax.vmap(lambda c, b=baseline, n=name: jnp.broadcast_to(levels(b, n, c), c.shape)))
        level = np.asarray(compared(jnp.asarray(costs)))
        estimates = np.mean((costs - level)[..., None] * push[batches], axis=1)
        square = np.prod(mass[batches], axis=1) @ np.sum((estimates - exact) ** 2, axis=1)
        np.testing.assert_allclose(error, np.sqrt(square), rtol=1e-7, atol=1e-7)


def test_the_error_of_the_gaussian_is_what_repetition_shows(tmp_path):
    # 4000 estimates from 8 samples each by the library's own score; a bound of 5 standard errors, one alarm in 10^6.
    rng, theta = np.random.default_rng(0), THETAS["gaussian"]
    setting = {"policy": "gaussian", "theta": theta, "reward": "hills", "baseline": "loo", "estimator": "score"}
    (error,) = evaluate("node", [["rootMeanSquare", setting, 8]], tmp_path)
    actions = jnp.asarray(theta[0] + np.exp(theta[1]) * rng.standard_normal((4000, 8)))
    push = jax.jit(jax.vmap(jax.vmap(lambda a: logpi.score(jnp.array(theta), a, of=policy("gaussian")))))(actions)
    rewards = FUNCTIONS["hills"](actions)
    level = (rewards.sum(1, keepdims=True) - rewards) / 7
    estimates = np.asarray(jnp.mean((rewards - level)[..., None] * push, axis=1))
    exact = np.asarray(jax.jit(jax.jacrev(gaussian_objectives))(jnp.array(theta)))[list(FUNCTIONS).index("hills")]
    squares = np.sum((estimates - exact) ** 2, axis=1)
    off = abs(squares.mean() - error**2) / (squares.std() / np.sqrt(len(squares)))
    assert off < 5


def test_raw_scores_do_not_average_to_the_gradient_until_a_baseline_mends_them(tmp_path):
    theta, reward = THETAS["raw"], [0.0, 1.0, 2.0, 5.0]
    setting = {"policy": "raw", "theta": theta, "reward": reward, "baseline": "none", "estimator": "score"}
    calls = [["gradient", "raw", theta, reward], ["spread", setting, 64], ["spread", setting | {"baseline": "loo"}, 64]]
    exact, without, mended = evaluate("node", calls, tmp_path)
    J = logpi.expectation(lambda a: jnp.array(reward)[a], of=policy("loglinear"), estimator=logpi.Enumerate())
    np.testing.assert_allclose(exact, jax.jit(jax.grad(J))(jnp.array(theta), jax.random.key(0)), **CLOSE)
    assert np.abs(np.array(without["mean"]) - exact).max() > 0.5
    np.testing.assert_allclose(mended["mean"], exact, **CLOSE)


def test_draws_follow_the_policy(tmp_path):
    # 20 000 draws: each bound is 5 standard errors, together a false alarm in 10^5.
    count, names = 20_000, [*FINITE, "gaussian"]
    found = evaluate("node", [["draw", name, THETAS[name], count, 7] for name in names], tmp_path)
    for name, drawn in zip(FINITE, found[:-1], strict=True):
        mass = probabilities(name)
        share = np.bincount(drawn, minlength=len(mass)) / count
        assert (np.abs(share - mass) < 5 * np.sqrt(mass * (1 - mass) / count)).all()
    mean, std = THETAS["gaussian"][0], np.exp(THETAS["gaussian"][1])
    z = (np.array(found[-1]) - mean) / std
    assert abs(z.mean()) < 5 / np.sqrt(count)
    assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / count)
    assert abs(np.mean(z[1:] * z[:-1])) < 5 / np.sqrt(count)
