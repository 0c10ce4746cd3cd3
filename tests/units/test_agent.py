"""A policy outside of any loop: one agent, which gives what an environment got in training, and remembers."""

import gymnasium.spaces as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi.distributions import Normal
from logpi.envs import resolve
from logpi.errors import InputError
from logpi.models import AbstractPolicy, make_actor_critic, Network
from logpi.runs import agent
from logpi.runs.agent import Agent
from logpi.spaces.gymnasium import from_gymnasium
from logpi.spaces.kinds import Box, Dict, Discrete, MultiBinary, Tuple
from tests.envs.worlds import Script
from tests.rollout.running import rollout_in, two_rollouts

OBS, SEEN = Box((4,)), np.array([0.1, -0.2, 0.3, 0.0], np.float32)


def made(obs_space=OBS, action_space=None, actions: str = "clip", **network) -> Agent:
    action_space = action_space or Discrete(2)
    known = Network(**{"width": 8, "depth": 1, **network})
    model = make_actor_critic(obs_space, action_space, known, key=jax.random.key(0))
    return Agent(model, obs_space, action_space, actions)


def run(memory: str = "none") -> logpi.Run:
    settings = logpi.Settings(network=Network(memory=memory, width=8, depth=1))
    models = tuple(make_actor_critic(OBS, Discrete(2), settings.network, key=jax.random.key(i)) for i in range(2))
    return logpi.Run("Env-v0", settings, (0, 1), models, OBS, Discrete(2), [], {}, {})


@pytest.mark.parametrize("memory", ["none", "lstm"])
def test_it_is_one_and_the_same_however_it_is_named(memory: str) -> None:
    one, other = run(memory), run(memory)
    assert one.policy is one.policy is one.agent(0) is not one.agent(1) is one.agent(1)
    kept = other.policy
    rows = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)  # more than a block
    assert [int(one.policy(row)) for row in rows] == [int(kept(row)) for row in rows]
    assert 0.35 < np.mean([one.policy(SEEN) for _ in range(400)]) < 0.65
    if memory != "none":
        remembered = [np.asarray(leaf) for leaf in jax.tree.leaves(one.policy._memory)]
        one.policy.reset()
        assert any((m != 0).any() for m in remembered)
        assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(one.policy._memory))


@pytest.mark.parametrize("action_space", [Discrete(3), Box((2,), -1.0, 1.0)])
def test_a_batch_is_as_many_calls(action_space) -> None:
    """The same actions, drawn or likeliest, and the same ones after it; observations may have parts."""
    obs_space = Dict((("a", Box((4,))), ("b", Discrete(3))))
    one, other = made(obs_space, action_space), made(obs_space, action_space)
    rows = [{"a": SEEN * i, "b": i % 3} for i in range(1, 11)]
    batch = {"a": np.stack([row["a"] for row in rows]), "b": np.array([row["b"] for row in rows])}
    for likeliest in (False, True, False):
        calls = [one(row, likeliest) for row in rows]
        many = other.batch(batch, likeliest)
        np.testing.assert_allclose(many, np.stack(calls), rtol=1e-5)
        assert many.dtype == np.asarray(calls[0]).dtype
    np.testing.assert_allclose(other(rows[0]), one(rows[0]), rtol=1e-5)


def test_what_is_no_batch_is_told() -> None:
    policy = made()
    assert policy.batch([[0.1, 0.2, 0.3, 0.4]] * 3, deterministic=True).shape == (3,)  # lists serve
    for nothing in (None, 3.0, {}):
        with pytest.raises(InputError, match="The policy was given observations"):
            policy.batch(nothing)
    with pytest.raises(InputError, match=r"of shape \(4,\), but its space has \(4, 4\)"):
        policy.batch(SEEN)
    with pytest.raises(InputError, match="NaN or infinity"):
        policy.batch(np.full((2, 4), np.nan, np.float32))
    with pytest.raises(InputError, match="The policy remembers"):
        made(memory="gru").batch(SEEN[None])


def test_a_seed_draws_the_same_again() -> None:
    policy = made()
    first = [policy(SEEN) for _ in range(40)]
    assert [policy(SEEN) for _ in range(40)] != first
    policy.reset(0)
    assert [policy(SEEN) for _ in range(40)] == first
    policy.reset(1)
    assert [policy(SEEN) for _ in range(40)] != first


def test_how_the_parameters_are_handed_over_makes_no_difference(monkeypatch) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    written_in, draws = made(action_space=Box((2,), -1.0, 1.0)), []
    monkeypatch.setattr(agent, "SMALL", 0)
    for policy in (written_in, made(action_space=Box((2,), -1.0, 1.0))):
        draws.append([np.concatenate([policy(row), policy(row, deterministic=True)]) for row in rows])
    np.testing.assert_allclose(*draws, atol=1e-6)


def test_what_is_drawn_follows_the_policy() -> None:
    class Known(AbstractPolicy):
        def initial_memory(self):
            return ()

        def __call__(self, obs, memory):
            return Normal(obs[:2], jnp.log(jnp.array([0.5, 2.0]))), memory

    policy = Agent(Known(), OBS, Box((2,)))
    draws = np.stack([policy(SEEN) for _ in range(1500)])
    np.testing.assert_allclose(draws.mean(0), SEEN[:2], atol=4 * 2 / 1500**0.5)
    np.testing.assert_allclose(draws.std(0), [0.5, 2.0], rtol=0.1)
    assert abs(np.corrcoef(draws[1:, 0], draws[:-1, 0])[0, 1]) < 0.12
    np.testing.assert_array_equal(policy(SEEN, deterministic=True), SEEN[:2])


ACTIONS = {
    "bytes": gym.Box(0, 20, (12,), np.int8),
    "integers": gym.Box(-10, 10, (2,), np.int64),
    "double": gym.Box(-0.1, 0.1, (3,), np.float64),
    "half": gym.Box(-0.3, 0.3, (3,), np.float16),
    "no axes": gym.Box(-2.0, 2.0, ()),
    "two axes": gym.Box(np.full((2, 2), -0.7), np.full((2, 2), 0.3), dtype=np.float64),
    "choices": gym.Discrete(3, start=-5),
    "several": gym.MultiDiscrete(np.array([[2, 3], [4, 2]]), start=np.array([[1, 0], [0, 7]])),
    "coins": gym.MultiBinary((2, 2)),
}


@pytest.mark.parametrize(
    ("kind", "actions"), [*((kind, "clip") for kind in ACTIONS), ("bytes", "rescale"), ("double", "rescale")]
)
def test_an_action_is_a_member_of_its_space_and_ones_own(kind: str, actions: str) -> None:
    space = ACTIONS[kind]
    wide = {"initial_log_std": 1.0} if isinstance(space, gym.Box) else {}
    policy = made(action_space=from_gymnasium(space), actions=actions, **wide)
    for i in range(6):
        action = policy(SEEN, deterministic=i == 0)
        assert space.contains(action) and action.dtype == space.dtype and action.shape == space.shape
        if isinstance(space, gym.Discrete):
            assert isinstance(action, np.int64)
        else:
            action += action  # nobody else's


@pytest.mark.parametrize("kind", ["bytes", "double", "no axes", "choices"])
def test_it_gives_what_the_environment_gets_in_training(kind: str) -> None:
    received = []

    class Taking(Script):
        def __init__(self):
            super().__init__()
            self.action_space = ACTIONS[kind]

        def step(self, action):
            received.append(action)
            return super().step(action)

    source = resolve(Taking)
    network = Network(width=8, depth=1)
    policy = make_actor_critic(source.obs_space, source.action_space, network, key=jax.random.key(0))
    _, state = two_rollouts(rollout_in(source, 2, 4), policy)
    state.env.close()
    given = Agent(policy, source.obs_space, source.action_space)(np.zeros(2))
    for action in received:
        assert type(action) is type(given) and action.dtype == given.dtype and action.shape == given.shape
        assert ACTIONS[kind].contains(action)


PARTS = Dict((("a", Box((2,))), ("b", Tuple((Discrete(3), MultiBinary((2,)))))))
INSIDE = {"a": [0.5, 1.0], "b": (2, [0, 1])}


def test_observations_of_parts_are_taken_as_lists_too() -> None:
    policy, mode = made(PARTS), made(PARTS)
    assert policy(INSIDE, True) == mode({"a": np.array([0.5, 1.0]), "b": [np.int8(2), np.array([False, True])]}, True)


@pytest.mark.parametrize(
    ("space", "seen", "sentence"),
    [
        (OBS, [0, 0, np.nan, 0], "NaN or infinity"),
        (OBS, [0, 0, np.inf, 0], "NaN or infinity"),
        (OBS, np.zeros(3), r"of shape \(3,\), but its space has \(4,\)"),
        (OBS, "left", "of 'left', which is no array of numbers"),
        (OBS, None, "of None, which is no array of numbers"),
        (Discrete(3, 3), 2, r"of 2, which is not in Discrete\(3, start=3\)"),
        (Discrete(3), 0.5, "of 0.5, which is not in its space of whole numbers"),
        (Box((2,), 0, 9, "int32"), [0.7, 1.9], "of 0.7, which is not in its space of whole numbers"),
        (Box((2,), 0, 255, "uint8"), [-1, 0], "of -1, which is not in its space of whole numbers"),
        (PARTS, {"a": [0, 0]}, "without the part 'b'"),
        (PARTS, INSIDE | {"a": [0, np.nan]}, "NaN or infinity"),
        (PARTS, INSIDE | {"b": (3, [0, 1])}, "of 3, which is not in Discrete"),
    ],
)
def test_it_refuses_what_training_would_not_have_taken(space, seen, sentence: str) -> None:
    with pytest.raises(InputError, match=f"The policy was given an observation .*{sentence}"):
        made(space)(seen)


def test_large_numbers_are_none_to_refuse() -> None:
    made()(np.full(4, 3e38, np.float32))  # the product with itself is infinite
