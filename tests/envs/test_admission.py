"""Compiled environments at the door: a sentence where they show what they do not announce, casts that lose nothing."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi.envs import first_timestep, resolve, Timestep
from logpi.envs.admission import admitted, Cast
from logpi.envs.probes import Recall
from logpi.errors import EnvironmentFault, InputError
from logpi.rollout.make import make_rollout
from logpi.spaces.actions import clip_to
from logpi.spaces.kinds import Box, Dict, Discrete, MultiDiscrete
from tests.rollout.running import blind_policy

FALSE = jnp.zeros((), bool)


class Showing(logpi.AbstractEnv):
    """Shows what it is told to."""

    obs_space: object
    first: object
    then: object
    reward: object = 1.0
    terminated: object = False
    state: object = 0
    after: object = 0
    action_space = Discrete(2)

    def reset(self, key):
        return jax.tree.map(jnp.asarray, self.state), first_timestep(jax.tree.map(jnp.asarray, self.first))

    def step(self, key, state, action):
        then, after = (jax.tree.map(jnp.asarray, x) for x in (self.then, self.after))
        return after, Timestep(then, jnp.asarray(self.reward), jnp.asarray(self.terminated), FALSE)


FLOATS, INTS = np.zeros(2, np.float32), np.zeros(2, np.int32)
NESTED = Dict((("a", Box((2,))), ("b", Discrete(3))))
REFUSED = {
    "a reward of an axis": (
        Showing(Box((2,)), FLOATS, FLOATS, np.ones(1, np.float32)),
        r"Showing.step gives reward of type float32 and shape \(1,\), but it must be one number: give it as .squeeze",
    ),
    "ends of two axes": (
        Showing(Box((2,)), FLOATS, FLOATS, 1.0, np.zeros((1, 2), bool)),
        r"gives terminated of type bool and shape \(1, 2\)",
    ),
    "another shape": (
        Showing(Box((3,)), FLOATS, FLOATS),
        r"Showing's observation has the shape \(2,\), but its space Box.* has \(3,\)",
    ),
    "another shape later": (Showing(Box((2,)), FLOATS, np.zeros(3)), r"has the shape \(3,\), but its space"),
    "choices that become fractions": (
        Showing(Discrete(3), np.int32(0), np.float32(0)), "has the type int32 after a reset and float32 after a step"
    ),
    "a missing part": (Showing(NESTED, {"a": FLOATS}, {"a": FLOATS}), r"but its space has the parts \['a', 'b'\]"),
    "no parts": (Showing(NESTED, FLOATS, FLOATS), r"but its space has the parts \['a', 'b'\]"),
    "parts of none": (Showing(Box((2,)), {"a": FLOATS}, {"a": FLOATS}), "is a dict, but its space is Box"),
    "a state of another type": (
        Showing(Box((2,)), FLOATS, FLOATS, state={"t": np.int32(0)}, after={"t": np.float32(0)}),
        r"the state\['t'\] of type int32 and shape \(\) after a reset, but float32 and \(\) after a step",
    ),
    "a state of other parts": (
        Showing(Box((2,)), FLOATS, FLOATS, state=(0,), after=(0, 0)),
        "Showing.step gives a state .*: give both the same",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_it_does_not_announce_is_one_sentence(what: str) -> None:
    env, sentence = REFUSED[what]
    with pytest.raises(InputError, match=sentence) as caught:
        make_rollout(resolve(env), 2, 4, clip_to)
    assert "\n" not in str(caught.value)


STRAYS = {
    "a choice beyond": (Discrete(3), np.int32(3), r"an observation was 3, which is none of Discrete\(n=3"),
    "a choice before the first": (Discrete(3, 5), np.int32(4), "an observation was 4"),
    "choices": (MultiDiscrete((2, 3)), np.array([1, 3], np.int32), "an observation was 3"),
    "a part": (NESTED, {"a": FLOATS, "b": np.int32(-1)}, r"an observation\['b'\] was -1"),
}  # fmt: skip


@pytest.mark.parametrize("when", ["at once", "later"])
@pytest.mark.parametrize("what", STRAYS)
def test_a_choice_that_there_is_not_is_no_observation(what: str, when: str) -> None:
    space, stray, sentence = STRAYS[what]
    good = jax.tree.map(np.zeros_like, stray) if what != "a choice before the first" else np.int32(5)
    rollout = make_rollout(resolve(Showing(space, stray if when == "at once" else good, stray)), 2, 4, clip_to)
    policy = blind_policy(resolve(rollout.env))
    state = rollout.init(policy, jax.random.key(0))
    if when == "later":
        assert rollout.incidents(state) == []
        state = rollout.collect(policy, state, jax.random.key(1))[1]
    with pytest.raises(EnvironmentFault, match=sentence):
        rollout.incidents(state)


def test_a_training_stops_before_it_writes_what_is_no_observation(tmp_path: Path) -> None:
    env = Showing(Discrete(3), np.int32(4), np.int32(4))
    with pytest.raises(EnvironmentFault, match="an observation was 4"):
        logpi.train(env, steps=16, num_envs=2, rollout_length=4, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


CAST = {
    "a whole reward": Showing(Box((2,)), FLOATS, FLOATS, np.int32(3), False),
    "a true reward": Showing(Box((2,)), FLOATS, FLOATS, True, False),
    "ends in floats": Showing(Box((2,)), FLOATS, FLOATS, 3.0, np.float32(0)),
    "ends in integers": Showing(Box((2,)), FLOATS, FLOATS, 3.0, np.int32(1)),
    "whole numbers first": Showing(Box((2,)), INTS, FLOATS, 3.0, False),
    "half precision": Showing(Box((2,)), FLOATS, np.zeros(2, np.float16), np.float16(3), False),
}


@pytest.mark.parametrize("what", CAST)
def test_types_that_lose_nothing_are_cast(what: str) -> None:
    env = CAST[what]
    rollout = make_rollout(resolve(env), 2, 4, clip_to)
    assert isinstance(rollout.env, Cast)
    policy = blind_policy(resolve(env))
    trajectory, _ = rollout.collect(policy, rollout.init(policy, jax.random.key(0)), jax.random.key(1))
    assert [x.dtype for x in (trajectory.obs, trajectory.reward, trajectory.terminated)] == [
        np.float32,
        np.float32,
        bool,
    ]
    assert (trajectory.reward[:, 0] == float(env.reward)).all()
    assert (trajectory.terminated[:, 0] == bool(env.terminated)).all()


def test_what_is_right_is_itself() -> None:
    for env in (Recall(), Showing(NESTED, *[{"a": FLOATS, "b": np.int32(0)}] * 2), resolve("CartPole-v1").env):
        assert admitted(env) is env


def test_what_breaks_down_as_it_is_traced_is_said() -> None:
    class Branching(Showing):
        def step(self, key, state, action):
            return (state, first_timestep(FLOATS)) if action else (state, first_timestep(FLOATS + 1))

    with pytest.raises(InputError, match=r"Branching.step breaks down as JAX traces it \(TracerBoolConversionError"):
        admitted(Branching(Box((2,)), FLOATS, FLOATS))
