"""Returns and lengths of episodes, and the scaling of rewards, against plain loops over random streams."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.wrappers import NormalizeReward

from logpi import RewardScaling
from logpi.evaluation.episodes import follow, no_episodes
from logpi.trajectory import Trajectory
from logpi.transforms import RewardTransform

STREAMS, TIME = 5, 13


def streams(rollouts: int, seed: int, chance: float = 0.3) -> list[Trajectory]:
    """Consecutive rollouts of random rewards, ends and the resets after them."""
    random = np.random.default_rng(seed)
    start, resetting = np.ones(STREAMS, bool), np.zeros(STREAMS, bool)
    found = []
    for _ in range(rollouts):
        rows = []
        for _ in range(TIME):
            kind = random.choice(4, STREAMS, p=[1 - chance, chance / 3, chance / 3, chance / 3])
            terminated, truncated = (kind % 2 == 1) & ~resetting, (kind >= 2) & ~resetting
            reward = np.where(resetting, 0.0, random.normal(2, 3, STREAMS))
            rows.append((reward, terminated, truncated, start, ~resetting))
            start, resetting = resetting, terminated | truncated
        reward, terminated, truncated, starts, valid = (np.stack(x, 1) for x in zip(*rows, strict=True))
        nothing = jnp.zeros((STREAMS, TIME))
        flags = (jnp.asarray(x) for x in (terminated, truncated, starts, valid))
        found.append(
            Trajectory(
                nothing, nothing, nothing, jnp.asarray(reward, jnp.float32), *flags,
                last_obs=jnp.zeros(STREAMS), last_start=jnp.asarray(start), memory=(),
            )
        )  # fmt: skip
    return found


def episodes_by_loop(rollouts: list[Trajectory]) -> list[tuple[int, int, int, float, int]]:
    """(rollout, stream, time, return, length) of each end."""
    found = []
    for stream in range(STREAMS):
        total, length = 0.0, 0
        for i, rollout in enumerate(jax.tree.map(np.asarray, rollouts)):
            for time in range(TIME):
                if not rollout.valid[stream, time]:
                    continue
                total, length = total + float(rollout.reward[stream, time]), length + 1
                if rollout.terminated[stream, time] or rollout.truncated[stream, time]:
                    found.append((i, stream, time, total, length))
                    total, length = 0.0, 0
    return sorted(found)


@pytest.mark.parametrize("chance", [0.0, 0.05, 0.3, 1.0])
def test_episodes_are_followed_across_rollouts(chance):
    rollouts, open_episodes, found = streams(6, 0, chance), no_episodes(STREAMS), []
    for i, rollout in enumerate(rollouts):
        rows, open_episodes = jax.jit(follow)(rollout, open_episodes)
        for stream, time in np.argwhere(rows.ended):
            ended = float(rows.total_reward[stream, time]), int(rows.length[stream, time])
            found.append((i, int(stream), int(time), *ended))
    right = episodes_by_loop(rollouts)
    assert [f[:3] for f in sorted(found)] == [r[:3] for r in right]
    assert [f[4] for f in sorted(found)] == [r[4] for r in right]
    np.testing.assert_allclose([f[3] for f in sorted(found)], [r[3] for r in right], rtol=1e-4, atol=1e-3)
    assert (len(right) > 5) == (chance > 0)


def test_what_goes_on_is_carried():
    rollout = streams(1, 0, 0.1)[0]
    _, after = follow(rollout, no_episodes(STREAMS))
    t = jax.tree.map(np.asarray, rollout)
    for stream in range(STREAMS):
        ends = np.flatnonzero(t.terminated[stream] | t.truncated[stream])
        first = ends[-1] + 1 if len(ends) else 0
        rows = t.valid[stream, first:]
        np.testing.assert_allclose(after.reward[stream], t.reward[stream, first:][rows].sum(), rtol=1e-4, atol=1e-3)
        assert float(after.length[stream]) == rows.sum()


def discounted_sums(rollouts: list[Trajectory], gamma: float) -> list[np.ndarray]:
    """Of each rollout, the running discounted sum at each row that counts, from the start of its episode."""
    found, running = [], np.zeros(STREAMS)
    for rollout in jax.tree.map(np.asarray, rollouts):
        sums = []
        for time in range(TIME):
            running = np.where(rollout.start[:, time], 0.0, running * gamma) + rollout.reward[:, time]
            sums += running[rollout.valid[:, time]].tolist()
        found.append(np.array(sums))
    return found


def test_rewards_are_divided_by_the_deviation_of_their_discounted_sum():
    scaling, rollouts = RewardScaling(0.9, limit=1.0), streams(4, 1)
    statistics, sums = scaling.init(STREAMS), discounted_sums(rollouts, 0.9)
    for i, rollout in enumerate(rollouts):
        scaled, statistics = jax.jit(scaling)(rollout, statistics)
        so_far = np.concatenate(sums[: i + 1])
        np.testing.assert_allclose(statistics.variance, so_far.var(), rtol=1e-4)
        np.testing.assert_allclose(statistics.mean, so_far.mean(), rtol=1e-4)
        assert float(statistics.count) == len(so_far)
        right = np.asarray(rollout.reward) / so_far.std()
        assert (np.abs(right) > 1).any()
        np.testing.assert_allclose(scaled.reward, np.clip(right, -1, 1), rtol=1e-3, atol=1e-5)


def test_rewards_of_rows_that_only_reset_do_not_count():
    rollout = streams(1, 2)[0]
    other = jnp.where(rollout.valid, rollout.reward, 1e6)
    scaling = RewardScaling(0.9)
    _, right = scaling(rollout, scaling.init(STREAMS))
    _, mine = scaling(jax.tree.unflatten(*_with_reward(rollout, other)), scaling.init(STREAMS))
    np.testing.assert_allclose(mine.variance, right.variance, rtol=1e-6)


@pytest.mark.parametrize("scaling", [None, RewardScaling(0.9)])
def test_the_learner_sees_clipped_rewards_and_the_scale_is_of_these(scaling):
    rollout, transform = streams(1, 3)[0], RewardTransform(0.5, scaling)
    found, statistics = jax.jit(transform)(rollout, transform.init(STREAMS))
    clipped = np.clip(rollout.reward, -0.5, 0.5)
    assert (clipped != rollout.reward).any()
    deviation = 1.0 if scaling is None else np.sqrt(statistics.variance + 1e-8)
    np.testing.assert_allclose(found.reward, clipped / deviation, rtol=1e-5)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(rollout), strict=True):
        assert other is rollout.reward or np.array_equal(one, other)


def _with_reward(rollout: Trajectory, reward):
    leaves, structure = jax.tree.flatten(rollout)
    return structure, [reward if leaf is rollout.reward else leaf for leaf in leaves]


class Scripted(gymnasium.Env):
    """Pays the rewards of a script, one episode without an end."""

    observation_space = gymnasium.spaces.Discrete(1)
    action_space = gymnasium.spaces.Discrete(1)

    def __init__(self, rewards: np.ndarray):
        self.rewards = iter(rewards)

    def step(self, action):
        return 0, float(next(self.rewards)), False, False, {}


def test_it_becomes_gymnasiums_normalize_reward():
    """One environment, one step a rollout, and nothing else differs.

    What differs otherwise: Gymnasium updates after each step and we after each rollout; it carries the sum over a
    truncation and we start anew with each episode; it does not clip; it begins with 1e-4 observations of 0 and
    variance 1, which fade (so the first steps are left out here).
    """
    rewards = np.random.default_rng(0).normal(1, 2, 300)
    env = NormalizeReward(Scripted(rewards), gamma=0.9)
    theirs = [env.step(0)[1] for _ in rewards]
    scaling, yes, no = RewardScaling(0.9), jnp.ones((1, 1), bool), jnp.zeros((1, 1), bool)
    statistics, mine, step, nothing = scaling.init(1), [], jax.jit(scaling), jnp.zeros((1, 1))
    for i, reward in enumerate(rewards):
        row = jnp.full((1, 1), reward, jnp.float32), no, no, yes if i == 0 else no, yes
        trajectory = Trajectory(nothing, nothing, nothing, *row, jnp.zeros(1), jnp.zeros(1, bool), ())
        scaled, statistics = step(trajectory, statistics)
        mine.append(float(scaled.reward[0, 0]))
    np.testing.assert_allclose(mine[10:], theirs[10:], rtol=2e-3)
