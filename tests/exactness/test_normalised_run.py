"""A run with normalised observations is saved with its statistics: loaded again, it acts and evaluates the same."""

import jax
import numpy as np
import pytest

import logpi
from logpi.envs import resolve


@pytest.mark.parametrize("environment", ["CartPole-v1", "gymnasium:CartPole-v1"])
def test_a_normalised_run_is_saved_loaded_and_evaluated_identically(environment: str, tmp_path) -> None:
    settings = logpi.Settings(
        logpi.PPO(num_epochs=1, num_minibatches=2),
        steps=256,
        num_envs=4,
        rollout_length=32,
        network=logpi.Network(width=8, depth=1, normalize_observations=True),
        reward_scaling=logpi.RewardScaling(),
    )
    run = logpi.train(environment, settings=settings, seeds=(3, 4), out=tmp_path / "run")
    back = logpi.load(tmp_path / "run")
    for mine, theirs in zip(run.models, back.models, strict=True):
        assert mine.normalizer.count > 200  # rows that only reset do not count
        jax.tree.map(np.testing.assert_array_equal, mine.normalizer, theirs.normalizer)
    obs = np.array([0.1, -0.2, 0.03, 0.4], np.float32)
    np.testing.assert_array_equal(run.policy(obs), back.policy(obs))
    for deterministic in (False, True):
        before, after = (which.evaluate(6, deterministic=deterministic) for which in (run, back))
        np.testing.assert_array_equal(before.returns, after.returns)
        np.testing.assert_array_equal(before.lengths, after.lengths)
    assert back.settings.network.normalize_observations and resolve(back.env).compiled == resolve(environment).compiled
