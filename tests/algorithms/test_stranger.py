"""TRPO from the page on one's own algorithm: everything knows it, and nothing outside of its block is about it."""

import dataclasses
import io
import json
import shutil
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

import logpi
from logpi import audit, report
from logpi.audit.problems import bandit
from logpi.errors import InputError
from logpi.learners import Learner
from logpi.progress.console import PlainProgress
from logpi.progress.events import fan_out
from logpi.progress.loggers import TensorBoard
from logpi.runs import schema
from tests.algorithms import own_page
from tests.training.test_resume import files, rewound

OwnTRPO = own_page.load("OwnTRPO").OwnTRPO
OWN = ("step", "residual")
SIZES = {"num_envs": 8, "rollout_length": 128}
AUDIT = {"batches": 4, "updates": 2, "episodes": 16}
KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[logpi.Run, Path, str]:
    """The one training of this file: the run, its folder, and what its live line said."""
    folder, said = tmp_path_factory.mktemp("stranger") / "run", io.StringIO()
    listener = fan_out(PlainProgress(said, everything=True), TensorBoard())
    run = logpi.train(
        "CartPole-v1", OwnTRPO(), steps=32_768, **SIZES, out=folder, checkpoint_every=31, callbacks=listener
    )
    return run, folder, said.getvalue()


@pytest.fixture
def folder(trained: tuple[logpi.Run, Path, str], tmp_path: Path) -> Path:
    """A copy of the run folder."""
    return shutil.copytree(trained[1], tmp_path / "copy")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class may be named by files, as long as a test lasts."""
    others = [kind for kind in schema.PARTS if kind.__name__ != "OwnTRPO"]
    monkeypatch.setattr(schema, "PARTS", others)
    monkeypatch.setattr(schema, "KNOWN", {kind.__name__: kind for kind in (*others, *schema.SPACES)})
    schema.register(OwnTRPO)


def test_it_is_short() -> None:
    assert own_page.lines_of_code(own_page.block("OwnTRPO")) <= 60


def test_it_trains(trained: tuple[logpi.Run, Path, str]) -> None:
    """Also in its own measure: steps are taken, within the trust region, and their equation is solved."""
    run = trained[0]
    returns = [row["return_mean"] for row in run.history if row["return_mean"] is not None]
    assert np.mean(returns[:3]) < 60 and np.mean(returns[-8:]) > 200
    columns = {name: np.array([row[name] for row in run.history]) for name in (*OWN, "kl", "surrogate")}
    assert (columns["kl"] <= 0.01 + 1e-6).all() and np.median(columns["kl"]) > 0.002
    assert (columns["step"] > 0).mean() > 0.9 and (columns["surrogate"] >= 0).all()
    assert np.median(columns["residual"]) < 0.1


def test_it_shows_live(trained: tuple[logpi.Run, Path, str]) -> None:
    """What has a short name is on the line, what has none is not."""
    first, last = trained[2].splitlines()[0], trained[2].splitlines()[-1]
    assert "CartPole-v1 with OwnTRPO" in first
    assert {"return", "entropy", "KL", "step"} <= set(last.split()) and "residual" not in last


@pytest.mark.usefixtures("as_users_have_it")
def test_it_is_stored(trained: tuple[logpi.Run, Path, str]) -> None:
    run, folder, _ = trained
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows == run.history and set(OWN) <= rows[0].keys()
    again = logpi.load(folder, settings=run.settings)
    assert again.measurements == OwnTRPO.measurements and eqx.tree_equal(again.models, run.models)
    assert again.evaluate(episodes=4).mean.value > 0
    assert repr(logpi.load(folder)).startswith("<Run of OwnTRPO on CartPole-v1")  # of which only its text is known


def test_it_is_in_the_loggers(trained: tuple[logpi.Run, Path, str]) -> None:
    (events,) = (trained[1] / "tensorboard" / "seed0").iterdir()
    assert all(name.encode() in events.read_bytes() for name in OWN)


@pytest.mark.usefixtures("as_users_have_it")
def test_it_is_resumed_bit_for_bit(trained: tuple[logpi.Run, Path, str], folder: Path) -> None:
    whole = files(folder)
    with pytest.raises(InputError, match="give the settings"):
        logpi.resume(rewound(folder, 31))
    resumed = logpi.resume(folder, settings=trained[0].settings)
    assert files(folder) == whole and len(whole) == 2
    assert [row["iteration"] for row in resumed.history] == list(range(1, 33))


@pytest.mark.usefixtures("registered")
def test_registered_it_is_resumed_without_settings(tmp_path: Path) -> None:
    out = tmp_path / "run"
    logpi.train(
        "CartPole-v1", OwnTRPO(radius=0.02), steps=384, num_envs=2, rollout_length=64, out=out, checkpoint_every=2
    )
    whole = files(out)
    logpi.resume(rewound(out, 2))
    assert files(out) == whole
    assert logpi.load(out).settings.algorithm == OwnTRPO(radius=0.02)
    page = report.page(out, episodes=4)  # policies of the checkpoints too, and an audit: the class is known
    assert "Left out" not in page and "Signal-to-noise by layer" in page


@pytest.mark.usefixtures("as_users_have_it")
def test_it_is_reported(folder: Path) -> None:
    """Its own measurements have charts; what needs the class itself is left out, and said."""
    page = report.page(folder, episodes=4)
    assert "OwnTRPO on CartPole-v1" in page and "Custom" not in page
    assert all(m.title in page and m.unit in page for m in OwnTRPO.measurements if m.name in OWN)
    assert "of which a folder keeps only a text" in page


def test_its_objective_is_audited() -> None:
    """Its surrogate has the exact gradient; its policy goes past the optimiser, so the step is looked at."""
    found = audit.objective(OwnTRPO(), key=KEY)
    assert found.passed, str(found)
    checks = [check.key for check in found.checks]
    assert "uphill_step" in checks and "uphill" not in checks
    assert any("the optimiser is given none of the policy" in note for note in found.notes)


@pytest.fixture(scope="module")
def audited(trained: tuple[logpi.Run, Path, str]) -> audit.Report:
    return audit.run(trained[0], KEY, **AUDIT)


def test_its_run_is_audited(audited: audit.Report) -> None:
    assert audited.passed, str(audited)
    sizes = {check.key: check.size for check in audited.checks}
    assert 0.001 < sizes["kl"] <= 0.0125  # here over the rows that were drawn


class Backwards(OwnTRPO):
    """Goes as far the other way."""

    def update(self, state, view, key):
        after, shown = super().update(state, view, key)
        back = jax.tree.map(lambda a, b: 2 * a - b if eqx.is_inexact_array(a) else b, state.model, after.model)
        return eqx.tree_at(lambda s: s.model, after, back), shown


class Still(OwnTRPO):
    """Does not move."""

    def update(self, state, view, key):
        return state, super().update(state, view, key)[1]


@pytest.mark.parametrize(("broken", "found"), [(Backwards, ["uphill_step"]), (Still, ["uphill", "uphill_step"])])
def test_a_wrong_step_is_found(broken: type, found: list[str]) -> None:
    assert [check.key for check in audit.objective(broken(), bandit(), key=KEY).findings] == found


class Remembering(eqx.Module):
    """A state that is no `Learner`."""

    inner: Learner
    updates: jax.Array


class OwnState(OwnTRPO):
    """Remembers more than a learner does."""

    def init(self, networks, spec, num_updates, key):
        learner = super().init(networks, spec, num_updates, key)
        return Remembering(learner, learner.updates)

    def networks(self, state):
        return state.inner.model

    def acting(self, state):
        return state.inner.model

    def update(self, state, view, key):
        inner, shown = super().update(state.inner, view, key)
        return Remembering(inner, state.updates + 1), shown


def test_a_state_of_its_own_is_audited(trained: tuple[logpi.Run, Path, str], audited: audit.Report) -> None:
    assert audit.objective(OwnState(), bandit(), key=KEY).passed
    settings = dataclasses.replace(trained[0].settings, algorithm=OwnState())
    assert audit.run(dataclasses.replace(trained[0], settings=settings), KEY, **AUDIT).checks == audited.checks
