"""Whatever is wrong gets one sentence with the cure, exit status 2, and no traceback."""

import json
from collections.abc import Callable
from pathlib import Path

import gymnasium
import pytest

from logpi.cli.main import main
from tests.cli.conftest import SMALL

CARTPOLE = ["train", "CartPole-v1"]
WRONG = {
    "command": (["trian"], "'trian' is no command of logpi: did you mean train?"),
    "command, far off": (
        ["xyz"],
        "the commands are train, resume, evaluate, watch, list, show, report",
    ),
    "no environment": (["train"], "ENV is missing"),
    "no environment, but a flag": (["train", "--steps", "5"], "ENV is missing"),
    "environment": (["train", "CartPole-v9"], "There is no environment 'CartPole-v9'; the nearest: CartPole-v1"),
    "two environments": ([*CARTPOLE, "Acrobot-v1"], "'Acrobot-v1' is one word too many"),
    "flag": ([*CARTPOLE, "--stepz", "5"], "--stepz is no flag of `logpi train`: did you mean --steps?"),
    "flag before the environment": (["train", "--jsno", "CartPole-v1"], "did you mean --json?"),
    "flag, far off": ([*CARTPOLE, "--xyz"], "--xyz is no flag of `logpi train`: logpi train --help lists them."),
    "short flag": ([*CARTPOLE, "-s", "3"], "-s is no flag"),
    "flag of another algorithm": ([*CARTPOLE, "--algorithm", "reinforce", "--clip", "0.1"], "--clip is no flag"),
    "value missing": ([*CARTPOLE, "--steps"], "--steps needs a value: write --steps N."),
    "value missing before a flag": ([*CARTPOLE, "--steps", "--json"], "--steps needs a value"),
    "value too many": ([*CARTPOLE, "--json=1"], "--json takes no value"),
    "no number": ([*CARTPOLE, "--steps", "abc"], "--steps is 'abc', but it must be a whole number"),
    "no whole number": ([*CARTPOLE, "--steps", "1.5"], "--steps is '1.5', but it must be a whole number"),
    "nothing": ([*CARTPOLE, "--steps="], "--steps is '', but it must be a whole number"),
    "not finite": ([*CARTPOLE, "--clip", "nan"], "--clip is 'nan', but it must be a number"),
    "no steps": ([*CARTPOLE, "--steps", "0"], "--steps is 0, but it must be 1 or more"),
    "no environments": ([*CARTPOLE, "--envs", "0"], "--envs is 0, but it must be 1 or more"),
    "discount": ([*CARTPOLE, "--gamma", "1.5"], "--gamma is 1.5, but it must be between 0 and 1"),
    "learning rate": ([*CARTPOLE, "--lr", "-1"], "--learning-rate is -1.0, but it must be between 0 and 1000000.0"),
    "width": ([*CARTPOLE, "--width", "0"], "--width is 0, but it must be between 1 and 65536"),
    "depth": ([*CARTPOLE, "--depth", "1000"], "--depth is 1000, but it must be between 0 and 128: give a value"),
    "spread": ([*CARTPOLE, "--initial-log-std", "99"], "--initial-log-std is 99.0, but it must be between -20 and 20"),
    "entropy": ([*CARTPOLE, "--entropy-coef", "-1"], "--entropy-coef is -1.0, but it must be between 0 and 1000000.0"),
    "minibatches": ([*CARTPOLE, "--num-minibatches", "7"], "--num-minibatches is 7, but a batch of 1024 segments"),
    "algorithm": ([*CARTPOLE, "--algorithm", "pop"], "--algorithm is 'pop', but it must be one of ppo, a2c, reinforce"),
    "credit": ([*CARTPOLE, "--credit", "gea"], "did you mean gae?"),
    "memory": ([*CARTPOLE, "--memory", "gruu"], "--memory is 'gruu', but it must be one of none, gru, lstm"),
    "no seeds": ([*CARTPOLE, "--seeds", "0"], "--seeds is 0, but it must be between 1 and 10000"),
    "seed": ([*CARTPOLE, "--seed", "-1"], "--seed is -1"),
    "episodes of the evaluation": ([*CARTPOLE, "--evaluate-episodes", "-1"], "--evaluate-episodes is -1"),
    "no run to evaluate": (["evaluate"], "RUN is missing"),
    "no such run": (["evaluate", "nowhere"], "nowhere/config.json does not exist"),
    "no episodes": (["evaluate", "nowhere", "--episodes", "0"], "--episodes is 0, but it must be 1 or more"),
    "no such run to watch": (["watch", "nowhere", "--video", "a.gif"], "nowhere/config.json does not exist"),
    "kind of video": (["watch", "nowhere", "--video", "a.avi"], "'a.avi', but it must end in .mp4 or .gif"),
    "video in a folder": (["watch", "nowhere", "--video", "a.gif", "--episodes", "x"], "--episodes is 'x'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(case: str, fails: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, sentence = WRONG[case]
    assert sentence in fails(*arguments)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []  # a run that never was leaves nothing


def test_a_folder_with_a_run_is_kept(fails: Callable[..., str], trained: Path) -> None:
    before = (trained / "config.json").read_bytes()
    assert "already holds a run" in fails("train", "CartPole-v1", *SMALL, "--out", str(trained))
    assert (trained / "config.json").read_bytes() == before


def test_a_file_is_no_folder(fails: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "cannot be written" in fails("train", "CartPole-v1", *SMALL, "--out", str(tmp_path / "file"))


class Odd(gymnasium.Env):
    """An environment whose observations are text."""

    observation_space = gymnasium.spaces.Text(5)
    action_space = gymnasium.spaces.Discrete(2)


def test_a_space_of_an_unknown_kind(fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gymnasium.registry, "Odd-v0", gymnasium.envs.registration.EnvSpec("Odd-v0", Odd))
    assert "Text" in fails("train", "Odd-v0", *SMALL)


def test_another_environment_with_other_spaces(fails: Callable[..., str], trained: Path) -> None:
    sentence = fails("evaluate", str(trained), "--env", "Pendulum-v1")
    assert "trained on CartPole-v1" in sentence and "evaluate it where the spaces are the same" in sentence


def test_damaged_configuration(fails: Callable[..., str], copied: Path) -> None:
    (copied / "config.json").write_text("{")
    assert "the run folder is damaged" in fails("evaluate", str(copied))


def test_damaged_policy(fails: Callable[..., str], copied: Path) -> None:
    policy = copied / "policy-seed0.safetensors"
    policy.write_bytes(policy.read_bytes()[:100])
    assert "the run folder is damaged" in fails("evaluate", str(copied))


def test_no_display(fails: Callable[..., str], trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert "write a video with --video FILE.mp4 or FILE.gif" in fails("watch", str(trained))


def test_a_seed_that_was_not_trained(fails: Callable[..., str], trained: Path, tmp_path: Path) -> None:
    sentence = fails("watch", str(trained), "--seed", "7", "--video", str(tmp_path / "a.gif"))
    assert "--seed is 7, but the run has the seeds 0, 1." in sentence


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ("gymnax:MemoryChain-bsuite", "gymnax has no picture of it: those of classic control and MinAtar, "),
        ("gymnax:Catch-bsuite", "gymnax:Catch-bsuite has Box"),
        ("probe:recall", "a probe"),
    ],
)
def test_environments_without_pictures(
    env: str, why: str, fails: Callable[..., str], copied: Path, tmp_path: Path
) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"env": env}))
    assert why in fails("watch", str(copied), "--video", str(tmp_path / "a.gif"))


@pytest.mark.parametrize(("kind", "package"), [("gif", "PIL"), ("mp4", "imageio_ffmpeg")])
def test_packages_for_video_are_named(
    kind: str, package: str, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    assert 'pip install "logpi[video]"' in fails("watch", "nowhere", "--video", f"a.{kind}")


def test_a_full_disk(trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was played is told, and that it could not be kept."""

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "evaluation.json")

    monkeypatch.setattr("logpi.runs.schema.write_json", full)
    assert main(["evaluate", str(trained), "--episodes", "2"]) == 0
    said = capsys.readouterr()
    assert "mean of seeds" in said.out and "(No space left on device): the numbers are not kept" in said.err
