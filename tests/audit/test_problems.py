"""Exact gradients are exact: by two ways that share nothing, in float64."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from logpi import GAE, InputError, MonteCarlo, NStep
from logpi.audit.objectives.exact_update import ExactUpdate, RowObjective
from logpi.audit.problems import (
    bandit,
    default_problems,
    GaussianBandit,
    LQR,
    replayed_problems,
    small_lqr,
    TabularMDP,
    three_states,
)
from logpi.models import log_probs, unroll

TWO_WAYS = {"rtol": 1e-10, "atol": 1e-10}


def surrogate(model, batch):
    """The score surrogate."""
    output, _ = unroll(model, batch.obs, batch.start, batch.memory)
    return log_probs(output.policy, batch.action) * batch.advantage


SCORE = RowObjective(surrogate)


def random_mdp(seed: int, **kind) -> TabularMDP:
    """Some MDP of three states and two actions."""
    rng = np.random.default_rng(seed)
    return TabularMDP(
        first=rng.dirichlet(np.ones(3)),
        reward=rng.normal(size=(3, 2)),
        end=rng.uniform(0, 0.5, size=(3, 2)),
        follow=rng.dirichlet(np.ones(3), size=(3, 2)),
        logits=rng.normal(size=(2 if "observation" in kind else 3, 2)),
        gamma=0.9,
        horizon=3,
        **kind,
    )


def by_differences(problem, step=1e-5) -> np.ndarray:
    """Central differences of J in each entry of the policy's float leaves."""
    with jax.enable_x64(True):
        floats, rest = eqx.partition(problem.policy(), eqx.is_inexact_array)
        flat, make = ravel_pytree(floats)
        value = jax.jit(lambda x: problem.objective(eqx.combine(make(x), rest)))
        moves = step * np.eye(flat.size)
        return np.array([(value(flat + m) - value(flat - m)) / (2 * step) for m in moves])


@pytest.mark.parametrize("observation", [None, (0, 1, 1)], ids=["seen", "hidden"])
@pytest.mark.parametrize("seed", range(3))
def test_the_value_recursion_is_the_sum_over_all_episodes(seed, observation):
    """J and its gradient, from the recursion and from each episode's probability, differentiated."""
    mdp = random_mdp(seed, **({} if observation is None else {"observation": observation}))

    def listed(logits):
        log_prob = jax.nn.log_softmax(logits)[mdp.codes[t.obs], t.action]
        chance = world * jnp.exp(jnp.sum(jnp.where(t.valid, log_prob, 0.0), axis=1))
        return chance @ (np.where(t.valid, t.reward, 0.0) @ (mdp.gamma ** np.arange(t.valid.shape[1])))

    with jax.enable_x64(True):
        streams = mdp.streams()
        t = streams.trajectory
        world = streams.chance / np.exp(np.sum(np.where(t.valid, t.log_prob, 0.0), axis=1))
        value, slope = jax.jit(jax.value_and_grad(listed))(mdp.policy().logits)
        np.testing.assert_allclose(float(mdp.objective(mdp.policy())), float(value), **TWO_WAYS)
        np.testing.assert_allclose(mdp.flat_gradient(), np.asarray(slope).reshape(-1), **TWO_WAYS)


def expected(problem, credit, **how) -> np.ndarray:
    """The expected update of the score surrogate."""
    with jax.enable_x64(True):
        return ExactUpdate(problem, SCORE, credit).expected(**how)


@pytest.mark.parametrize("limit", ["terminates", "truncates", "rollout"])
@pytest.mark.parametrize("credit", [GAE(0.9, 0.0), GAE(0.9, 0.7), MonteCarlo(0.9), NStep(2, 0.9)], ids=repr)
def test_the_score_of_all_episodes_is_the_gradient(limit, credit):
    """Policy gradient theorem, with an exact critic: for an artefact the pieces add up to the task without it."""
    for seed in range(2):
        mdp = random_mdp(seed, limit=limit)
        np.testing.assert_allclose(expected(mdp, credit), mdp.flat_gradient(), **TWO_WAYS)


@pytest.mark.parametrize("limit", ["truncates", "rollout"])
def test_without_its_limit_an_mdp_is_that_of_a_far_limit(limit):
    """What is left after 400 steps is 1e-18 of the whole."""
    mdp = random_mdp(0, limit=limit)
    far = dataclasses.replace(mdp, limit="terminates", horizon=400)
    with jax.enable_x64(True):
        values = far.objective(dataclasses.replace(far.policy(), logits=mdp.policy().logits))
        np.testing.assert_allclose(float(mdp.objective(mdp.policy())), float(values), **TWO_WAYS)


@pytest.mark.parametrize("bound", [0.1, 1.0])
@pytest.mark.parametrize("std", [0.01, 0.2501, 0.67, 3.0])
@pytest.mark.parametrize("mean", [0.0, -1.0, 2.0, 50.0])
def test_all_of_a_gaussian_is_summed(mean, std, bound):
    """Wherever the peak is: of a mean of 50 and a deviation of 0.2501, nine tenths were."""
    problem = GaussianBandit(mean=mean, log_std=float(np.log(std)), bound=bound)
    with jax.enable_x64(True):
        streams = problem.streams()
        value = streams.chance @ np.asarray(streams.trajectory.reward)[:, 0]
        np.testing.assert_allclose(streams.chance.sum(), 1.0, atol=1e-10)
        np.testing.assert_allclose(value, problem.objective(problem.policy()), rtol=1e-10)


CUT = dataclasses.replace(small_lqr(), cut=2, name="LQR, time limit")


@pytest.mark.parametrize("problem", [GaussianBandit(), small_lqr(), CUT, bandit()], ids=lambda p: p.name)
def test_the_gradient_is_that_of_small_differences(problem):
    """To 1e-8: what a step of 1e-5 leaves."""
    np.testing.assert_allclose(by_differences(problem), problem.flat_gradient(), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("problem", [GaussianBandit(), small_lqr(), CUT], ids=lambda p: p.name)
def test_sums_over_nodes_are_the_gradient(problem):
    """Quadrature and cubature against the closed form and the Lyapunov recursion."""
    np.testing.assert_allclose(expected(problem, GAE(problem.gamma, 0.5)), problem.flat_gradient(), **TWO_WAYS)


@pytest.mark.parametrize("problem", default_problems(), ids=lambda p: p.name)
def test_draws_are_of_the_episodes_that_are_listed(problem):
    """Mean return of 20,000 draws within five standard errors of J of a reset: false alarm once in 2 million keys."""
    with jax.enable_x64(True):
        streams = problem.streams()
        drawn = problem.draw(np.random.default_rng(0), 20_000)
    np.testing.assert_allclose(streams.chance.sum(), 1.0, rtol=1e-12)

    def returns(t):
        return np.sum(np.where(t.valid, t.reward, 0.0), axis=1)

    seen = returns(drawn)
    mean = streams.chance @ returns(streams.trajectory)
    assert abs(seen.mean() - mean) < 5 * seen.std() / np.sqrt(len(seen))


def test_the_value_of_the_system_is_its_cost_to_go():
    """The critic of the first state, over its distribution, is J."""
    problem = small_lqr()
    with jax.enable_x64(True):
        streams, model = problem.streams(), problem.critics()["exact"]
        values = jax.jit(jax.vmap(lambda o: model.evaluate(o, ())[0].value))(streams.trajectory.obs[:, 0])
        np.testing.assert_allclose(streams.chance @ np.asarray(values), problem.objective(problem.policy()), **TWO_WAYS)


@pytest.mark.parametrize("problem", [*replayed_problems(), small_lqr(), bandit()], ids=lambda p: p.name)
@pytest.mark.parametrize("temperature", [0.0, 0.4])
def test_values_of_actions_are_what_is_earned_from_them_on(problem, temperature):
    """Of the first row, with the entropy there: their mean is J, whether or not a time limit cuts the rows."""
    with jax.enable_x64(True):
        streams, policy = problem.streams(), problem.policy()
        first = jax.tree.map(lambda x: x[:, 0], (streams.trajectory.obs, streams.trajectory.action))
        exact = problem.action_values(temperature, False)["exact"]

        def soft(obs, action):
            return exact(obs, action)[0] + temperature * policy(obs, ())[0].entropy()

        found = streams.chance @ np.asarray(jax.jit(jax.vmap(soft))(*first))
        np.testing.assert_allclose(found, problem.objective(policy, temperature), **TWO_WAYS)


def test_values_of_a_policy_without_chance_are_those_of_a_small_spread():
    problem = small_lqr()
    tiny = dataclasses.replace(problem, log_std=problem.log_std * 0 - 20.0)
    with jax.enable_x64(True):
        known, limit = problem.action_values(0.0, True)["exact"], tiny.action_values(0.0, False)["exact"]
        np.testing.assert_allclose(known.constant, limit.constant, rtol=1e-12)
        np.testing.assert_array_equal(known.matrix, limit.matrix)


BAD = {
    "gamma": ({"gamma": 1.5}, "gamma is 1.5"),
    "limit": ({"limit": "done"}, "limit is 'done'"),
    "shape": ({"end": np.zeros((2, 2))}, r"end has the shape \(2, 2\)"),
    "probabilities": ({"first": np.array([0.5, 0.5, 0.5])}, "first must hold probabilities"),
    "observation": ({"observation": (0, 1, 7)}, "the number of a row"),
    "infinite": ({"end": np.zeros((3, 2)), "limit": "truncates", "gamma": 1.0}, "no finite return"),
    "not finite": ({"reward": np.full((3, 2), np.nan)}, "not finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_mdp_is_refused(case):
    change, sentence = BAD[case]
    with pytest.raises(InputError, match=sentence):
        dataclasses.replace(three_states(), **change)


def test_too_many_episodes_are_refused():
    with pytest.raises(InputError, match="smaller horizon"):
        three_states(horizon=12).streams()


def test_too_much_noise_is_refused():
    small = small_lqr()
    with pytest.raises(InputError, match="fewer columns of noise"):
        dataclasses.replace(small, horizon=20)
    assert isinstance(dataclasses.replace(small, horizon=2), LQR)
