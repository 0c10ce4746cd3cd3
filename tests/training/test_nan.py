"""Where NaN comes up a training stops, or leaves that update out: every good update is kept."""

import json
from pathlib import Path

import equinox as eqx
import gymnasium
import jax
import numpy as np
import pytest

import logpi
from logpi import PPO
from logpi.runs.checkpoints import listed
from logpi.runs.metrics import real_columns, WHOLE
from tests.training.test_resume import train

COLUMNS = [m.name for m in real_columns(logpi.PPO.measurements)]


class Failing(gymnasium.Env):
    """Its reward is NaN in the 100th step of all."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.time += 1
        Failing.steps += 1
        return np.zeros(2, np.float32), np.nan if Failing.steps == 100 else 1.0, self.time > 20, False, {}


def test_nan_stops_with_the_last_good_state_and_says_where(tmp_path: Path) -> None:
    Failing.steps = 0
    sentence = r"The reward is nan in rollout 2 of seed 0 in environment \d at"
    with pytest.raises(logpi.errors.TrainingFault, match=sentence):
        train(tmp_path / "run", Failing, checkpoint_every=None)
    fault = json.loads((tmp_path / "run/fault.json").read_text())
    assert (fault["quantity"], fault["update"], fault["environment"]) == ("reward", 2, (100 - 1) % 4)
    assert len(fault["last_actions"]) in range(1, 6)
    assert len(logpi.load(tmp_path / "run").history) == 1
    assert [int(path.name) for path in listed(tmp_path / "run/checkpoints")] == [1]


def test_nan_can_be_skipped_and_is_counted(tmp_path: Path) -> None:
    Failing.steps = 0
    run = train(tmp_path / "run", Failing, on_nan="skip")
    assert [row.get("dropped", False) for row in run.history] == [False, True] + [False] * 8
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(eqx.filter(run.models, eqx.is_array)))
    json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[1], parse_constant=pytest.fail)
    assert all(row.keys() - {"dropped"} == {*WHOLE, *COLUMNS} for row in run.history)
    assert logpi.load(tmp_path / "run").history == run.history


def test_nan_in_a_compiled_training_keeps_every_good_update(tmp_path: Path) -> None:
    """With the largest learning rate that there may be, the first update is still finite."""
    far = PPO(logpi.Adam(1e6, max_grad_norm=1e30), num_epochs=1, num_minibatches=1)
    with pytest.raises(logpi.errors.TrainingFault, match="lower the learning rate") as raised:
        train(tmp_path / "run", "Pendulum-v1", algorithm=far)
    assert len(raised.value.run.history) == len(logpi.load(tmp_path / "run").history)  # for who has no folder
    fault = json.loads((tmp_path / "run/fault.json").read_text())
    run = logpi.load(tmp_path / "run")
    assert len(run.history) == fault["update"] - 1 and str(fault["update"]) in str(raised.value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(eqx.filter(run.models, eqx.is_array)))
