"""Curves for TensorBoard and Weights & Biases: every number of every row, at its agent steps."""

import struct
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import logpi
from logpi.progress.loggers import TensorBoard, WandB
from logpi.training.events import Advanced, fan_out, Planned

SMALL = {"num_envs": 2, "rollout_length": 16, "steps": 128, "seeds": 2}


def records(data: bytes) -> Iterator[bytes]:
    """A TFRecord file: length, checksum, record, checksum, and again."""
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield data[12 : 12 + length]
        data = data[16 + length :]


def test_tensorboard_has_the_rows(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto import event_pb2

    run = logpi.train("probe:identity", listener=TensorBoard(), out=tmp_path / "run", **SMALL)
    found = {}
    for path in (tmp_path / "run/tensorboard/seed1").glob("events*"):
        for record in records(path.read_bytes()):
            event = event_pb2.Event.FromString(record)
            found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
    rows = [row for row in run.history if row["seed"] == 1]
    for name in ("entropy", "gradient_norm", "reward"):
        assert [found[name, row["steps"]] for row in rows] == pytest.approx([row[name] for row in rows])


class FakeRun:
    """Keeps what it is told."""

    def __init__(self, **options):
        self.options, self.rows, self.ended = options, [], None

    def log(self, numbers, step):
        self.rows.append((step, numbers))

    def alert(self, title, text): ...

    def finish(self, exit_code):
        self.ended = exit_code


def test_wandb_gets_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    fake = types.SimpleNamespace(init=lambda **options: made.append(FakeRun(**options)) or made[-1])
    monkeypatch.setitem(sys.modules, "wandb", fake)
    run = logpi.train("probe:identity", listener=fan_out(WandB(mode="offline")), **SMALL)
    assert [one.options["config"]["seed"] for one in made] == [0, 1] and made[0].options["mode"] == "offline"
    rows = [row for row in run.history if row["seed"] == 1]
    assert [step for step, _ in made[1].rows] == [row["steps"] for row in rows]
    assert made[1].rows[0][1]["entropy"] == rows[0]["entropy"] and made[1].ended == 0


def test_whatever_an_algorithm_measures_is_a_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its columns are in no list; what only places a row, words and what could not be measured are no curves."""
    made = []
    fake = types.SimpleNamespace(init=lambda **options: made.append(FakeRun(**options)) or made[-1])
    monkeypatch.setitem(sys.modules, "wandb", fake)
    logger = WandB()
    logger(Planned("Env-v0", "", "SAC", (7,), 100, 1, 1, "", "cpu", None))
    columns = {
        "return_mean": 1.5,
        "return_squares": 9.0,
        "temperature": 0.2,
        "episodes": 3,
        "entropy": None,
        "why": "x",
    }
    logger(Advanced([{"seed": 7, "iteration": 1, "steps": 64, **columns}], 64, 0.1))
    assert made[0].rows == [(64, {"return_mean": 1.5, "temperature": 0.2, "episodes": 3})]


@pytest.mark.parametrize(("listener", "module"), [(TensorBoard, "tensorboardX"), (WandB, "wandb")])
def test_what_is_missing_is_named_with_its_extra(listener, module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(logpi.InputError, match=r'pip install "logpi\['):
        listener()
