"""The distribution of continuous actions by choice: its heads, what it is refused with, and its way to the bounds."""

import dataclasses

import equinox as eqx
import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi import InputError, Network, Settings, spaces
from logpi.distributions import Categorical, Normal, TanhNormal
from logpi.envs.probes import Identity
from logpi.models import log_probs, make_actor_critic
from logpi.models.heads import ACTION_DISTRIBUTIONS, LOG_STDS, make_head
from logpi.rollout.base import act
from logpi.runs.schema import from_json, to_json

BOX = spaces.Box((2, 2), -1.0, 3.0)
NESTED = spaces.Dict((("amount", BOX), ("rest", spaces.Tuple((spaces.Discrete(3), spaces.Box((), 0.0, 1.0))))))
KINDS = {"normal": Normal, "state_dependent_normal": Normal, "tanh_normal": TanhNormal}
FROM_NETWORK = ("state_dependent_normal", "tanh_normal")
OBS = spaces.Box((3,))


@pytest.mark.parametrize("name", FROM_NETWORK)
@pytest.mark.parametrize("initial", [-4.9, -1.5, 0.0, 1.9])
def test_a_head_with_deviations_of_the_network(name, initial):
    head = make_head(BOX, initial_log_std=initial, action_distribution=name)
    assert head.size == 8
    means = jnp.arange(4.0)
    distribution = head(jnp.concatenate([means, jnp.zeros(4)]))
    assert type(distribution) is KINDS[name]
    np.testing.assert_array_equal(distribution.mean, means.reshape(2, 2))
    np.testing.assert_allclose(distribution.log_std, np.full((2, 2), initial), atol=1e-5)
    numbers = np.array([-100.0, -1.0, 0.5, 100.0], np.float32)
    found = np.ravel(head(jnp.concatenate([means, numbers])).log_std)
    middle, half = np.mean(LOG_STDS), (LOG_STDS[1] - LOG_STDS[0]) / 2
    right = middle + half * np.tanh(numbers + np.arctanh((initial - middle) / half))
    np.testing.assert_allclose(found, right, atol=1e-5)
    np.testing.assert_allclose(found[[0, -1]], LOG_STDS)


def test_nothing_said_is_one_deviation_for_all_states():
    heads = [make_head(BOX, action_distribution=name) for name in (None, "normal")]
    for head in heads:
        assert head.size == 4
        assert type(head(jnp.zeros(4))) is Normal and head.log_std.shape == (2, 2)


@pytest.mark.parametrize("name", ACTION_DISTRIBUTIONS)
def test_of_several_parts_each_box_is_of_the_kind(name):
    head = make_head(NESTED, initial_log_std=-0.5, action_distribution=name)
    numbers = 2 if name in FROM_NETWORK else 1
    assert head.size == 4 * numbers + 3 + numbers
    parts = head(jnp.zeros(head.size)).parts
    choice, number = parts["rest"].parts
    assert [type(part) for part in (parts["amount"], choice, number)] == [KINDS[name], Categorical, KINDS[name]]
    assert number.mean.shape == () and float(number.log_std) == pytest.approx(-0.5, abs=1e-6)


@pytest.mark.parametrize("memory", ["none", "gru"])
@pytest.mark.parametrize("name", FROM_NETWORK)
def test_a_network_gives_other_deviations_in_other_states(name, memory):
    model = make_actor_critic(OBS, NESTED, Network(memory, 8, action_distribution=name), key=jax.random.key(0))
    model = jax.tree.map(lambda x: 3 * x if eqx.is_inexact_array(x) else x, model)
    first, second = (
        model.evaluate(jnp.array(obs), model.initial_memory())[0].policy.parts["amount"].log_std
        for obs in ([1.0, 0.0, -1.0], [0.0, 2.0, 0.5])
    )
    assert (np.abs(first - second) > 1e-4).all()


def test_what_it_cannot_be_is_refused():
    with pytest.raises(InputError, match=r"action_distribution is 'beta', but it must be"):
        make_head(BOX, action_distribution="beta")
    for name in ACTION_DISTRIBUTIONS:
        with pytest.raises(InputError, match=rf"action_distribution is {name}, but actions in .* are choices"):
            make_actor_critic(OBS, spaces.Discrete(2), Network(action_distribution=name), key=jax.random.key(0))
    for initial in (-5.0, 2.0, 20):
        for name in FROM_NETWORK:
            with pytest.raises(InputError, match=r"initial_log_std is .* between -5 and 2: give a number"):
                Network(action_distribution=name, initial_log_std=initial)
    Network(action_distribution="normal", initial_log_std=20)


@pytest.mark.parametrize("space", [spaces.Box((2,)), spaces.Box((2,), 0.0), spaces.Tuple((BOX, spaces.Box((1,))))])
def test_a_squashed_action_needs_bounds(space):
    with pytest.raises(InputError, match=r"action_distribution is tanh_normal, .* is not bounded on both sides: take"):
        make_actor_critic(OBS, space, Network(action_distribution="tanh_normal"), key=jax.random.key(0))
    make_actor_critic(OBS, space, Network(action_distribution="state_dependent_normal"), key=jax.random.key(0))


def test_squashed_actions_are_put_on_the_bounds():
    network = Network(action_distribution="tanh_normal")
    assert Settings(network=network).way_of_actions == "rescale" and Settings(network=network).actions == "auto"
    assert Settings(network=network, actions="rescale").way_of_actions == "rescale"
    assert Settings(actions="clip").way_of_actions == "clip" and Settings().way_of_actions == "auto"
    with pytest.raises(InputError, match=r"actions is clip, but those of a tanh_normal .* take rescale"):
        Settings(network=network, actions="clip")
    with pytest.raises(InputError, match=r"actions is clip, but those of a tanh_normal"):
        Settings(actions="clip").with_(action_distribution="tanh_normal")


def test_a_configuration_of_an_older_version_has_the_usual_one():
    settings = Settings(network=Network(width=4))
    data = to_json(settings)
    assert data["network"].pop("action_distribution") is None
    assert from_json(data) == settings
    chosen = Settings(network=Network(action_distribution="tanh_normal"))
    assert from_json(to_json(chosen)) == chosen


class Corner(gym.Env):
    """Rewards the upper bound of the first number and the lower one of the second, and keeps what it is given."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (1,))
    action_space = gym.spaces.Box(np.array([-2.0, 5.0], np.float32), np.array([6.0, 7.0], np.float32))
    given: list[np.ndarray] = []  # noqa: RUF012

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.given.append(action)
        return np.zeros(1, np.float32), float(action[0] - action[1]), True, False, {}


@pytest.mark.parametrize("name", ACTION_DISTRIBUTIONS)
def test_what_is_played_lies_within_bounds_and_reaches_them(name):
    """Bounds that are not around 0, which the environment learns to be driven to."""
    Corner.given.clear()
    run = logpi.train(
        Corner, steps=4096, num_envs=4, rollout_length=64, action_distribution=name, learning_rate=3e-2, seed=1,
        actions=None if name == "tanh_normal" else "rescale", width=8, num_minibatches=1,
    )  # fmt: skip
    taken, space = np.stack(Corner.given), Corner.action_space
    assert all(map(space.contains, taken))
    assert taken[:200].std(0).min() > 0.1 * np.min(space.high - space.low)
    drawn = run.policy.batch(np.zeros((200, 1), np.float32))
    likeliest = run.policy(np.zeros(1, np.float32), deterministic=True)
    assert all(map(space.contains, [*drawn, likeliest]))
    np.testing.assert_allclose(drawn.mean(0), [6.0, 5.0], atol=1.5)
    assert np.mean(run.evaluate(10).returns) > -0.5


@pytest.mark.parametrize("mean", [0.5, 8.0, 30.0])
def test_the_ratio_of_a_squashed_policy_begins_at_one_however_far_it_is(mean):
    """What acted and what learns ask for the log-probability of the same number, rounded as it is."""
    model = make_actor_critic(OBS, BOX, Network(width=4, action_distribution="tanh_normal"), key=jax.random.key(0))
    model = eqx.tree_at(lambda m: m.actor.layers[-1].bias, model, jnp.full(8, mean).at[4:].set(0.0))
    obs, start = jnp.linspace(-1, 1, 96).reshape(32, 3), jnp.ones(32, bool)
    keys = jax.random.split(jax.random.key(1), 32)
    action, log_prob, _ = eqx.filter_jit(act)(model, obs, start, (), keys)
    policies = eqx.filter_jit(jax.vmap(lambda one: model.evaluate(one, ())[0].policy))(obs)
    policies, action = jax.tree.map(lambda x: x[None], (policies, action))
    np.testing.assert_allclose(eqx.filter_jit(log_probs)(policies, action)[0], log_prob, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", FROM_NETWORK)
def test_it_learns_one_number_and_says_of_each_action_what_it_is(name):
    """The rows of a probe whose reward is the nearness to a number that is seen."""
    settings = {"steps": 60_000, "num_envs": 16, "rollout_length": 32, "width": 16, "learning_rate": 3e-3}
    run = logpi.train(Identity(spaces.Box((1,), -3.0, 5.0)), action_distribution=name, actions="rescale", **settings)
    assert np.mean(run.evaluate(200).returns) > 0.9  # acting blindly pays 2/3
    entropies = [row["entropy"] for row in run.history]
    assert np.isfinite(entropies).all() and entropies[-1] < entropies[0]
    assert dataclasses.asdict(run.settings.network)["action_distribution"] == name
