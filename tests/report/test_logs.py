"""Curves for TensorBoard and Weights & Biases: every number of every row, by tags people know, at its agent steps."""

import dataclasses
import struct
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optax
import pytest

import logpi
from logpi.measurements import Measurement
from logpi.progress.events import Advanced, fan_out, Planned
from logpi.progress.loggers import hyperparameters, TaggedRows, TensorBoard, WandB

TEMPERATURE = Measurement("temperature", "ratio", "Mine.", tags=(("logpi/alpha", 2.0),))
PLAN = Planned("Env-v0", "", "SAC", (7,), 100, 1, 1, "", "cpu", None, (TEMPERATURE,))
SMALL = {"num_envs": 2, "rollout_length": 16, "steps": 128, "seeds": 2}


def records(data: bytes) -> Iterator[bytes]:
    """A TFRecord file: length, checksum, record, checksum, and again."""
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield data[12 : 12 + length]
        data = data[16 + length :]


def events(folder: Path) -> Iterator[Any]:
    """What an event file holds."""
    from tensorboardX.proto import event_pb2

    (path,) = folder.glob("events*")
    return map(event_pb2.Event.FromString, records(path.read_bytes()))


def test_tensorboard_has_the_rows_by_the_names_of_others(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    run = logpi.train("probe:identity", callbacks=TensorBoard(), out=tmp_path / "run", **SMALL)
    found = {
        (value.tag, event.step): value.simple_value
        for event in events(tmp_path / "run/tensorboard/seed1")
        for value in event.summary.value
    }
    rows = [row for row in run.history if row["seed"] == 1]
    # What each of theirs is of ours, as CleanRL's ppo.py and Stable-Baselines3's ppo.py compute them.
    for tag, name, factor in [
        ("charts/episodic_return", "return_mean", 1),
        ("charts/episodic_length", "length_mean", 1),
        ("losses/policy_loss", "surrogate", -1),
        ("losses/value_loss", "value_error", 1),
        ("losses/entropy", "entropy", 1),
        ("losses/approx_kl", "kl", 1),
        ("losses/clipfrac", "clipped", 1),
        ("losses/explained_variance", "explained_variance", 1),
        ("rollout/ep_rew_mean", "return_mean", 1),
        ("train/value_loss", "value_error", 2),
        ("train/entropy_loss", "entropy", -1),
        ("train/clip_fraction", "clipped", 1),
        ("logpi/gradient_norm", "gradient_norm", 1),
        ("logpi/reward", "reward", 1),
    ]:
        wanted = {row["steps"]: factor * row[name] for row in rows if row[name] is not None}
        assert wanted and {step: x for (t, step), x in found.items() if t == tag} == pytest.approx(wanted), tag
    optimiser = run.settings.algorithm.optimiser
    rates = [optimiser.learning_rate * (1 - optimiser.anneal * i / run.settings.num_updates) for i in range(len(rows))]
    assert [found["charts/learning_rate", row["steps"]] for row in rows] == pytest.approx(rates)
    assert all(found["charts/SPS", row["steps"]] == found["time/fps", row["steps"]] > 0 for row in rows)


def test_tensorboard_has_the_settings(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    logger = TensorBoard(tmp_path)
    logger(dataclasses.replace(PLAN, settings=logpi.Settings(logpi.PPO(clip=0.25), network=logpi.Network(width=24))))
    for writer in logger._writers.values():
        writer.close()
    values = {value.tag: value for event in events(tmp_path / "tensorboard/seed7") for value in event.summary.value}
    text = values["hyperparameters/text_summary"].tensor.string_val[0].decode()
    assert "|algorithm.clip|0.25|" in text and "|network.width|24|" in text and "|seed|7|" in text
    start = values["_hparams_/session_start_info"].metadata.plugin_data.content
    told = HParamsPluginData.FromString(start).session_start_info.hparams
    assert told["algorithm.clip"].number_value == 0.25 and told["algorithm.credit.kind"].string_value == "GAE"


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
    run = logpi.train("probe:identity", callbacks=fan_out(WandB(mode="offline")), **SMALL)
    assert [one.options["config"]["seed"] for one in made] == [0, 1] and made[0].options["mode"] == "offline"
    rows = [row for row in run.history if row["seed"] == 1]
    assert [step for step, _ in made[1].rows] == [row["steps"] for row in rows]
    assert made[1].rows[0][1]["losses/entropy"] == rows[0]["entropy"] and made[1].ended == 0
    assert made[1].rows[0][1]["global_step"] == rows[0]["steps"]
    assert (
        made[1].options["config"]["algorithm.optimiser.learning_rate"] == run.settings.algorithm.optimiser.learning_rate
    )


def test_whatever_an_algorithm_measures_is_a_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its columns are in no list; what only places a row, words and what could not be measured are no curves."""
    made = []
    fake = types.SimpleNamespace(init=lambda **options: made.append(FakeRun(**options)) or made[-1])
    monkeypatch.setitem(sys.modules, "wandb", fake)
    logger = WandB()
    logger(PLAN)
    columns = {
        "return_mean": 1.5,
        "return_squares": 9.0,
        "temperature": 0.2,
        "episodes": 3,
        "entropy": None,
        "why": "x",
    }
    logger(Advanced([{"seed": 7, "iteration": 1, "steps": 64, **columns}], 64, 0.1))
    ((step, numbers),) = made[0].rows
    own = {"logpi/alpha": 0.4, "logpi/episodes": 3, "global_step": 64}
    theirs = {"charts/episodic_return": 1.5, "rollout/ep_rew_mean": 1.5, "charts/SPS": 640.0, "time/fps": 640.0}
    assert step == 64 and numbers == pytest.approx(own | theirs)


@pytest.mark.parametrize("algorithm", [logpi.PPO, logpi.A2C, logpi.REINFORCE])
def test_no_tag_stands_for_two_numbers(algorithm: Any) -> None:
    row = {m.name: 1.0 for m in algorithm.measurements} | {"return_mean": 1.0, "length_mean": 1.0, "reward": 1.0}
    plan = dataclasses.replace(PLAN, measurements=algorithm.measurements, settings=logpi.Settings(algorithm()))
    ((_, _, numbers),) = TaggedRows(plan).of(Advanced([{"seed": 7, "iteration": 1, "steps": 1} | row], 1, 1.0))
    tags = [tag for m in algorithm.measurements for tag, _ in m.tags or [(f"logpi/{m.name}", 1.0)]]
    assert len(set(tags)) == len(tags) and set(tags) < set(numbers)


def test_the_speed_of_a_resumed_training_is_that_of_its_own_steps() -> None:
    curves = TaggedRows(PLAN)
    row = {"seed": 7, "reward": 0.0}
    told = [Advanced([{**row, "iteration": i, "steps": 10 * i}], 10 * i, i - 40.0) for i in (41, 42)]
    first, second = (next(numbers for *_, numbers in curves.of(news)) for news in told)
    assert "charts/SPS" not in first and second["charts/SPS"] == pytest.approx(10.0)


def test_a_rate_that_only_the_optimiser_knows_is_no_curve() -> None:
    settings = logpi.Settings(logpi.PPO(logpi.Optax(optax.sgd(0.1))))
    curves = TaggedRows(dataclasses.replace(PLAN, settings=settings))
    ((*_, numbers),) = curves.of(Advanced([{"seed": 7, "iteration": 1, "steps": 64, "reward": 0.5}], 64, 0.1))
    assert numbers == {"logpi/reward": 0.5, "charts/SPS": 640.0, "time/fps": 640.0}


def test_hyperparameters_are_plain_values() -> None:
    settings = logpi.Settings(logpi.PPO(logpi.Optax(optax.sgd(0.1)), value_clip=float("inf")))
    told = hyperparameters(dataclasses.replace(PLAN, settings=settings), 7)
    assert told["algorithm.value_clip"] == "inf" and told["env"] == "Env-v0" and told["algorithm"] == "SAC"
    assert all(value is None or isinstance(value, str | int | float) for value in told.values())


@pytest.mark.parametrize(("listener", "module"), [(TensorBoard, "tensorboardX"), (WandB, "wandb")])
def test_what_is_missing_is_named_with_its_extra(listener, module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(logpi.InputError, match=r'pip install "logpi\['):
        listener()
