"""Evaluations on the way: when they are, what is kept of them, and when they end a training."""

import dataclasses
import os
import signal
import time
from pathlib import Path
from typing import Any

import gymnasium
import jax
import numpy as np
import pytest

import logpi
from logpi import EvaluationPlan, InputError
from logpi.progress.events import Advanced, Evaluated, Event
from logpi.report.digest import summary
from logpi.runs.run import Best
from logpi.training import evaluating
from tests.training.test_resume import train

PLAN = EvaluationPlan(3, episodes=4)


def of_evaluations(folder: Path) -> dict[str, bytes]:
    """What a folder holds of policies and evaluations."""
    kept = [*folder.glob("policy-*"), folder / "evaluations.jsonl", folder / "metrics.jsonl"]
    return {path.name: path.read_bytes() for path in kept}


def same(one: Any, other: Any) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, logpi.Run, list[Event]]:
    """Two seeds, evaluated at each third update of ten."""
    heard: list[Event] = []
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    return folder, train(folder, seeds=2, evaluate_every=PLAN, callbacks=heard.append), heard


def test_they_are_where_they_should_be_and_change_nothing(whole: Any, tmp_path: Path) -> None:
    _, run, heard = whole
    assert [(row["iteration"], row["seed"]) for row in run.evaluations] == [
        (iteration, seed) for iteration in (0, 3, 6, 9, 10) for seed in (0, 1)
    ]
    told = [row for event in heard if isinstance(event, Evaluated) for row in event.rows]
    assert told == list(run.evaluations) and all(row["episodes"] == 4 for row in told)
    steps = {(row["seed"], row["iteration"]): row["steps"] for row in run.history} | {(0, 0): 0, (1, 0): 0}
    assert all(row["steps"] == steps[row["seed"], row["iteration"]] for row in told)
    alone = train(tmp_path / "run", seeds=2)
    assert alone.history == run.history and same(alone.models, run.models)
    assert run.summary["evaluation_seconds"] > 0 == alone.summary["evaluation_seconds"]


def test_the_best_are_kept_of_each_seed(whole: Any, tmp_path: Path) -> None:
    folder, run, _ = whole
    for seed, best in zip(run.seeds, run.bests, strict=True):
        mine = [row for row in run.evaluations if row["seed"] == seed]
        assert best.return_mean == np.float32(max(row["return_mean"] for row in mine))
        first = next(row for row in mine if np.float32(row["return_mean"]) == best.return_mean)
        assert (best.iteration, True) == (first["iteration"], first["best"])
    assert same(logpi.load(folder, best=True).models, run.best.models) and same(logpi.load(folder).models, run.models)
    logpi.load(folder).save(tmp_path / "copy")
    assert of_evaluations(tmp_path / "copy") == of_evaluations(folder)
    np.testing.assert_array_equal(
        run.best.evaluate(3, seed=5).returns, logpi.load(tmp_path / "copy", best=True).evaluate(3, seed=5).returns
    )


def test_a_training_that_is_resumed_finds_the_same(whole: Any, tmp_path: Path) -> None:
    folder, run, _ = whole

    def breaks(event: Event) -> None:
        if isinstance(event, Evaluated) and event.rows[0]["iteration"] == 6:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(tmp_path / "run", seeds=2, evaluate_every=PLAN, callbacks=breaks)
    resumed = logpi.resume(tmp_path / "run")
    assert of_evaluations(tmp_path / "run") == of_evaluations(folder) and list(resumed.evaluations) == list(
        run.evaluations
    )


def test_one_that_is_interrupted_is_made_when_the_training_goes_on(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, _ = whole
    play, played = evaluating.run_episodes, []

    def interrupted(*arguments: Any) -> Any:
        played.append(arguments)
        if len(played) == 4:  # the second seed, at update 3
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)  # until the main thread has met it
        return play(*arguments)

    monkeypatch.setattr(evaluating, "run_episodes", interrupted)
    with pytest.raises(KeyboardInterrupt) as stop:
        train(tmp_path / "run", seeds=2, evaluate_every=PLAN)
    found: Any = stop.value
    assert [(row["iteration"], row["seed"]) for row in found.run.evaluations] == [(0, 0), (0, 1), (3, 0)]
    logpi.resume(tmp_path / "run")
    assert of_evaluations(tmp_path / "run") == of_evaluations(folder)


def test_what_the_disk_does_not_take_is_written_at_the_end(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, _ = whole
    save, refused = Best.save, []

    def full(best: Best, path: Path) -> None:
        if len(refused) < 9:
            refused.append(path)
            raise OSError(28, "No space left on device")
        save(best, path)

    def take_it_away(event: Event) -> None:
        if isinstance(event, Evaluated) and event.rows[0]["iteration"] == 3:
            (tmp_path / "run" / "evaluations.jsonl").unlink()
            (tmp_path / "run" / "evaluations.jsonl").mkdir()
        if isinstance(event, Advanced) and event.rows[-1]["iteration"] == 10:
            (tmp_path / "run" / "evaluations.jsonl").rmdir()

    monkeypatch.setattr(Best, "save", full)
    refused += [Path()] * (9 - sum(row["best"] for row in whole[1].evaluations))
    train(tmp_path / "run", seeds=2, evaluate_every=PLAN, callbacks=take_it_away)
    assert len(refused) == 9 and of_evaluations(tmp_path / "run") == of_evaluations(folder)


def test_a_damaged_best_policy_is_named_and_looked_for_anew(whole: Any, tmp_path: Path) -> None:
    run = train(tmp_path / "run", evaluate_every=dataclasses.replace(PLAN, every=100), checkpoint_every=5)
    path = tmp_path / "run" / "policy-seed0-best.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"-best\.safetensors has numbers of another checksum"):
        logpi.load(tmp_path / "run", best=True)
    assert same(logpi.load(tmp_path / "run").models, run.models)
    warned: list[Any] = []
    assert logpi.resume(tmp_path / "run", callbacks=warned.append).evaluations == run.evaluations
    assert any("best policy so far is passed over" in getattr(event, "sentence", "") for event in warned)


def test_one_ends_a_training_that_has_reached_its_return(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, stop_at=8.0)  # an untrained policy earns some 22
    run = train(tmp_path / "run", evaluate_every=plan)
    assert run.summary["stopped"] == "the mean return has reached 8, with a confidence of 95 %"
    assert (
        run.summary["updates"] == 0
        and len(run.evaluations) == 1
        and run.evaluations[0]["episodes"] == 4 < run.evaluations[0]["evidence"]["count"]
    )
    assert "--stop-at none goes on" in summary(tmp_path / "run", 500)
    again = logpi.resume(tmp_path / "run")
    assert again.summary["updates"] == 0 and list(again.evaluations) == list(run.evaluations)
    on = logpi.resume(tmp_path / "run", stop_at=None)
    assert on.summary["updates"] == 10 and not on.summary["stopped"]
    assert on.evaluation_plan == dataclasses.replace(plan, stop_at=None)
    assert logpi.load(tmp_path / "run").evaluation_plan == on.evaluation_plan
    assert on.history == train(tmp_path / "other").history


def test_another_plan_starts_with_no_evidence(tmp_path: Path) -> None:
    """What was bet on another threshold says nothing of this one."""
    train(tmp_path / "run", evaluate_every=dataclasses.replace(PLAN, stop_at=8.0))
    run = logpi.resume(tmp_path / "run", stop_at=400)
    assert run.summary["updates"] == 10 and not run.summary["stopped"]
    assert ["evidence" in row for row in run.evaluations] == [False, True, True, True, True]


def test_returns_that_are_no_numbers_are_no_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        returns, lengths = play(*arguments)
        return (returns * np.nan if len(played) < 2 else returns), played.append(0) or lengths

    play, played = evaluating.run_episodes, []
    monkeypatch.setattr(evaluating, "run_episodes", broken)
    run = train(tmp_path / "run", evaluate_every=PLAN)
    assert [row["return_mean"] is None for row in run.evaluations] == [True, True, False, False, False]
    assert run.bests[0].iteration >= 6 and not run.evaluations[0]["best"]
    assert logpi.load(tmp_path / "run", best=True).models


def test_no_module_is_imported_that_only_a_folder_names(tmp_path: Path) -> None:
    train(tmp_path / "run", evaluate_every=PLAN, checkpoint_every=5)
    config = tmp_path / "run" / "config.json"
    text = config.read_text()
    config.write_text(text.replace('"env": null', '"env": "hostile_module:Env-v0"'))
    assert config.read_text() != text
    cure = r"would be imported: .*evaluate_every=logpi.EvaluationPlan\(3, env='hostile_module:Env-v0'\) in Python; on"
    with pytest.raises(InputError, match=f"the module 'hostile_module' {cure}"):
        logpi.resume(tmp_path / "run")


def test_a_return_that_is_not_reached_ends_nothing() -> None:
    run = logpi.train("CartPole-v1", num_envs=4, rollout_length=16, steps=640, stop_at=400)
    assert run.summary["updates"] == 10 and run.evaluation_plan == EvaluationPlan(1, stop_at=400.0)
    assert len(run.evaluations) == 11 and run.summary["stopped"] == ""


def test_environments_of_their_own(tmp_path: Path) -> None:
    def short() -> Any:
        return gymnasium.make("CartPole-v1", max_episode_steps=7)

    run = train(tmp_path / "run", evaluate_every=dataclasses.replace(PLAN, env=short), checkpoint_every=5)
    assert {row["length_mean"] for row in run.evaluations} == {7.0}
    with pytest.raises(InputError, match=r"evaluated on the way in an environment of your own .* again"):
        logpi.resume(tmp_path / "run")
    assert logpi.resume(tmp_path / "run", evaluate_every=dataclasses.replace(PLAN, env=short)).bests
    with pytest.raises(
        InputError,
        match=r"evaluate_every has the environment Acrobot-v1 .*EvaluationPlan\(\.\.\., env=\.\.\.\) one with the same",
    ):
        train(tmp_path / "other", evaluate_every=dataclasses.replace(PLAN, env="Acrobot-v1"))
    assert not (tmp_path / "other").exists()


def test_episodes_without_an_end_stop_the_training_with_what_was_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("logpi.evaluation.evaluate.MAX_EPISODE_STEPS", 1)
    with pytest.raises(InputError, match="did not end within 1 steps") as stop:
        logpi.train("Acrobot-v1", num_envs=4, rollout_length=16, steps=640, evaluate_every=2)
    found: Any = stop.value
    assert found.run.models


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"evaluate_every": 0}, "evaluate_every is 0, but it must be 1 or more"),
        ({"evaluate_every": True}, "evaluate_every is True, but it must be a whole number"),
        ({"stop_at": float("nan")}, "stop_at is nan, but it must be"),
    ],
)
def test_bad_arguments(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        logpi.train("CartPole-v1", **given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"episodes": 0}, "episodes is 0"),
        ({"confidence": 1.0}, "confidence is 1.0"),
        ({"stop_at": 5, "lowest_return": 5}, "lowest_return is 5.0, but it must be below stop_at"),
    ],
)
def test_bad_plans(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        EvaluationPlan(1, **given)


def test_seeds_that_are_apart_each_stop_at_their_own_evaluation(whole: Any, tmp_path: Path) -> None:
    """After a fault one seed is further than another."""
    apart: list[Any] = []

    def put_apart(event: Event) -> None:
        if isinstance(event, Evaluated) and not apart:
            at = event.training
            apart.append(at.loop.advance(at.states[1], 2, None).state)
            at.states[1] = apart[0]

    run = train(tmp_path / "run", seeds=2, evaluate_every=PLAN, callbacks=put_apart)
    mine = {seed: [row["iteration"] for row in run.evaluations if row["seed"] == seed] for seed in (0, 1)}
    assert mine == {0: [0, 3, 6, 9, 10], 1: [0, 3, 6, 9, 10]}


def test_a_vector_environment_of_the_users_is_not_stepped_amid_its_training() -> None:
    envs = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 2)
    with pytest.raises(InputError, match="would step the one vector environment"):
        logpi.train(envs, steps=64, rollout_length=16, evaluate_every=1)
    with pytest.raises(InputError, match="would step the one vector environment"):
        logpi.train(envs, steps=64, rollout_length=16, evaluate_every=dataclasses.replace(PLAN, env=envs))
    plan = dataclasses.replace(PLAN, env="CartPole-v1")
    assert len(logpi.train(envs, steps=64, rollout_length=16, evaluate_every=plan).evaluations) == 2


def test_without_evaluations_there_is_no_best(tmp_path: Path) -> None:
    run = train(tmp_path / "run")
    for best in (lambda: run.best, lambda: logpi.load(tmp_path / "run", best=True)):
        with pytest.raises(InputError, match=r"no best policies.*evaluate_every"):
            best()
