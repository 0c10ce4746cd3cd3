"""What went wrong in trainings that last, are interrupted, or are given something wrong: each was a defect once."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from pathlib import Path

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi import InputError
from logpi.cli.main import main
from logpi.errors import EnvironmentFault, TrainingFault
from logpi.evaluation.episodes import follow, no_episodes
from logpi.explain import run_page
from logpi.models import make_actor_critic
from logpi.progress.console import ProgressTracker
from logpi.progress.events import Compiled, Event, Planned
from logpi.report import page
from logpi.report.folders import tell
from logpi.runs.journals import read_times, TIMES
from logpi.runs.metrics import recent_return
from logpi.runs.options import Every
from logpi.trajectory import Trajectory
from tests.reliability.folders import run as blank_run

SMALL = {"num_envs": 2, "rollout_length": 8}


class Line(gymnasium.Env):
    """Ten steps; what the `at`-th step of all gives is the test's affair. Counts what is made and closed."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    open = 0

    def __init__(self, at: int = 10**9, obs: float = 0.0, reward: float = 1.0, error: Exception | None = None):
        self.at, self.odd, self.error, self.steps, self.time = at, (obs, reward), error, 0, 0
        Line.open += 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps, self.time = self.steps + 1, self.time + 1
        obs, reward = self.odd if self.steps == self.at else (0.0, 1.0)
        if self.steps == self.at and self.error is not None:
            raise self.error
        return np.full(2, obs, np.float32), reward, False, self.time >= 10, {}

    def close(self):
        Line.open -= 1


def test_many_quick_updates_on_the_host() -> None:
    """The number of updates in a round used to grow without bound where a round is one update."""
    settings = logpi.Settings(logpi.REINFORCE(), steps=500, num_envs=1, rollout_length=1, log_every=1)
    run = logpi.train(Line, settings=settings)
    assert len(run.history) == 500


@pytest.mark.parametrize("how", ["well", "an error", "no model"])
def test_every_environment_is_closed(how: str) -> None:
    Line.open = 0
    error = RuntimeError("broken") if how == "an error" else None
    model = (lambda *given: 3) if how == "no model" else None
    told = {"well": contextlib.nullcontext(), "an error": pytest.raises(EnvironmentFault, match="broken")}
    with told.get(how, pytest.raises(InputError, match="model gave 3")):
        logpi.train(lambda: Line(at=20, error=error), steps=64, model=model, **SMALL)
    assert Line.open == 0


def test_a_return_beyond_all_squares_is_left_out() -> None:
    """On its way to the optimiser it becomes infinite; the update is dropped, and the sums of returns go on."""
    run = logpi.train(lambda: Line(at=5, reward=1e30), steps=160, on_nan="skip", **SMALL)
    assert recent_return(run.history) is not None and len(run.history) == 10


def test_a_spread_beside_large_returns_is_seen() -> None:
    """The squares of returns near a million take all digits of 32 bits; their spread about 1 is still there."""
    spread = {"return_mean": 1e6, "return_squares": 4 * 1e12 + 4.0, "episodes": 4}
    found = recent_return([spread])
    assert found is not None and found[0] == 1e6 and abs(found[1] - (4 / 3 / 4) ** 0.5) < 1e-3


def trajectory(reward: list[float], **flags: list[int]) -> Trajectory:
    """One stream of rows with these rewards; `end`, `start` and `invalid` are the places of flags."""
    nothing = jnp.zeros((1, len(reward)))
    marks = {name: jnp.isin(jnp.arange(len(reward)), jnp.array(flags.get(name, [-1])))[None] for name in _FLAGS}
    return Trajectory(
        nothing, nothing, nothing, jnp.array([reward]), nothing > 0, marks["end"], marks["start"], ~marks["invalid"],
        last_obs=jnp.zeros(1), last_start=jnp.zeros(1, bool), memory=(),
    )  # fmt: skip


_FLAGS = ("end", "start", "invalid")


def test_an_episode_with_a_reward_that_is_none_has_no_return() -> None:
    rows, after = follow(trajectory([1.0, jnp.nan], start=[0]), no_episodes(1))
    assert float(after.reward[0]) == 1.0 and float(after.length[0]) == 2.0
    rows, _ = follow(trajectory([1.0, 0.0, 1.0, 1.0], end=[0, 3], invalid=[1], start=[2]), after)
    assert rows.ended[0].tolist() == [True, False, False, True]
    assert np.isnan(rows.total_reward[0, 0]) and float(rows.total_reward[0, 3]) == 2.0


def test_an_episode_that_was_broken_off_is_not_joined_to_the_next() -> None:
    """An environment that is made anew in the first row of a rollout has no row before it that could be cut."""
    _, after = follow(trajectory([1.0, 1.0, 1.0], start=[0]), no_episodes(1))
    rows, _ = follow(trajectory([0.0, 1.0, 1.0], invalid=[0], start=[1], end=[2]), after)
    assert float(rows.total_reward[0, 2]) == 2.0 and float(rows.length[0, 2]) == 2.0


def test_nan_in_the_last_observation_is_the_environments() -> None:
    with pytest.raises(TrainingFault, match=r"The observation is nan .* at step 8 of it"):
        logpi.train(lambda: Line(at=8, obs=np.nan), steps=64, num_envs=1, rollout_length=8)


def test_nan_in_the_first_update_leaves_a_folder_that_can_be_read(tmp_path: Path, capsys) -> None:
    """The command used to take back a folder of which no row had come, with the policy that it said was saved."""
    gymnasium.register("Broken-v0", lambda: Line(at=3, obs=np.nan))
    flags = "--steps 64 --envs 2 --rollout-length 8 --num-minibatches 1 --evaluate-episodes 0"
    assert main(["train", "gymnasium:Broken-v0", "--out", str(tmp_path / "run"), *flags.split()]) == 3
    assert "what was learned before it is kept" in capsys.readouterr().err
    assert len(logpi.load(tmp_path / "run").models) == 1


def test_what_was_there_before_outlives_a_mistake(tmp_path: Path) -> None:
    logpi.train("CartPole-v1", steps=64, out=tmp_path, **SMALL)
    with pytest.raises(InputError, match="model gave 3"):
        logpi.train("CartPole-v1", steps=64, out=tmp_path, overwrite=True, model=lambda *given: 3, **SMALL)
    assert len(logpi.load(tmp_path).history) == 4


def killed(event: Event) -> None:
    """Ends the training as soon as it has been compiled, as a kill would."""
    if isinstance(event, Compiled):
        raise KeyboardInterrupt


def test_a_run_of_an_own_model_says_so_from_the_start(tmp_path: Path) -> None:
    def own(obs_space, action_space, key):
        return eqx.tree_at(lambda m: m, make_actor_critic(obs_space, action_space, key=key), replace_fn=lambda m: m)

    (tmp_path / "note").write_text("")  # of an empty folder, what an error leaves would be taken back
    with pytest.raises(KeyboardInterrupt):
        logpi.train("CartPole-v1", steps=64, out=tmp_path, model=own, callbacks=killed, **SMALL)
    with pytest.raises(InputError, match="give one like it as model="):
        logpi.resume(tmp_path)


def test_a_resumed_run_is_no_longer_stopped(tmp_path: Path) -> None:
    with pytest.raises(TrainingFault):
        logpi.train(lambda: Line(at=20, obs=np.nan), steps=96, out=tmp_path, **SMALL)
    assert tell(tmp_path).status == "stopped"
    (tmp_path / "evaluation.json").write_text("{}")
    logpi.resume(tmp_path, environment=Line)
    assert tell(tmp_path).status == "complete"
    assert not (tmp_path / "fault.json").exists() and not (tmp_path / "evaluation.json").exists()


def test_times_are_those_of_the_whole_training(tmp_path: Path) -> None:
    run = logpi.train(Line, steps=96, out=tmp_path, network=logpi.Network(width=7, depth=5), **SMALL)
    lines = read_times(tmp_path)
    assert abs(lines[-1]["seconds"] - run.summary["train_seconds"]) < 0.01
    assert lines[0]["seconds"] < run.summary["compile_seconds"]  # compiling is no training


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_times_that_lead_elsewhere_are_refused(what: str, tmp_path: Path) -> None:
    run = blank_run()
    run.save(tmp_path / "run")
    if what == "link":
        (tmp_path / "run" / TIMES).symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(tmp_path / "run" / TIMES)
    with pytest.raises(InputError, match=r"symbolic link|no plain file"):
        read_times(tmp_path / "run")
    assert not (tmp_path / "elsewhere").exists()


def test_no_module_is_imported_for_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "stranger.py").write_text("raise SystemExit('a stranger was let in')")
    blank_run(env="stranger:CartPole-v1").save(tmp_path / "run")
    assert "the module &#x27;stranger&#x27; would be imported" in page(tmp_path / "run")
    with pytest.raises(InputError, match="the module 'stranger' would be imported"):
        run_page(tmp_path / "run")
    assert "stranger" not in sys.modules


def test_another_environment_must_fit(tmp_path: Path) -> None:
    blank_run().save(tmp_path / "run")
    with pytest.raises(InputError, match="trained on CartPole-v1"):
        run_page(tmp_path / "run", env="Acrobot-v1")
    assert "trained on CartPole-v1" in page(tmp_path / "run", env="Acrobot-v1")


@pytest.mark.parametrize("episodes", [0, -3, True])
def test_a_number_of_episodes_is_whole(episodes: int) -> None:
    with pytest.raises(InputError, match="episodes is"):
        blank_run().evaluate(episodes)


@pytest.mark.parametrize("wrong", [{"updates": 0}, {"seconds": 0.0}, {"seconds": float("nan")}])
def test_how_often_is_checked(wrong: dict) -> None:
    with pytest.raises(InputError, match="must be"):
        Every(**wrong)


def test_progress_goes_on_where_a_training_was_resumed() -> None:
    plan = Planned("Env", "", "PPO", (0, 1), 800, 1, 8, "", "cpu", None)  # a hundred updates of each seed
    tracker = ProgressTracker(plan)
    for i in (51, 52):
        tracker.add([{"seed": s, "iteration": i, "return_mean": None} for s in (0, 1)], 16 * i, (i - 50) * 0.1)
    now = tracker.snapshot()
    assert abs(now.done - 0.52) < 1e-9 and abs(now.steps_per_second - 160) < 2
    assert abs(now.seconds_left - 4.8) < 0.1


def test_progress_knows_how_much_the_first_rows_are_of() -> None:
    """Of a training that is resumed after 400 of its 800 updates, each row of which is of 16."""
    tracker = ProgressTracker(Planned("Env", "", "PPO", (0,), 800, 1, 1, "", "cpu", None, every=16))
    tracker.add([{"seed": 0, "iteration": i, "return_mean": None} for i in (416, 432, 448)], 448, 4.8)
    now = tracker.snapshot()
    assert now.steps_per_second == pytest.approx(10) and now.seconds_left == pytest.approx(35.2)


def test_a_run_prints_as_a_line() -> None:
    text = repr(blank_run())
    assert text == "<Run of PPO on CartPole-v1, seed 0: 8 steps>"
    assert "\n" not in str(dataclasses.replace(blank_run(), seeds=(0, 1))) and json.dumps(text)
    assert jax.tree.leaves(blank_run().models)
