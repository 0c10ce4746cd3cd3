"""Ctrl-C, and readers that go away, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import logpi
from logpi.cli.terminal import uninterrupted
from tests.cli.conftest import SMALL

RUN = [sys.executable, "-c", "import sys; from logpi.cli.main import main; sys.exit(main())"]


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Until a file has something in it, or the process has ended."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None and not (path.exists() and path.stat().st_size):
        time.sleep(0.05)


def test_ctrl_c_saves_what_was_learned(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*RUN, "train", "CartPole-v1", *SMALL, "--steps", "1e9", "--json", "--out", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(folder / "metrics.jsonl", process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err and "interrupted" in err and f"saved in {folder}" in err
    summary = json.loads(out)
    run = logpi.load(folder)
    assert 0 < summary["steps"] < 1e9 and summary["return_mean"] is None
    assert run.summary["interrupted"] is True and run.history[-1]["steps"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_training_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*RUN, "train", "CartPole-v1", *SMALL, "--out", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()  # what it will do; then it compiles
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number and "Traceback" not in said
    assert not list(folder.glob("*"))


def test_a_reader_that_goes_away_does_not_end_the_training(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*RUN, "train", "CartPole-v1", *SMALL, "--evaluate-episodes", "2", "--out", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.stderr.close()
        assert process.wait(timeout=120) == 0
    assert (folder / "evaluation.json").exists() and logpi.load(folder).history


def test_ctrl_c_waits_for_the_end_of_an_import() -> None:
    done = []

    def interrupted() -> None:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("imported")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["imported"]
