"""One check over all adapters: whatever environments come from, a trajectory means the same.

CartPole ends by its task and Pendulum by its time limit, every adapter has both, and both show their whole state: so
what each row must have led to is computed by Gymnasium's original from the row before.
"""

import gymnasium
import jax
import numpy as np
import pytest

from logpi.envs import EnvSource, resolve
from logpi.errors import InputError
from tests.rollout.running import blind_policy, check_bookkeeping, next_obs, rollout_in, two_rollouts

ADAPTERS = ("twin", "gymnax", "gymnasium", "processes", "envpool")


def source_of(adapter: str, id: str) -> EnvSource:
    """An environment through an adapter."""
    if adapter == "twin":
        return resolve(f"phys2d:{id}")
    if adapter == "processes":
        return resolve(f"gymnasium:{id}", processes=True)
    return resolve(f"{adapter}:{id}")


def trajectory_of(adapter: str, id: str, num_envs: int, length: int):
    """Two rollouts through an adapter."""
    source = source_of(adapter, id)
    with jax.numpy_rank_promotion("allow" if adapter == "gymnax" else "raise"):  # gymnax does promote
        trajectory, state = two_rollouts(rollout_in(source, num_envs, length), blind_policy(source))
    if not source.compiled:
        state.env.close()
    check_bookkeeping(trajectory)
    return trajectory


@pytest.fixture
def original(request):
    """Gymnasium's own environment, to set to any state."""
    env = gymnasium.make(request.param).unwrapped
    env.reset(seed=0)
    yield env
    env.close()


def cartpole_state(obs):
    """The observation is the state."""
    return obs.astype(np.float64)


def pendulum_state(obs):
    """Angle and speed."""
    return np.array([np.arctan2(obs[1], obs[0]), obs[2]], np.float64)


def check_rows(trajectory, original, state_of, but=np.False_) -> None:
    """Every row that counts, `but` some, led to what the original would make of its observation and action."""
    following = next_obs(trajectory)
    for stream, time in zip(*np.nonzero(trajectory.valid & ~but), strict=True):
        original.state, original.steps_beyond_terminated = state_of(trajectory.obs[stream, time]), None
        action = trajectory.action[stream, time]
        obs, reward, terminated, _, _ = original.step(action)
        np.testing.assert_allclose(following[stream, time], obs, atol=2e-5)
        np.testing.assert_allclose(trajectory.reward[stream, time], reward, atol=2e-4)
        assert trajectory.terminated[stream, time] == terminated


@pytest.mark.parametrize("original", ["CartPole-v1"], indirect=True)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_end_of_the_task(adapter: str, original) -> None:
    trajectory = trajectory_of(adapter, "CartPole-v1", 4, 60)
    check_rows(trajectory, original, cartpole_state)
    assert trajectory.terminated.sum() > 8 and not trajectory.truncated.any()
    assert (np.abs(trajectory.obs[trajectory.start]) <= 0.05).all()
    assert len(np.unique(trajectory.obs[:, 0, 0])) == 4  # no two environments are the same


@pytest.mark.parametrize("original", ["Pendulum-v1"], indirect=True)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_time_limit(adapter: str, original) -> None:
    trajectory = trajectory_of(adapter, "Pendulum-v1", 2, 210)
    # EnvPool's pendulum turns before its speed is cut at 8, Gymnasium's after.
    but = (np.abs(next_obs(trajectory)[..., 2]) == 8) & (adapter == "envpool")
    check_rows(trajectory, original, pendulum_state, but)
    assert not trajectory.terminated.any()
    np.testing.assert_array_equal(np.argwhere(trajectory.truncated), [[0, 199], [0, 400], [1, 199], [1, 400]])
    assert (np.abs(trajectory.action) > 2).any()  # as drawn, not as clipped


@pytest.mark.parametrize("adapter", ["gymnasium", "processes", "envpool"])
def test_a_seed_gives_the_same_trajectory_bit_for_bit(adapter: str) -> None:
    source = source_of(adapter, "CartPole-v1")
    rollout, policy = rollout_in(source, 3, 40), blind_policy(source)
    first, again, other = (two_rollouts(rollout, policy, seed=seed)[0] for seed in (7, 7, 8))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not np.array_equal(first.obs, other.obs)


@pytest.mark.parametrize("mode", ["SAME_STEP", "DISABLED"])
def test_other_modes_of_autoreset_are_refused(mode: str) -> None:
    wanted = gymnasium.vector.AutoresetMode[mode]
    env = gymnasium.make_vec("CartPole-v1", 2, vectorization_mode="sync", vector_kwargs={"autoreset_mode": wanted})
    with pytest.raises(InputError, match=r"resets itself in mode '\w+', which hides .*NEXT_STEP, or give"):
        resolve(env)
    env.close()


def test_a_vector_environment_of_the_users_own() -> None:
    env = gymnasium.make_vec("CartPole-v1", 2, vectorization_mode="sync")
    source = resolve(env)
    trajectory, _ = two_rollouts(rollout_in(source, 2, 30), blind_policy(source))
    check_bookkeeping(trajectory)
    with pytest.raises(InputError, match="has 2 environments, but num_envs is 3"):
        source.make(3, 0)
    env.close()
