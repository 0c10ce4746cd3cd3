"""What a report measures anew: whole episodes, and actions on a probe, of a short training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

import logpi
from logpi.audit import Check, Report
from logpi.envs import resolve
from logpi.evaluation.evaluate import Evaluation
from logpi.report import measure as measuring
from logpi.report.charts import Lines
from logpi.report.drawing import draw
from logpi.report.findings import of_measured
from logpi.report.folders import tell
from logpi.report.measure import measure
from logpi.report.panels import behaviour, updates

EPISODES = 12


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CartPole of a few updates, with two checkpoints on the way."""
    path = tmp_path_factory.mktemp("run") / "cartpole"
    settings = logpi.Settings(logpi.PPO(num_epochs=1), steps=4 * 128, num_envs=4, rollout_length=32)
    logpi.train("CartPole-v1", settings=settings, out=path, checkpoint_every=2, seeds=1)
    return path


def full(value: float) -> Evaluation:
    """Episodes that are all alike."""
    return Evaluation("CartPole-v1", False, (0,), np.full((1, EPISODES), value), np.full((1, EPISODES), value))


@pytest.fixture(scope="module")
def measured(trained: Path) -> measuring.Examination:
    """All of it, but for the audit, which has tests of its own."""
    words = ("of returns", "raise value_coef", "critic's explained variance")
    wrong = Check("explained_variance", -1.0, 0.01, 0.05, *words, "last_update")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "audit_run", lambda run, env=None: Report("PPO", (wrong,)))
        return measure(tell(trained), EPISODES)


def test_episodes_are_whole_and_told_apart(measured: measuring.Examination) -> None:
    assert measured.notes == () and set(measured.evaluations) == {False, True}
    drawn = measured.evaluations[False]
    assert not drawn.deterministic and measured.evaluations[True].deterministic
    np.testing.assert_array_equal(drawn.returns, drawn.lengths)  # CartPole gives 1 a step
    assert drawn.returns.shape == (1, EPISODES) and drawn.returns.min() >= 8
    assert measured.episodes is not None
    # A policy of 4 updates falls: what ends before the limit of 500 was terminated.
    np.testing.assert_array_equal(measured.episodes.terminated, measured.episodes.lengths < 500)


def test_the_probe_asks_the_policies_themselves(trained: Path, measured: measuring.Examination) -> None:
    probe = measured.probe
    assert probe is not None and not probe.continuous and probe.actions == ("0", "1")
    assert probe.stages[0].name == "before training"
    assert probe.stages[-1].name == "at the end" and len(probe.stages) == 3  # with the checkpoint of update 2
    for stage in probe.stages:
        np.testing.assert_allclose(stage.first.sum(1), 1.0, rtol=1e-5)
    # The first policy hardly knows: its last layer begins at a hundredth.
    assert abs(probe.stages[0].first - 0.5).max() < 0.05
    assert not np.allclose(probe.stages[0].first, probe.stages[-1].first, atol=1e-4)


def test_the_last_stage_is_the_saved_policy(trained: Path, measured: measuring.Examination) -> None:
    told = tell(trained)
    rollout = told.run.rollout(resolve("CartPole-v1"), EPISODES, measuring.CHUNK)
    model = told.run.models[0]
    _, trajectory = measuring.play(model, rollout, 0, jax.random.key(1))
    first = jax.tree.map(lambda x: x[0, 0], trajectory.obs)
    expected = jax.nn.softmax(model(first, model.initial_memory())[0].logits)
    assert measured.probe is not None
    np.testing.assert_allclose(measured.probe.stages[-1].first[0], expected, rtol=1e-5)


def test_findings_of_the_audit_are_told(trained: Path, measured: measuring.Examination) -> None:
    found = of_measured(tell(trained), measured)
    assert any("critic's explained variance: -1 ± 0.01" in finding.text for finding in found)


def test_where_all_episodes_are_equal_the_numbers_of_the_last_policy_are_said_to_be_noise(
    trained: Path, measured: measuring.Examination
) -> None:
    """A solved CartPole: no advice about a critic that has nothing to explain, but why its numbers look bad."""
    told = tell(trained)
    alike = dataclasses.replace(measured, evaluations={False: full(500.0), True: full(500.0)})
    (finding,) = of_measured(told, alike)
    assert finding.level == "note" and finding.chart == "last_update"
    assert finding.text.startswith("All 12 fresh episodes of seed 0 are equal: return 500 in 500 steps.")
    assert "explained variance of this policy are noise" in finding.text
    # A MountainCar that has never been at the top looks the same: nobody says that there is nothing left to do.
    assert "either the task is solved, or no reward that tells actions apart has been found yet" in finding.text
    (chart,) = updates.gradient([told], [alike])[-1:]
    assert chart.key == "last_update" and finding.text in chart.about


def test_charts_find_the_checks_of_an_audit_by_their_keys(trained: Path) -> None:
    keys = ("signal_to_noise", "surrogate_signal_to_noise", "signal_to_noise.actor.layers[0].weight", "clipped_rows")
    audit = Report("PPO", tuple(Check(key, 0.5, 0.1, np.inf, "", "", "other words") for key in keys))
    by_layer, last_update = updates.gradient([tell(trained)], [measuring.Examination(audit=audit)])[-2:]
    assert by_layer.key == "by_layer" and last_update.key == "last_update"
    shown = [(row.name, row.strong) for row in by_layer.rows]
    assert shown == [("all", True), ("surrogate alone", False), ("actor.layers[0].weight", False)]
    assert [row.name for row in last_update.rows] == ["clipped rows"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_returns_that_are_no_numbers_are_not_equal(
    value: float, trained: Path, measured: measuring.Examination
) -> None:
    broken = dataclasses.replace(full(500.0), returns=np.full((1, EPISODES), value))
    found = of_measured(tell(trained), dataclasses.replace(measured, evaluations={False: broken}))
    assert [finding.level for finding in found] == ["warning"]


@pytest.mark.parametrize("name", ["returns", "lengths"])
def test_one_episode_that_differs_is_something_to_climb(
    name: str, trained: Path, measured: measuring.Examination
) -> None:
    one = full(500.0)
    getattr(one, name)[0, 3] = 499.0
    found = of_measured(tell(trained), dataclasses.replace(measured, evaluations={False: one}))
    assert [finding.level for finding in found] == ["warning"] and "raise value_coef" in found[0].text
    last = updates.gradient([tell(trained)], [dataclasses.replace(measured, evaluations={False: one})])[-1]
    assert "noise" not in last.about


def test_probabilities_that_hardly_differ_look_so(trained: Path, measured: measuring.Examination) -> None:
    """0.499 beside 0.501 is no drama: the axis spans a fifth at least, on the page and in a figure."""
    chart = behaviour.charts(tell(trained), measured)[1]
    assert isinstance(chart, Lines) and chart.y == "probability" and chart.span == 0.2
    flat = tuple(dataclasses.replace(line, y=0.5 + 0.001 * np.arange(len(line.x))) for line in chart.lines)
    (axes,) = draw(dataclasses.replace(chart, lines=flat)).axes
    assert np.ptp(axes.get_ylim()) == pytest.approx(0.2)


def test_behaviour_has_its_charts(trained: Path, measured: measuring.Examination) -> None:
    charts = behaviour.charts(tell(trained), measured)
    assert [chart.key for chart in charts] == ["lengths-0", "actions-0", "probe-0"]


def test_an_environment_that_is_not_there_is_a_note(trained: Path) -> None:
    found = measure(tell(trained), env="Nowhere-v0")
    assert not found.evaluations and len(found.notes) == 1 and "Nowhere-v0" in found.notes[0]
