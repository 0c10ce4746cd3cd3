"""What a policy earns in fresh episodes, without a preference for short ones, and the intervals around it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from logpi import InputError, spaces
from logpi.distributions import Categorical
from logpi.envs import AbstractEnv, first_timestep, Timestep
from logpi.evaluation import evaluate as evaluation
from logpi.evaluation.evaluate import evaluate_policies, run_episodes
from logpi.models import AbstractPolicy
from logpi.rollout import CompiledRollout
from logpi.statistics.intervals import interquartile_mean, iqm_interval, mean_interval

LONG = 9


class ShortOrLong(AbstractEnv):
    """At each reset a coin decides whether the episode takes 1 step or LONG; a step pays 1 plus the action."""

    obs_space: spaces.Space = eqx.field(static=True, default=spaces.Box((1,)))
    action_space: spaces.Space = eqx.field(static=True, default=spaces.Discrete(2))
    endless: bool = eqx.field(static=True, default=False)

    def reset(self, key):
        left = jnp.where(jax.random.bernoulli(key), LONG, 1)
        return left, first_timestep(jnp.zeros(1))

    def step(self, key, state, action):
        over = (state <= 1) & (not self.endless)
        return state - 1, Timestep(jnp.zeros(1), 1.0 + action, over, jnp.zeros((), bool))


class Leaning(AbstractPolicy):
    """Draws 1 with a probability below one half."""

    def initial_memory(self):
        return ()

    def __call__(self, obs, memory):
        return Categorical(jnp.asarray([1.0, 0.0])), memory


def rollout(num_envs: int, **changes) -> CompiledRollout:
    return CompiledRollout(ShortOrLong(**changes), num_envs, 7)


def test_short_episodes_are_not_preferred():
    """Whoever takes what ends first finds few long ones. Within 4.5 standard errors; false alarm: 1 in 70,000 keys."""
    episodes = 600
    returns, lengths = run_episodes(Leaning(), rollout(300), episodes, jax.random.key(0))
    assert set(lengths) == {1, LONG} and len(lengths) == len(returns) == episodes
    share = np.mean(lengths == LONG)
    assert abs(share - 0.5) < 4.5 * 0.5 / np.sqrt(episodes)
    per_step = 1 + 1 / (1 + np.e)
    assert abs(returns.mean() - per_step * (LONG + 1) / 2) < 4.5 * returns.std() / np.sqrt(episodes)


@pytest.mark.parametrize(("episodes", "num_envs"), [(10, 4), (3, 4), (4, 4), (1, 4)])
def test_as_many_episodes_as_asked_for(episodes, num_envs):
    returns, lengths = run_episodes(Leaning(), rollout(num_envs), episodes, jax.random.key(0))
    assert returns.shape == lengths.shape == (episodes,)


def evaluated(deterministic: bool, key: int = 0):
    return evaluate_policies(
        [Leaning(), Leaning()], rollout(4), env="coin", seeds=(3, 5), episodes=20,
        deterministic=deterministic, key=jax.random.key(key),
    )  # fmt: skip


def test_deterministic_takes_modes_and_stochastic_draws():
    by_modes, drawn = evaluated(True), evaluated(False)
    np.testing.assert_array_equal(by_modes.returns, by_modes.lengths)  # the mode is action 0
    assert (drawn.returns > drawn.lengths).any()
    assert by_modes.deterministic and not drawn.deterministic


def test_an_evaluation_repeats_and_seeds_differ():
    first, again, other = evaluated(False), evaluated(False), evaluated(False, key=1)
    np.testing.assert_array_equal(first.returns, again.returns)
    assert (first.returns != other.returns).any() and (first.returns[0] != first.returns[1]).any()
    assert set(first.by_seed) == {3, 5}
    assert first.by_seed[5].value == first.returns[1].mean()
    assert first.mean.value == pytest.approx(first.returns.mean())
    plain = first.as_dict()
    assert plain["episodes"] == 20 and plain["by_seed"].keys() == {"3", "5"}
    assert plain["mean_length"] == pytest.approx(first.lengths.mean())


def test_an_episode_that_does_not_end_is_an_input_error(monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_EPISODE_STEPS", 50)
    with pytest.raises(InputError, match="did not end within 50 steps"):
        run_episodes(Leaning(), rollout(4, endless=True), 2, jax.random.key(0))


def test_no_episodes_is_an_input_error():
    nothing = {"env": "", "seeds": (0,), "episodes": 0, "deterministic": False, "key": jax.random.key(0)}
    with pytest.raises(InputError, match="episodes is 0"):
        evaluate_policies([Leaning()], rollout(1), **nothing)


def test_the_interval_of_a_mean_is_students():
    values = np.array([1.0, 4.0, 2.0, 8.0])
    interval = mean_interval(values)
    right = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose([interval.value, interval.low, interval.high], [3.75, right.low, right.high], rtol=1e-9)
    single = mean_interval(np.array([2.0]))
    assert single.value == 2 and np.isnan(single.low) and np.isnan(single.high)


def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says():
    """Of 2,000 intervals around means of 6 Gaussians 95 % hold the truth; binomial, false-alarm rate 1e-6."""
    draws = np.random.default_rng(0).normal(5, 2, (2000, 6))
    hits = sum(interval.low < 5 < interval.high for interval in map(mean_interval, draws))
    assert stats.binomtest(hits, 2000, 0.95).pvalue > 1e-6


def test_the_interquartile_mean_is_of_the_middle_half():
    values = np.array([100.0, 1.0, 2.0, 3.0, 4.0, -50.0, 5.0, 6.0])
    assert interquartile_mean(values) == np.mean([2, 3, 4, 5])
    interval = iqm_interval(values)
    assert interval.low <= interval.value == 3.5 <= interval.high
    assert interval == iqm_interval(values)  # always the same resamples
    assert iqm_interval(np.array([7.0])).value == 7
