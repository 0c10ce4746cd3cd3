"""Warnings while numbers are still numbers: once a seed, and not for an outlier."""

import pytest

import logpi
from logpi import PPO, spaces
from logpi.measurements import Measurement
from logpi.training.monitors import LASTING, Monitors
from tests.training.test_resume import Recorder


def row(norm: float = 1.0, entropy: float = 0.7, seed: int = 0) -> dict:
    return {"seed": seed, "gradient_norm": norm, "entropy": entropy}


def test_a_gradient_that_explodes_is_told_once() -> None:
    monitors = Monitors(PPO.measurements, spaces.Discrete(2))
    assert monitors.check([row()] * 50) == []
    assert monitors.check([row(500.0)] * (LASTING - 1) + [row()]) == []  # an outlier
    told = monitors.check([row(500.0)] * 20)
    assert len(told) == 1 and "explodes" in told[0] and "--learning-rate" in told[0]
    assert monitors.check([row(500.0)] * 20) == []
    assert monitors.check([row(2.0, seed=1)] * 20) == []


def test_a_number_below_zero_may_explode_as_well() -> None:
    measured = (Measurement("loss", "nats", "Mine.", watch="explodes"),)
    monitors = Monitors(measured, spaces.Discrete(2))
    rows = [{"seed": 0, "iteration": i, "loss": -1.0 if i < 20 else -1e4} for i in range(20 + LASTING)]
    (told,) = monitors.check(rows)
    assert "the loss of seed 0 explodes" in told


@pytest.mark.parametrize(
    ("space", "first", "last", "told"),
    [
        (spaces.Discrete(2), 0.69, 0.001, 1),
        (spaces.Discrete(2), 0.69, 0.2, 0),
        (spaces.Box((2,)), 2.8, -8.0, 1),
        (spaces.Box((2,)), 2.8, -4.0, 0),
    ],
)
def test_an_entropy_that_collapses_is_told_once(space, first: float, last: float, told: int) -> None:
    monitors = Monitors(PPO.measurements, space)
    monitors.check([row(entropy=first)] * 3)
    found = monitors.check([row(entropy=last)] * 30)
    assert len(found) == told and all("--entropy-coef" in sentence for sentence in found)


def test_a_training_tells_it() -> None:
    """Three probabilities of a bandit, driven to a corner within a few updates."""
    recorder = Recorder()
    greedy = PPO(logpi.Adam(0.3), num_epochs=8, num_minibatches=1, clip=10.0)
    logpi.train("probe:identity", greedy, steps=64 * 60, num_envs=4, rollout_length=16, callbacks=recorder)
    assert any("collapsed" in sentence for sentence in recorder.warnings)
    calm = Recorder()
    logpi.train("probe:identity", steps=64 * 10, num_envs=4, rollout_length=16, callbacks=calm)
    assert calm.warnings == []
