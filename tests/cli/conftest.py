"""A small run, trained once by the command itself, for the tests to evaluate, watch, draw and damage."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from logpi.cli.main import main

SMALL = ["--steps", "1024", "--envs", "4", "--rollout-length", "64", "--num-epochs", "1", "--width", "8"]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two seeds on CartPole-v1, without an evaluation."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    arguments = ["train", "CartPole-v1", *SMALL, "--seeds", "2", "--evaluate-episodes", "0", "--out", str(folder)]
    assert main(arguments) == 0
    return folder


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be changed."""
    return Path(shutil.copytree(trained, tmp_path / "copied"))


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail, and returns its one sentence."""

    def run(*arguments: str) -> str:
        status = main(list(arguments))
        said = capsys.readouterr()
        assert status == 2 and said.out == "" and "Traceback" not in said.err
        lines = said.err.splitlines()
        assert lines[-1].startswith("logpi: ") and lines[-1].endswith((".", "?", ")", "]"))
        return lines[-1]

    return run
