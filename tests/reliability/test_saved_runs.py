"""What a run folder says when it is damaged, or hostile, or its place is gone: in a sentence, and nothing is lost."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi import InputError
from logpi.cli.main import main
from logpi.envs.named import Named
from logpi.progress.events import Advanced, Warned
from logpi.report import page
from logpi.runs.arrays import load_arrays, save_arrays
from logpi.runs.checkpoints import listed, write_checkpoint
from logpi.runs.metrics import MetricsLog
from logpi.runs.run import read_config
from tests.reliability.folders import config, POLICY, ROW
from tests.reliability.folders import run as blank_run

TINY: dict[str, Any] = {
    "num_envs": 2, "rollout_length": 4, "steps": 64, "network": logpi.Network(width=4, depth=1),
    "algorithm": logpi.A2C(),
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blank_run().save(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "run"))


def test_every_flipped_bit_of_a_policy_is_seen_or_harmless(tmp_path: Path) -> None:
    """Of the numbers, each; of the words around them, those of the checksum's own name may pass."""
    path, tree = tmp_path / "policy.safetensors", {"w": jnp.arange(6.0), "b": jnp.ones(2, jnp.bfloat16)}
    save_arrays(path, tree)
    data, unseen = path.read_bytes(), []
    for i in range(0, 8 * len(data), 3):
        changed = bytearray(data)
        changed[i // 8] ^= 1 << i % 8
        path.write_bytes(changed)
        with contextlib.suppress(InputError):
            back = load_arrays(path, tree)
            unseen.append(i)
            assert all(map(np.array_equal, jax.tree.leaves(back), jax.tree.leaves(tree)))
    assert len(unseen) < 30 and max(unseen, default=0) < 8 * (len(data) - 28)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_policy_that_is_not_finite_is_refused(value: float, tmp_path: Path) -> None:
    run = blank_run()
    broken = jax.tree.map(lambda x: jnp.full_like(x, value) if isinstance(x, jax.Array) else x, run.models[0])
    dataclasses.replace(run, models=(broken,)).save(tmp_path / "run")
    with pytest.raises(InputError, match="has parameters that are not finite"):
        logpi.load(tmp_path / "run")
    assert "not finite" in page(tmp_path / "run")  # what can be shown is


@pytest.mark.parametrize("value", [3e38, -3e38])
def test_a_policy_whose_probabilities_are_none_is_not_evaluated(value: float) -> None:
    run = blank_run()
    broken = jax.tree.map(lambda x: jnp.full_like(x, value) if isinstance(x, jax.Array) else x, run.models[0])
    with pytest.raises(InputError, match="probabilities are not numbers"):
        dataclasses.replace(run, models=(broken,)).evaluate(2)


def test_a_policy_that_is_not_there_yet(folder: Path) -> None:
    (folder / POLICY).unlink()
    with pytest.raises(InputError, match="was not brought to its end, as `logpi resume` can do"):
        logpi.load(folder)


@pytest.mark.parametrize("value", [1.7976931348623157e308, -1.7976931348623157e308, 5e-324])
def test_a_report_of_the_largest_numbers(value: float, folder: Path) -> None:
    (folder / "metrics.jsonl").write_text(
        json.dumps(ROW | {"return_mean": value, "episodes": 3, "reward": value}) + "\n"
    )
    assert "</html>" in page(folder, fresh=False)


@pytest.mark.parametrize("steps", ["abc", None, [1], {"a": 1}, 1e300])
def test_a_summary_that_says_anything_is_printed(steps: Any, folder: Path) -> None:
    assert "Run of PPO" in repr(config(summary={"steps": steps})(folder))


@pytest.mark.parametrize("number", [1000, 1_000_000, 2**31 - 1])
def test_a_hostile_number_of_minibatches_is_refused_before_memory_is_spent(number: int, folder: Path) -> None:
    config(settings__algorithm__num_minibatches=number)(folder)
    with pytest.raises(InputError, match=f"num_minibatches is {number}"):
        logpi.explain.run_page(folder)


@pytest.mark.parametrize("what", ["config.json", "metrics.jsonl"])
@pytest.mark.parametrize("how", ["pipe", "link", "size"])
def test_a_sentence_says_it_once(what: str, how: str, folder: Path) -> None:
    path = folder / what
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    elif how == "link":
        path.symlink_to(folder / POLICY)
    else:
        path.touch()
        os.truncate(path, 2**41)
    with pytest.raises(InputError) as caught:
        logpi.load(folder)
    assert str(caught.value).count(str(path)) == 1 and str(caught.value).count("damaged") <= 1


def at_row(count: int, act: Callable[[], object]) -> Callable[[object], None]:
    """A listener that does something once after so many rounds."""
    rounds: list[int] = []

    def listen(event: object) -> None:
        if isinstance(event, Advanced):
            rounds.append(1)
            if len(rounds) == count:
                act()

    return listen


def warnings_to(said: list[str]) -> Callable[[object], None]:
    """A listener that keeps the warnings."""
    return lambda event: said.append(event.sentence) if isinstance(event, Warned) else None


@pytest.mark.parametrize("how", ["moved", "removed", "another's by now"])
def test_a_folder_that_is_gone_costs_no_training(how: str, tmp_path: Path) -> None:
    out = tmp_path / "run"

    def act() -> None:
        shutil.rmtree(out) if how == "removed" else out.rename(tmp_path / "elsewhere")
        if how == "another's by now":
            blank_run().save(out)

    with pytest.raises(InputError, match=r"what was learned is in .*run-rescued, a run folder too"):
        logpi.train("probe:identity", out=out, checkpoint_every=1, callbacks=at_row(1, act), **TINY)
    run = logpi.load(tmp_path / "run-rescued")
    assert len(run.models) == 1 and run.history[-1]["iteration"] == run.summary["updates"] == 8
    assert [path.name for path in listed(tmp_path / "run-rescued" / "checkpoints")] == ["00000008"]
    assert len(logpi.resume(tmp_path / "run-rescued").history) == len(run.history)  # it is a whole one
    if how == "another's by now":
        assert read_config(out).env == "CartPole-v1" and not (out / "checkpoints").exists()


@pytest.mark.parametrize("what", ["policies", "metrics"])
def test_a_disk_that_is_full_at_the_end_costs_no_training(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_in_one(folder: Path, *given: Any, **more: Any) -> Path | None:
        """Beside the run there is no room either; in the current folder there is."""
        return full() if folder.parent == tmp_path / "run-rescued" else write_checkpoint(folder, *given, **more)

    (tmp_path / "here").mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path / "here")
        patch.setattr("logpi.training.session.save_arrays", full)
        patch.setattr("logpi.training.session.write_checkpoint", full_in_one)
        if what == "metrics":
            patch.setattr(MetricsLog, "_write", full)
        with pytest.raises(InputError, match=r"\(No space left on device\): what was learned is in .*here.run-rescued"):
            logpi.train("probe:identity", out=tmp_path / "run", **TINY)
    run = logpi.load(tmp_path / "here" / "run-rescued")
    assert len(run.models) == 1 and run.history[-1]["iteration"] == 8
    assert len(logpi.resume(tmp_path / "here" / "run-rescued").history) == len(run.history)
    assert sorted(os.listdir(tmp_path)) == ["here", "run"]


def test_a_resume_asks_whose_checkpoint_it_is(tmp_path: Path) -> None:
    logpi.train("probe:identity", out=tmp_path / "run", **TINY)
    manifest = listed(tmp_path / "run" / "checkpoints")[0] / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"run": "theirs"}))
    with pytest.raises(InputError, match="of another run"):
        logpi.resume(tmp_path / "run")


def test_what_a_training_does_about_faults_is_kept_for_a_resume(tmp_path: Path) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        logpi.train(
            "probe:identity", out=tmp_path / "run", on_nan="skip", on_env_error="restart", checkpoint_every=1,
            step_timeout=7.0, callbacks=at_row(2, die), **TINY,
        )  # fmt: skip
    kept = read_config(tmp_path / "run").fault_tolerance
    assert (kept.skip, kept.restart, kept.every.updates, kept.step_timeout) == (True, True, 1, 7.0)
    said: list[str] = []
    logpi.resume(tmp_path / "run", step_timeout=9.0, callbacks=warnings_to(said))
    assert said == []  # it is the same machine
    after = read_config(tmp_path / "run").fault_tolerance
    assert after == dataclasses.replace(kept, step_timeout=9.0)
    assert [int(path.name) for path in listed(tmp_path / "run" / "checkpoints")][:3] == [8, 6, 4]


def test_a_resume_puts_in_order_what_a_kill_left(tmp_path: Path) -> None:
    """A checkpoint that stood aside while it was written anew, and half of a file."""
    run = logpi.train("probe:identity", out=tmp_path / "run", checkpoint_every=4, **TINY)
    newest, before = listed(tmp_path / "run" / "checkpoints")[:2]
    shutil.rmtree(newest)
    before.rename(before.with_name(f".{before.name}.0a1b"))
    (tmp_path / "run" / ".metrics.jsonl.0a1b").write_text("half")
    said: list[str] = []
    assert logpi.resume(tmp_path / "run", callbacks=warnings_to(said)).history == run.history
    assert not said and not list((tmp_path / "run").rglob(".*"))


def test_another_machine_is_said(tmp_path: Path) -> None:
    logpi.train("probe:identity", out=tmp_path / "run", **TINY)
    data = json.loads((tmp_path / "run" / "config.json").read_text())
    machine = re.sub(r"\d+ cores", "96 cores", data["versions"]["machine"])
    data["versions"] |= {"machine": machine, "jax": "0.0.1"}
    (tmp_path / "run" / "config.json").write_text(json.dumps(data))
    said: list[str] = []
    logpi.resume(tmp_path / "run", callbacks=warnings_to(said))
    assert "jax was '0.0.1'" in said[0] and "96 cores" in said[0] and "differ in the last bits" in said[0]


def test_an_evaluation_that_cannot_be_kept_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*given: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("logpi.runs.schema.write_atomically", read_only)
    assert main(["evaluate", str(folder), "--episodes", "2", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["episodes"] == 2 and "(Read-only file system): the numbers are not kept" in said.err


@pytest.mark.parametrize("setting", ["strict"])
def test_how_jax_is_set_is_looked_at(setting: str) -> None:
    with jax.numpy_dtype_promotion(setting), pytest.raises(InputError, match="jax_numpy_dtype_promotion"):
        logpi.train("probe:identity", **TINY)


def test_options_of_an_environment_come_back(tmp_path: Path) -> None:
    """Under names that mean something in a configuration, and with values that JSON has no word for."""
    options = {"kind": "inf", "custom": float("inf"), "text": 3, "options": True}
    run = dataclasses.replace(blank_run(), named=Named("gymnasium:CartPole-v1", options))
    run.save(tmp_path / "run")
    assert read_config(tmp_path / "run").named == run.named


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    place = tmp_path / "caf\udce9\x1b[2J"
    blank_run().save(place)
    text = page(place, fresh=False)
    assert "\\udce9" in text and len(text.encode()) > 1000
