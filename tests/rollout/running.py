"""What the tests of adapters share: a rollout in any source, two trajectories in a row, and their bookkeeping."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from logpi.envs import EnvSource
from logpi.models import AbstractPolicy, make_actor_critic, Network
from logpi.models.heads import AbstractHead, make_head
from logpi.rollout import AbstractRollout, CompiledRollout, HostRollout
from logpi.spaces.actions import clip_to


class Rows(NamedTuple):
    """A `logpi.trajectory.Trajectory` in NumPy."""

    obs: Any
    action: Any
    log_prob: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    start: np.ndarray
    valid: np.ndarray
    last_obs: Any
    last_start: np.ndarray


def rollout_in(source: EnvSource, num_envs: int, length: int, to_env=clip_to) -> AbstractRollout:
    """The rollout for a source."""
    if source.compiled:
        return CompiledRollout(source.env, num_envs, length, to_env)
    return HostRollout(source.obs_space, source.action_space, source.make, num_envs, length, to_env)


class Blind(AbstractPolicy):
    """The same distribution whatever it sees: uniform over integers, a standard normal over real numbers."""

    head: AbstractHead

    def initial_memory(self):
        return ()

    def __call__(self, obs, memory):
        return self.head(jnp.zeros(self.head.size)), memory


def blind_policy(source: EnvSource) -> Blind:
    """The quickest policy to compile."""
    return Blind(make_head(source.action_space))


def policy_for(source: EnvSource, network: Network | None = None, seed: int = 0):
    """A small network at its start."""
    network = network or Network(width=8, depth=1)
    return make_actor_critic(source.obs_space, source.action_space, network, key=jax.random.key(seed))


def two_rollouts(rollout: AbstractRollout, policy: Any, seed: int = 0) -> tuple[Rows, Any]:
    """Two trajectories, one after the other, as one of NumPy; and the last state."""
    keys = jax.random.split(jax.random.key(seed), 3)
    collect = eqx.filter_jit(rollout.collect) if rollout.compiled else rollout.collect
    init = eqx.filter_jit(rollout.init) if rollout.compiled else rollout.init
    state = init(policy, keys[0])
    first, state = collect(policy, state, keys[1])
    second, state = collect(policy, state, keys[2])
    first, second = jax.tree.map(np.asarray, (first, second))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[:, 0]), first.last_obs, second.obs)
    np.testing.assert_array_equal(first.last_start, second.start[:, 0])
    names = Rows._fields[:-2]
    long = [jax.tree.map(_joined, getattr(first, name), getattr(second, name)) for name in names]
    return Rows(*long, second.last_obs, second.last_start), state


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.concatenate([first, second], 1)


def next_obs(trajectory: Rows) -> Any:
    """What each row led to."""
    return jax.tree.map(
        lambda obs, last: np.concatenate([obs[:, 1:], last[:, None]], 1), trajectory.obs, trajectory.last_obs
    )


def check_bookkeeping(trajectory: Rows) -> None:
    """What holds in every environment: after an end comes one row that resets and counts for nothing, then a start."""
    over = trajectory.terminated | trajectory.truncated
    resets = np.zeros_like(over)
    resets[:, 1:] = over[:, :-1]
    np.testing.assert_array_equal(trajectory.valid, ~resets)
    starts = np.zeros_like(over)
    starts[:, 0], starts[:, 1:] = True, resets[:, :-1]
    np.testing.assert_array_equal(trajectory.start, starts)
    np.testing.assert_array_equal(trajectory.last_start, resets[:, -1])
    assert not over[resets].any() and not trajectory.reward[resets].any()
    assert trajectory.reward.dtype == np.float32 and trajectory.terminated.dtype == np.bool_
    assert np.isfinite(trajectory.log_prob).all()
