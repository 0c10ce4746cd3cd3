"""`logpi train`: what it says, what it leaves, and what it prints for a program to read."""

import json
import math
from pathlib import Path

import jax
import pytest

import logpi
from logpi.cli.main import main
from logpi.envs import resolve
from logpi.training.precompilation import compile_evaluation
from tests.cli.conftest import SMALL

KEYS = [
    "env", "algorithm", "seeds", "steps", "compile_seconds", "train_seconds", "steps_per_second", "return_mean",
    "return_error", "out",
]  # fmt: skip


def test_one_json_object_on_stdout_and_words_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    flags = ["--evaluate-episodes", "8", "--seed", "3", "--verbose", "--json", "--out", str(folder)]
    assert main(["train", "CartPole-v1", *SMALL, *flags]) == 0
    said = capsys.readouterr()
    (line,) = said.out.splitlines()
    summary = json.loads(line)
    assert list(summary) == KEYS
    assert (summary["env"], summary["algorithm"], summary["seeds"]) == ("CartPole-v1", "ppo", [3])
    assert 0 < summary["steps"] <= 1024 and summary["out"] == str(folder)
    assert summary["return_mean"] > 0 and summary["return_error"] >= 0
    assert all(isinstance(summary[name], float) for name in KEYS[4:9])
    first, *rest = said.err.splitlines()
    assert first.startswith("CartPole-v1 with PPO, seed 3: 1,024 steps, 4 environments x 64 steps a rollout")
    text = "\n".join(rest)
    for piece in (
        "gymnasium:CartPole-v1 is the original", "rl-zoo", "--width 8", str(folder), "compiling", "compiled in", "100%",
        "entropy", "signal/noise", "┤", "8 episodes", f"saved in {folder}",
    ):  # fmt: skip
        assert piece in text, piece
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert evaluation["mean"]["value"] == pytest.approx(summary["return_mean"])
    assert evaluation["episodes"] == 8 and evaluation["deterministic"] is False


def test_without_flags_for_it_nothing_is_on_stdout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "CartPole-v1", *SMALL, "--evaluate-episodes", "0"]) == 0
    assert capsys.readouterr().out == ""
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("CartPole-v1-ppo-") and not (folder / "evaluation.json").exists()
    assert logpi.load(folder).seeds == (0,)


def test_flags_are_in_the_configuration(trained: Path) -> None:
    settings = logpi.load(trained).settings
    assert (settings.num_envs, settings.rollout_length, settings.network.width) == (4, 64, 8)
    assert settings.algorithm.num_epochs == 1  # type: ignore[attr-defined]
    assert "changed: --steps 1024 --envs 4 --num-epochs 1 --width 8" in settings.source


def test_several_seeds_have_an_error_over_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--seeds", "2", "--evaluate-episodes", "4", "--json", "--out", str(tmp_path / "run")]
    assert main(["train", "CartPole-v1", *SMALL, *flags]) == 0
    summary = json.loads(capsys.readouterr().out)
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    first, second = (evaluation["by_seed"][seed]["value"] for seed in ("0", "1"))
    assert summary["seeds"] == [0, 1]
    assert summary["return_mean"] == pytest.approx((first + second) / 2)
    assert summary["return_error"] == pytest.approx(abs(first - second) / 2)


def test_a_single_episode_has_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--evaluate-episodes", "1", "--json", "--out", str(tmp_path / "run")]
    assert main(["train", "CartPole-v1", *SMALL, *flags]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["return_error"] is None and math.isfinite(summary["return_mean"])


def test_environments_on_the_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--steps", "64", "--envs", "2", "--rollout-length", "32", "--num-epochs", "1", "--num-minibatches", "1"]
    flags = ["--evaluate-episodes", "2", "--json", "--out", str(tmp_path / "run")]
    assert main(["train", "gymnasium:CartPole-v1", "--algorithm", "ppo", *small, *flags]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["env"] == "gymnasium:CartPole-v1" and "compiled in" in said.err


def test_the_evaluation_is_precompiled(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    run, source = logpi.load(trained, environment=resolve("CartPole-v1")), resolve("CartPole-v1")
    episodes = 37  # as many environments as nothing else has here
    with jax.log_compiles():
        compile_evaluation(source, run.settings, episodes)
        assert "_run" in caplog.text
        caplog.clear()
        run.evaluate(episodes)
    assert "Compiling" not in caplog.text
