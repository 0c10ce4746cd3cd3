"""Whether a training is complete is a matter of the updates that were made, not of how it ended."""

import dataclasses
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gymnasium
import pytest

import logpi
from logpi.cli import train as train_module
from logpi.cli.main import main
from logpi.errors import EnvironmentFault, TrainingFault
from logpi.report.findings import findings
from logpi.report.folders import tell
from logpi.runs.folder import write_config
from logpi.runs.run import is_complete, read_config
from logpi.training import session
from logpi.training.signals import Interruption
from tests.training.test_environment_faults import Fragile
from tests.training.test_nan import Failing
from tests.training.test_resume import Recorder, train


class Healing(Fragile):
    """Breaks down once, in the third update of four environments with 16 steps a rollout."""

    broken = True

    def __init__(self):
        super().__init__("raises" if Healing.broken else "never")


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Path]:
    """A run that an environment ended after 2 of 10 updates; the environment has been mended since."""
    name = "HealingOnce-v0"
    gymnasium.register(name, entry_point=Healing, disable_env_checker=True)
    Healing.broken = True
    with pytest.raises(EnvironmentFault):
        train(tmp_path / "a run", f"gymnasium:{name}")
    Healing.broken = False
    yield tmp_path / "a run"
    del gymnasium.registry[name]


def test_what_an_environment_stopped_is_unfinished_and_the_command_resumes_it(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = tell(stopped)
    assert told.status == "unfinished" and len(told.run.models) == 1
    (sentence,) = (finding.text for finding in findings(told) if "finishing" in finding.text)
    assert f"logpi resume '{stopped}' goes on" in sentence
    own = dataclasses.replace(told, run=dataclasses.replace(told.run, named=None))  # no command knows its environment
    assert any("(logpi.resume, in Python, goes on)" in finding.text for finding in findings(own))
    assert main(["resume", str(stopped), "--evaluate-episodes", "0"]) == 0
    assert "nothing is left" not in capsys.readouterr().err
    assert len(logpi.load(stopped).history) == 10 and tell(stopped).status == "complete"


def test_a_summary_from_before_does_not_speak_for_what_was_resumed(tmp_path: Path) -> None:
    """NaN stops it, a resume that skips NaN is killed: neither the fault nor the end of the resume is in the folder."""
    Failing.steps = 0
    with pytest.raises(TrainingFault):
        train(tmp_path, Failing)
    with pytest.raises(SystemExit):
        logpi.resume(tmp_path, environment=Failing, on_nan="skip", callbacks=Recorder(2, sys.exit))
    assert read_config(tmp_path).summary and not (tmp_path / "fault.json").exists()
    assert not is_complete(read_config(tmp_path), tmp_path) and tell(tmp_path).status == "unfinished"


def test_a_signal_before_the_first_round_of_a_resume_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def at_once():
        event = Interruption()
        event.signal = signal.SIGTERM
        event.set()
        yield event

    with monkeypatch.context() as patch:
        patch.setattr(session, "catch_signals", at_once)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path)
        with pytest.raises(KeyboardInterrupt, match=r"after 0 of \d+ updates: what was learned is in") as stop:
            logpi.resume(tmp_path)
    run = stop.value.run
    assert stop.value.signal == signal.SIGTERM
    assert run.summary["interrupted"] is True and run.summary["signal"] == signal.SIGTERM
    assert not is_complete(run) and tell(tmp_path).status == "interrupted"
    assert len(logpi.resume(tmp_path).history) == 10 and is_complete(logpi.load(tmp_path))
    with monkeypatch.context() as patch:  # after the last round it interrupts nothing
        patch.setattr(session, "catch_signals", at_once)
        with pytest.raises(KeyboardInterrupt) as stop:
            logpi.resume(tmp_path)
    assert stop.value.run.summary["interrupted"] is False
    assert is_complete(read_config(tmp_path), tmp_path)


def test_a_folder_of_an_older_logpi_is_judged_by_its_rows(tmp_path: Path) -> None:
    run = train(tmp_path)
    before = {name: value for name, value in run.summary.items() if name != "updates"}
    write_config(tmp_path, dataclasses.replace(run, summary=before).config())
    assert is_complete(read_config(tmp_path), tmp_path)
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "metrics.jsonl").write_text("".join(rows[:-1]))
    assert not is_complete(read_config(tmp_path), tmp_path)


def test_a_complete_run_is_evaluated_as_asked_and_a_signal_then_leads_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a run"
    train(folder)
    assert main(["resume", str(folder), "--evaluate-episodes", "2", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["return_mean"] > 0 and (folder / "evaluation.json").exists()
    assert "nothing is left to do" in said.err and f"report '{folder}'" in said.err

    def interrupted(*arguments):
        signal.raise_signal(number)

    monkeypatch.setattr(train_module, "_evaluated", interrupted)
    for number in (signal.SIGINT, signal.SIGTERM):
        assert main(["resume", str(folder)]) == 128 + number
        assert f"evaluate '{folder}'" in capsys.readouterr().err
