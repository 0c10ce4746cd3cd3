"""Every environment of gymnax's, inside a compiled rollout."""

import equinox as eqx
import gymnax
import jax
import numpy as np
import pytest

from logpi import spaces
from logpi.envs import AbstractEnv, resolve
from logpi.envs.adapters.gymnax import from_gymnax, gymnax_env, gymnax_ids
from logpi.errors import InputError
from tests.rollout.running import blind_policy, check_bookkeeping, rollout_in, two_rollouts

DOWNLOADS = ("MNISTBandit-bsuite",)  # its data, when it is made
SHORT = {  # those in which something happens within 20 steps: observation, action and end of every kind
    "Breakout-MinAtar", "MountainCarContinuous-v0", "Catch-bsuite", "FrozenLake-misc",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _promotion():
    """The environments of gymnax's promote ranks and types."""
    with jax.numpy_rank_promotion("allow"):
        yield


def member(space: spaces.Space, obs: np.ndarray) -> bool:
    """Whether an observation, with axes before, is of the shape, type and range that are announced."""
    match space:
        case spaces.Discrete(n):
            return obs.ndim == 2 and obs.dtype == np.int32 and (obs >= 0).all() and (obs < n).all()
        case spaces.Box(shape, dtype=dtype):
            return obs.shape[2:] == shape and str(obs.dtype) == dtype and np.isfinite(obs).all()
        case _:
            return False


def check(id: str) -> None:
    """Two rollouts of 20 steps."""
    source = resolve(f"gymnax:{id}")
    trajectory, _ = two_rollouts(rollout_in(source, 3, 20), blind_policy(source))
    check_bookkeeping(trajectory)
    assert member(source.obs_space, trajectory.obs)
    first = trajectory.obs[trajectory.start & trajectory.valid]
    assert len(first) >= 3


@pytest.mark.parametrize("id", sorted(SHORT))
def test_one_of_each_kind(id: str) -> None:
    check(id)


@pytest.mark.slow
@pytest.mark.parametrize("id", sorted(set(gymnax_ids()) - SHORT - set(DOWNLOADS)))
def test_all_the_others(id: str) -> None:
    check(id)


def test_every_environment_can_be_made_and_traced() -> None:
    for id in sorted(set(gymnax_ids()) - set(DOWNLOADS)):
        env = gymnax_env(id)
        state, first = jax.eval_shape(env.reset, jax.random.key(0))
        action = jax.eval_shape(lambda env=env: spaces.clip_to(env.action_space, _any(env)))
        after, timestep = jax.eval_shape(env.step, jax.random.key(0), state, action)
        assert jax.tree.map(_shape, after) == jax.tree.map(_shape, state), id
        assert jax.tree.map(_shape, timestep) == jax.tree.map(_shape, first), id


def _shape(leaf) -> tuple:
    return leaf.shape, str(leaf.dtype), leaf.weak_type


def _any(env: AbstractEnv):
    space = env.action_space
    return jax.numpy.zeros(() if isinstance(space, spaces.Discrete) else space.shape, int)


@pytest.mark.parametrize("id", DOWNLOADS)
def test_what_cannot_be_made_is_told_in_a_sentence(id: str, monkeypatch) -> None:
    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("urllib.request.urlretrieve", refuse)
    with pytest.raises(InputError, match=rf"gymnax cannot make {id} \(OSError: no network\): choose"):
        resolve(f"gymnax:{id}")


def test_a_time_limit_is_a_truncation() -> None:
    env = gymnax_env("MountainCar-v0", max_steps_in_episode=2)
    state, _ = env.reset(jax.random.key(0))
    for expected in (False, True):
        state, timestep = env.step(jax.random.key(0), state, jax.numpy.asarray(1))
        assert bool(timestep.truncated) == expected and not timestep.terminated


def test_the_same_name_is_the_same_program() -> None:
    traces = []

    @eqx.filter_jit
    def reset(env, key):
        traces.append(env)
        return env.reset(key)

    for _ in range(2):  # its parameters are arrays
        reset(resolve("gymnax:Acrobot-v1").env, jax.random.key(0))
    assert len(traces) == 1


def test_spaces_of_several_parts() -> None:
    gx = gymnax.environments.spaces
    parts = gx.Tuple((gx.Discrete(3), gx.Box(0, 255, (2, 2), np.uint8)))
    expected = spaces.Tuple((spaces.Discrete(3), spaces.Box((2, 2), 0.0, 255.0, "uint8")))
    assert from_gymnax(parts) == expected
    box = gx.Box(np.array([-1.0, np.finfo(np.float32).min]), np.array([1.0, np.finfo(np.float32).max]), (2,))
    named = gx.Dict({"b": parts, "a": box})
    bounded = spaces.Box((2,), (-1.0, -np.inf), (1.0, np.inf))
    assert from_gymnax(named) == spaces.Dict((("a", bounded), ("b", expected)))


def test_an_option_that_there_is_not() -> None:
    with pytest.raises(InputError, match=r"gymnax cannot make CartPole-v1 with \{'gravitty': 3\} \(TypeError"):
        resolve("gymnax:CartPole-v1", gravitty=3)
