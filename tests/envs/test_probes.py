"""The answers that the docstrings of the probes state are the answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.envs import resolve
from logpi.envs.probes import agreement, Identity, KINDS, PROBES, Recall, Termination, Truncation, TwoStep
from logpi.errors import InputError
from logpi.spaces.actions import bounds
from logpi.spaces.encoding import encode
from logpi.spaces.kinds import Box, Dict, Discrete, MultiBinary, MultiDiscrete

SPACES = KINDS | {
    "counted from 5": Discrete(3, start=5),
    "a matrix": MultiDiscrete((2, 3, 2, 2), (1, 0, 0, 4), (2, 2)),
    "other bounds": Box((2,), (-1.0, 0.0), (3.0, 5.0)),
}
GAMMA = 0.9


def extremes(space):
    """The members with every entry at its first and at its second value."""
    if isinstance(space, Box):
        return bounds(space)
    if isinstance(space, Dict):
        pairs = {name: extremes(part) for name, part in space.parts}
        return tuple({name: pair[i] for name, pair in pairs.items()} for i in (0, 1))
    first = {Discrete(3, 5): 5, MultiDiscrete((2, 3, 2, 2), (1, 0, 0, 4), (2, 2)): np.array([[1, 0], [0, 4]])}
    shape = {"Discrete": (), "MultiDiscrete": (2,), "MultiBinary": (2,)}[type(space).__name__]
    low = np.asarray(first.get(space, np.zeros(shape, int)))
    return low, low + 1


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_identity_pays_one_for_what_it_shows_and_ends(space) -> None:
    env = Identity(space)
    keys = jax.random.split(jax.random.key(0), 300)
    right, first = jax.jit(jax.vmap(env.reset))(keys)
    _, after = jax.jit(jax.vmap(env.step))(keys, right, right)
    np.testing.assert_allclose(after.reward, 1.0, rtol=1e-6)
    assert after.terminated.all() and not after.truncated.any()
    np.testing.assert_array_equal(first.obs, jax.jit(jax.vmap(lambda member: encode(space, member)))(right))
    assert first.obs.shape[1:] == env.obs_space.shape


@pytest.mark.parametrize(
    ("space", "blind"), [(Discrete(3), 2 / 3 - 1), (MultiDiscrete((2, 4)), -0.25), (MultiBinary((2,)), 0.0)]
)
def test_identity_pays_the_blind_what_it_says(space, blind: float) -> None:
    env = Identity(space)
    keys = jax.random.split(jax.random.key(1), 4000)
    right, _ = jax.jit(jax.vmap(env.reset))(keys)
    _, after = jax.jit(jax.vmap(env.step, in_axes=(0, 0, None)))(keys, right, jnp.asarray(extremes(space)[0]))
    np.testing.assert_allclose(after.reward.mean(), blind, atol=0.05)


def test_identity_pays_the_blind_two_thirds_for_a_box() -> None:
    env = Identity(SPACES["other bounds"])
    keys = jax.random.split(jax.random.key(1), 4000)
    right, _ = jax.jit(jax.vmap(env.reset))(keys)
    _, after = jax.jit(jax.vmap(env.step, in_axes=(0, 0, None)))(keys, right, jnp.array([1.0, 2.5]))
    np.testing.assert_allclose(after.reward.mean(), 2 / 3, atol=0.02)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_recall_pays_the_length_for_memory_and_nothing_for_a_guess(space) -> None:
    env = Recall(space, length=3)
    low, high = extremes(space)
    totals = []
    reset, play = jax.jit(env.reset), jax.jit(env.step)
    for seed in range(8):
        state, timestep = reset(jax.random.key(seed))
        cue = timestep.obs.item()
        assert cue in (-1.0, 1.0)
        remembered, constant = [], []
        for step in range(3):
            _, guess = play(jax.random.key(0), state, jax.tree.map(jnp.asarray, low))
            state, timestep = play(jax.random.key(0), state, jax.tree.map(jnp.asarray, high if cue > 0 else low))
            remembered.append(timestep.reward.item())
            constant.append(guess.reward.item())
            assert timestep.obs.item() == 0 and timestep.terminated == (step == 2) and not timestep.truncated
        np.testing.assert_allclose(remembered, 1.0)
        totals.append((cue, constant[1]))
    if isinstance(space, Box):
        middle = (low + high) / 2
        assert agreement(space, jnp.asarray(middle), jnp.asarray(high)) == 0
    elif not isinstance(space, Dict):
        assert set(totals) == {(-1.0, 1.0), (1.0, -1.0)}  # right as often as wrong: 0 on average


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_two_steps_are_worth_what_it_says(space) -> None:
    env = TwoStep(space)
    low, high = (jax.tree.map(jnp.asarray, e) for e in extremes(space))
    start, first = env.reset(jax.random.key(0))
    step = jax.jit(env.step)
    np.testing.assert_array_equal(first.obs, [0, 0])
    for action, share in ((low, 0.0), (high, 1.0)):
        state, one = step(jax.random.key(0), start, action)
        np.testing.assert_array_equal(one.obs, [1, share])
        assert not one.terminated and one.reward == (1 - share) / 4
        for second in (low, high):
            _, two = step(jax.random.key(0), state, second)
            assert two.terminated and not two.truncated and two.reward == share
            worth = one.reward + GAMMA * two.reward
            np.testing.assert_allclose(worth, (1 - share) / 4 + GAMMA * share)


def values(env) -> np.ndarray:
    """What each state is worth from the end backwards, where a truncation is worth as much as the state it cuts."""
    state, _ = env.reset(jax.random.key(0))
    rewards, timestep = [], None
    for _ in range(env.length):
        state, timestep = env.step(jax.random.key(0), state, jnp.asarray(0))
        rewards.append(timestep.reward.item())
    assert timestep.terminated != timestep.truncated
    value = 1 / (1 - GAMMA) if timestep.truncated else 0.0
    found = []
    for reward in reversed(rewards):
        value = reward + GAMMA * value
        found.append(value)
    return np.array(found[::-1])


def test_truncation_is_worth_the_same_everywhere_and_termination_is_not() -> None:
    np.testing.assert_allclose(values(Truncation(length=5)), 1 / (1 - GAMMA))
    np.testing.assert_allclose(values(Termination(length=5)), (1 - GAMMA ** (5 - np.arange(5))) / (1 - GAMMA))


@pytest.mark.parametrize("probe", PROBES)
def test_every_probe_has_a_name_for_every_kind_and_is_the_same_program_each_time(probe: str) -> None:
    for kind, space in KINDS.items():
        source = resolve(f"probe:{probe}-{kind}")
        assert source.compiled and source.action_space == space
        assert source.env == resolve(f"probe:{probe}-{kind}").env
        assert hash(source.env) == hash(resolve(f"probe:{probe}-{kind}").env)
    assert resolve(f"probe:{probe}").env == resolve(f"probe:{probe}-discrete").env


@pytest.mark.parametrize(
    "space", [Discrete(1), Box((2,)), MultiDiscrete(()), Dict((("a", Discrete(1)),))], ids=lambda s: type(s).__name__
)
def test_a_space_without_a_right_and_a_wrong_is_refused(space) -> None:
    with pytest.raises(InputError, match="A probe cannot act in"):
        Identity(space)


def test_a_length_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match="length is 0"):
        resolve("probe:recall", length=0)
    assert resolve("probe:recall", length=3).env.length == 3
