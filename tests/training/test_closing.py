"""Environments that cannot be closed, are closed by others, or whose processes are killed."""

import os
import signal
from pathlib import Path

import gymnasium
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import logpi
from logpi.envs import resolve
from logpi.errors import EnvironmentFault, InputError
from logpi.report.folders import tell
from logpi.report.measure import measure
from tests.training.test_environment_faults import Fragile, SMALL
from tests.training.test_resume import Recorder

CLOSING = "the environments could not be closed (OSError: the window is gone)"


class Unclosable(Fragile):
    """Its window is gone when it is to be closed."""

    def close(self) -> None:
        raise OSError("the window is gone")


def test_what_cannot_be_closed_costs_no_finished_run(tmp_path: Path) -> None:
    recorder = Recorder()
    run = logpi.train(lambda: Unclosable("never"), out=tmp_path / "run", callbacks=recorder, **SMALL)
    assert run.summary["updates"] == 6 and [CLOSING in sentence for sentence in recorder.warnings] == [True]
    with pytest.warns(RuntimeWarning, match="could not be closed"):
        assert run.evaluate(2).returns.shape == (1, 2)
    with pytest.warns(RuntimeWarning, match="could not be closed"):
        measured = measure(tell(tmp_path / "run"), 2, env=lambda: Unclosable("never"))
    assert measured.episodes is not None and measured.audit is not None


def test_it_does_not_hide_what_went_wrong_before() -> None:
    recorder = Recorder()
    with pytest.raises(EnvironmentFault, match="the spring is broken"):
        logpi.train(lambda: Unclosable("raises"), callbacks=recorder, **SMALL)
    assert [CLOSING in sentence for sentence in recorder.warnings] == [True]


class Killed(Fragile):
    """The process of the second is killed in its 20th step, where one is told how many there are by its seed."""

    def reset(self, *, seed=None, options=None):
        self.first = seed if seed is not None else self.first
        return super().reset(seed=seed)

    def step(self, action):
        if self.steps == 20 and self.first % 3 == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action)


def killed() -> Killed:
    """One of them."""
    return Killed("never")


def test_a_process_that_is_killed_is_told_and_nobody_waits_for_it() -> None:
    with pytest.raises(EnvironmentFault, match=r"A process of the environments killed ended by itself"):
        logpi.train(resolve(killed, processes=True), **SMALL)


class Counted(Fragile):
    """Knows how many are open, and breaks down as the second of them is reset."""

    open = 0

    def __init__(self, broken: bool):
        super().__init__("never")
        self.broken, Counted.open = broken, Counted.open + 1

    def reset(self, *, seed=None, options=None):
        if self.broken and Counted.open == 2:
            raise RuntimeError("no such level")
        return super().reset(seed=seed)

    def close(self) -> None:
        Counted.open -= 1


def test_where_a_first_reset_fails_all_are_closed() -> None:
    with pytest.raises(EnvironmentFault, match="no such level"):
        logpi.train(lambda: Counted(True), num_envs=2, rollout_length=16, steps=64)
    assert Counted.open == 0


def test_a_vector_environment_of_ones_own_is_left_open(tmp_path: Path) -> None:
    Counted.open = 0
    env = SyncVectorEnv([lambda: Counted(False)] * 3, autoreset_mode=AutoresetMode.NEXT_STEP)
    run = logpi.train(env, out=tmp_path / "run", **SMALL)
    assert Counted.open == 3 and run.evaluate(4).returns.shape == (1, 4)
    assert measure(tell(run), 4).notes == () and Counted.open == 3
    with pytest.raises(InputError, match="2 seeds would step in the one vector environment"):
        logpi.train(env, seeds=2, **SMALL)
    env.close()
    assert Counted.open == 0


def test_one_that_its_owner_has_closed_is_told() -> None:
    make = [lambda: gymnasium.make("CartPole-v1")] * 3
    env = gymnasium.vector.AsyncVectorEnv(make, autoreset_mode=AutoresetMode.NEXT_STEP, context="forkserver")
    run = logpi.train(env, **SMALL)
    assert run.evaluate(3).returns.shape == (1, 3)
    env.close()
    with pytest.raises(EnvironmentFault, match=r"ClosedEnvironmentError .* as it was reset"):
        run.evaluate(3)
