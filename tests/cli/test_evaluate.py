"""`logpi evaluate`: the table, the JSON, and the file."""

import json
from pathlib import Path

import pytest

from logpi.cli.main import main
from logpi.runs.folder import locked


def test_a_table_with_every_seed(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / ".evaluation.json.0a1b").write_text("")
    assert main(["evaluate", str(copied), "--episodes", "5"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "CartPole-v1, actions drawn as in training, 5 episodes a seed"
    assert [line[:14].strip() for line in lines[3:]] == ["seed 0", "seed 1", "mean of seeds", "IQM of seeds"]
    evaluation = json.loads((copied / "evaluation.json").read_text())
    assert f"{evaluation['mean']['value']:.1f}" in lines[5]
    assert not list(copied.glob(".*"))  # what an evaluation that was killed had left is gone
    assert str(copied / "evaluation.json") in said.err


def test_nothing_that_a_training_writes_is_taken_from_it(copied: Path) -> None:
    (copied / ".metrics.jsonl.0a1b").write_text("")
    with locked(copied):
        assert main(["evaluate", str(copied), "--episodes", "2"]) == 0
    assert (copied / "evaluation.json").exists() and (copied / ".metrics.jsonl.0a1b").exists()


def test_json_is_all_of_stdout(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(copied), "--episodes", "5", "--deterministic", "--json"]) == 0
    evaluation = json.loads(capsys.readouterr().out)
    assert evaluation["deterministic"] is True and evaluation["episodes"] == 5
    assert list(evaluation["by_seed"]) == ["0", "1"]


def test_another_environment_leaves_the_file_alone(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(copied), "--episodes", "2", "--env", "gymnasium:CartPole-v1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["env"] == "gymnasium:CartPole-v1"
    assert not (copied / "evaluation.json").exists()


def test_what_json_lacks_is_null(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(copied), "--episodes", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["by_seed"]["0"]["low"] is None
