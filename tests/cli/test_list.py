"""`logpi list` and `logpi show`: what there is, made of the registries themselves, and a run in the terminal."""

import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import logpi
from logpi import catalogue, InputError
from logpi.cli.list import table
from logpi.cli.main import main
from logpi.report import summary


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["list", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)[arguments[0]]


@pytest.mark.parametrize("what", catalogue.LISTS)
def test_every_list_is_a_table_and_json(
    what: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = listed(capsys, what)
    assert main(["list", what]) == 0
    said = capsys.readouterr()
    assert said.err == f"{len(rows):,} in the list\n"
    assert len(said.out.splitlines()) == (len(rows) + 1 if rows else 0)
    assert bool(rows) == (what != "runs")


def test_environments_are_those_of_the_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gymnasium.registry, "Mine-v7", gymnasium.envs.registration.EnvSpec("Mine-v7", "mine:Mine"))
    rows = {row["name"]: row for row in catalogue.environments()}
    assert set(gymnasium.registry) <= set(rows)
    mine = {"suite": "gymnasium", "runs": "on the host", "needs": "", "preset": ""}
    assert rows["Mine-v7"] == {"name": "Mine-v7"} | mine
    assert (rows["CartPole-v1"]["runs"], rows["CartPole-v1"]["preset"]) == ("compiled", "ppo")
    assert rows["probe:recall-box"]["runs"] == "compiled" and rows["Hopper-v5"]["preset"] == "ppo"


@pytest.mark.parametrize(
    ("package", "name", "cure"),
    [
        ("mujoco", "Hopper-v5", 'pip install "logpi[mujoco]"'),
        ("Box2D", "LunarLander-v3", 'pip install "logpi[box2d]"'),
        ("gymnax", "gymnax:*", 'pip install "logpi[gymnax]"'),
        ("ale_py", "ALE/*", 'pip install "logpi[atari]"'),
    ],
)
def test_what_is_missing_is_listed_with_what_brings_it(
    package: str, name: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == package else find(n, *a))
    (row,) = [row for row in catalogue.environments() if row["name"] == name]
    assert row["needs"] == cure


def test_estimators_and_algorithms_are_the_classes() -> None:
    kinds = [getattr(logpi, row["class"].removeprefix("logpi.")) for row in catalogue.estimators()]
    assert {logpi.Score, logpi.MeasureValued, logpi.LeaveOneOut, logpi.VIMCO} <= set(kinds)
    assert all(row["what"] and row["unbiased"] != ("Biased" in row["class"]) for row in catalogue.estimators())
    assert {row["name"]: row["class"] for row in catalogue.algorithms()} == {
        "ppo": "logpi.PPO", "a2c": "logpi.A2C", "reinforce": "logpi.REINFORCE",
        "trpo": "logpi.TRPO", "npg": "logpi.NPG", "impala": "logpi.IMPALA",
        "sac": "logpi.SAC", "td3": "logpi.TD3", "ddpg": "logpi.DDPG",
        "pgpe": "logpi.PGPE", "es": "logpi.ES", "ars": "logpi.ARS",
    }  # fmt: skip


def test_a_word_filters(capsys: pytest.CaptureFixture[str]) -> None:
    total = len(listed(capsys, "presets"))
    rows = listed(capsys, "presets", "LUNAR")
    assert [row["env"] for row in rows] == ["LunarLander-v3", "LunarLanderContinuous-v3"]
    assert main(["list", "presets", "no such word"]) == 0
    assert capsys.readouterr() == ("", f"0 in the list with 'no such word', of {total}\n")


def test_runs_are_found_below_a_folder(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained, tmp_path / "a" / "b" / "good")
    shutil.copytree(trained, tmp_path / "bad")
    (tmp_path / "bad/config.json").write_text("{")
    shutil.copytree(trained, tmp_path / "stopped")
    (tmp_path / "stopped/fault.json").write_text("{}")
    mean = {"value": 20.25, "low": 19.0, "high": 21.5}
    (tmp_path / "stopped/evaluation.json").write_text(json.dumps({"mean": mean}))
    shutil.copytree(trained, tmp_path / ".hidden")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text("{}")  # of another program
    rows = {Path(row["folder"]).name: row for row in listed(capsys, "runs", "--folder", str(tmp_path))}
    assert list(rows) == ["good", "bad", "stopped"]
    good = rows["good"]
    assert (good["env"], good["algorithm"], good["seeds"], good["status"]) == ("CartPole-v1", "PPO", 2, "complete")
    assert good["steps"] > 1024 and good["return"] is None
    assert rows["bad"]["status"].startswith("damaged: ") and "bad" in rows["bad"]["status"]
    assert rows["stopped"]["status"] == "stopped" and rows["stopped"]["return"] == mean
    assert main(["list", "runs", "stopped", "--folder", str(tmp_path)]) == 0
    assert "20.2 [19.0, 21.5]" in capsys.readouterr().out
    assert [Path(row["folder"]).name for row in catalogue.runs(trained)] == [trained.name]


def test_a_table_is_as_wide_as_it_may_be() -> None:
    rows = [{"name": "a" * 12, "empty": "", "count": 1234, "what": "some words " * 9, "last": None}] * 2
    lines = table(rows, 50).splitlines()
    assert max(map(len, lines)) <= 50 and lines[0].split() == ["name", "count", "what"] and "1,234" in lines[1]
    assert len(table(rows, None).splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["envz"],
            "WHAT is 'envz', but it must be one of envs, presets, algorithms, estimators, runs: did you mean ",
        ),
        ([], "WHAT is missing"),
        (["envs", "--folder", "x"], "only runs are in folders"),
        (["runs", "--folder", "nowhere"], "nowhere is no folder"),
        (["envs", "a", "b"], "'b' is one word too many"),
    ],
)
def test_wrong_arguments(arguments: list[str], sentence: str, fails: Callable[..., str]) -> None:
    assert sentence in fails("list", *arguments)


@pytest.mark.parametrize("width", [40, 80, 132])
@pytest.mark.parametrize("ascii", [False, True])
def test_a_run_is_shown_within_the_width(trained: Path, width: int, ascii: bool) -> None:
    text = summary(trained, width, ascii=ascii)
    assert max(map(len, text.replace(str(trained), "RUN").splitlines())) <= width
    words = " ".join(text.split())
    assert "PPO on CartPole-v1, 2 seeds: complete" in words and "learning_rate 0.001" in words
    assert "not evaluated: logpi evaluate" in words and ("┤" in text) == (not ascii)
    assert text.isascii() or not ascii


def test_show_tells_evaluation_and_what_is_wrong(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    interval = {"value": 20.25, "low": None, "high": None}
    told = {"deterministic": True, "episodes": 1, "mean": interval, "iqm": interval, "by_seed": {"0": interval}}
    (copied / "evaluation.json").write_text(json.dumps(told))
    (copied / "fault.json").write_text(json.dumps({"quantity": "reward", "update": 3, "seed": 1}))
    assert main(["show", str(copied)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "evaluation: return 20.2, 1 episode, likeliest actions" in text and "nan" not in text
    assert "fault: NaN stopped the training: the reward in rollout 3 of seed 1 was not finite." in text
    assert main(["show", str(copied), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "stopped" and found["settings"]["algorithm"]["kind"] == "PPO"
    assert found["evaluation"]["mean"]["value"] == 20.25 and found["findings"][0]["level"] == "fault"
    (copied / "evaluation.json").write_text("[1]")
    assert "evaluation.json holds [1], which is not what belongs there." in " ".join(summary(copied).split())


def test_a_run_in_memory_is_shown_too(trained: Path) -> None:
    text = summary(logpi.load(trained), 80)
    assert text.startswith("PPO on CartPole-v1, 2 seeds: complete") and "not evaluated" not in text


def test_no_run_is_one_sentence(fails: Callable[..., str], tmp_path: Path) -> None:
    assert "config.json does not exist" in fails("show", str(tmp_path))
    with pytest.raises(InputError, match="does not exist"):
        summary(tmp_path / "nowhere")
    assert not os.listdir(tmp_path)
