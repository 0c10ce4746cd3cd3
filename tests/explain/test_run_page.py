"""The page of a run: its numbers against the library's own, and in a browser."""

import dataclasses
import html
import json
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import logpi
from logpi.audit import Report
from logpi.audit.reports import Check
from logpi.cli.explain import explain_command
from logpi.envs import resolve
from logpi.errors import InputError
from logpi.explain import network
from logpi.explain.batch_rows import BatchRows
from logpi.explain.network import KL, look
from logpi.explain.trained import as_data
from logpi.models import make_actor_critic, Network
from logpi.parameters import trainable
from logpi.runs.files import as_json
from logpi.runs.run import Run
from logpi.runs.settings import Settings
from tests.pages import chromium

FOUND = Report("PPO", (Check("policy_gradient", 1e-16, 0.0, 1e-6, "part of the update across the gradient", ""),))


def untrained(algorithm, env="gymnasium:CartPole-v1", **network) -> Run:
    """A run with a policy that has learned nothing yet: its gradient is as good as any."""
    source = resolve(env)
    settings = Settings(
        algorithm=algorithm, network=Network(width=8, depth=1, **network), num_envs=4, rollout_length=16
    )
    obs, action = source.obs_space, source.action_space
    model = make_actor_critic(obs, action, settings.network, key=jax.random.key(3))
    return Run(env, settings, (0,), (model,), obs, action, [], {}, {})


@pytest.fixture(scope="module")
def ppo():
    """A run and one batch of it."""
    run = untrained(logpi.PPO())
    return run, look(run, jax.random.key(1))


def test_the_surrogates_gradient_is_the_mean_of_advantage_times_score(ppo):
    _, seen = ppo
    assert np.linalg.norm(seen.twin) > 1e-3
    np.testing.assert_allclose(seen.surrogate, seen.twin, atol=1e-6 * np.abs(seen.twin).max())
    critic = [place for name, _, place in seen.layers if name.startswith("critic")]
    assert critic and all((seen.surrogate[place] == 0).all() for place in critic)


def test_a_push_is_the_advantage_times_the_length_of_the_librarys_score(ppo):
    run, seen = ppo
    (model,) = run.models
    params, static = eqx.partition(model, trainable(model))
    place = (5, 0)  # of a model without memory every row is a segment
    obs, action = jnp.asarray(seen.rows.obs[place]), jnp.asarray(seen.rows.action[place])
    score = logpi.score(params, action, of=lambda p: eqx.combine(p, static)(obs, ())[0])
    length = float(jnp.linalg.norm(ravel_pytree(score)[0]))
    np.testing.assert_allclose(seen.rows.score_norms[place], length, rtol=1e-5)
    up, down = seen.rows.pushed(1, 6), seen.rows.pushed(-1, 6)
    assert all(row["push"] > 0 for row in up) and all(row["push"] < 0 for row in down)
    pushes = np.sort((seen.rows.advantage * seen.rows.score_norms)[seen.rows.valid].astype(float))
    np.testing.assert_allclose([row["push"] for row in up], pushes[::-1][:6], rtol=1e-6)
    np.testing.assert_allclose([row["push"] for row in down], pushes[:6], rtol=1e-6)
    for row in up + down:
        np.testing.assert_allclose(row["policies"][0]["probabilities"][int(row["action"][0])], row["before"], rtol=1e-5)
        np.testing.assert_allclose(row["policies"][1]["probabilities"][int(row["action"][0])], row["after"], rtol=1e-5)


def test_the_hardest_push_is_found_among_all_rows(ppo):
    """A small advantage with a long score pushes harder than the largest advantages; a row that only reset does not."""
    advantage = np.linspace(0.1, 1.0, 200)[:, None]
    norms, valid = np.full((200, 1), 0.01), np.ones((200, 1), bool)
    norms[100], norms[120] = 50.0, 1e6
    valid[120] = False
    rows = BatchRows(
        advantage, np.zeros((200, 1)), np.zeros((200, 1)), valid, norms, np.zeros((200, 1, 2)), np.zeros((200, 1)),
        None, None,
    )  # fmt: skip
    (row,) = rows.pushed(1, 1)
    np.testing.assert_allclose(row["push"], 50 * advantage[100, 0])
    assert rows.pushed(-1, 6) == []
    mirrored = dataclasses.replace(rows, advantage=-advantage)
    assert mirrored.pushed(-1, 1)[0]["push"] == -row["push"] and mirrored.pushed(1, 6) == []


def test_a_step_raises_the_mean_of_advantage_times_change_as_promised(ppo):
    r"""By $\eta |\nabla J|^2$ to first order: here with a hundredth of the page's step, and its sign with all of it."""
    run, seen = ppo
    data = as_data(seen, FOUND)
    parts = (seen.rows.advantage * (seen.rows.log_prob_after - seen.rows.log_prob))[seen.rows.valid]
    assert (parts < -1e-5).any()  # not every row gets what it asked for
    summary = data["summary"]
    np.testing.assert_allclose(summary["gain"], parts.mean(), rtol=1e-5)
    np.testing.assert_allclose(summary["won"] + summary["lost"], summary["gain"], rtol=1e-9)
    assert summary["won"] > 0 > summary["lost"] and summary["gain"] > 0
    (model,) = run.models
    params, static = eqx.partition(model, trainable(model))
    flat, back = ravel_pytree(params)
    rows = seen.rows
    after = eqx.combine(back(flat + jnp.asarray(seen.surrogate, flat.dtype) * seen.rate / 100), static)

    def log_prob(model, obs, action):
        return model(obs, ())[0].log_prob(action)

    before, later = (jax.vmap(log_prob, (None, 0, 0))(m, rows.obs[:, 0], rows.action[:, 0]) for m in (model, after))
    gain = np.mean((rows.advantage[:, 0] * np.asarray(later - before))[rows.valid[:, 0]])
    np.testing.assert_allclose(gain, data["promised"] / 100, rtol=0.05)


def test_the_step_goes_uphill_as_far_as_it_says(ppo):
    _, seen = ppo
    assert abs(seen.kl / KL - 1) < 0.05


def test_gaussians_and_memories_have_a_page_too():
    gaussian = look(untrained(logpi.REINFORCE(), "gymnasium:Pendulum-v1", memory="gru"), jax.random.key(2))
    assert not gaussian.standardised and "std" in gaussian.rows.pushed(-1, 1)[0]["policies"][0]
    json.dumps(as_json(as_data(gaussian, FOUND)), allow_nan=False)


def test_with_a_memory_and_many_rows_some_are_scored_and_the_page_says_how_many(tmp_path, monkeypatch):
    """The score of one row unrolls its whole segment: all of them would take minutes."""
    run = untrained(logpi.A2C(), memory="gru")
    every = look(run, jax.random.key(2)).rows
    monkeypatch.setattr(network, "MOST_STEPS", 10 * 16)
    seen = look(run, jax.random.key(2))
    scored = seen.rows.scored
    assert scored.sum() <= 10 < every.scored.sum() == every.valid.sum() and scored.any(axis=1).all()
    np.testing.assert_allclose(seen.rows.score_norms[scored], every.score_norms[scored], rtol=1e-6)
    data = as_json(as_data(seen, FOUND))
    assert data["summary"]["scored"] == scored.sum() == len(data["points"]["push"])
    assert data["summary"]["gain"] == pytest.approx(
        as_data(dataclasses.replace(seen, rows=every), FOUND)["summary"]["gain"]
    )
    assert all(row["push"] is not None for row in data["up"] + data["down"])
    if chromium.find() is not None:
        document = _in_browser(tmp_path / "run.html", data)
        assert f"Of {scored.sum()} rows, spread evenly over the {every.valid.sum()} of the batch" in document
        assert f"A dot is one of {scored.sum()} rows" in document


def _in_browser(path, data):
    from logpi.explain.introduction import assemble
    from logpi.explain.trained import _SCRIPTS

    path.write_text(assemble("run.html", _SCRIPTS, **{"/*DATA*/": json.dumps(data, allow_nan=False)}), encoding="utf-8")
    return chromium.dom(path, width=390)


@pytest.mark.skipif(chromium.find() is None, reason="there is no Chromium on this machine")
def test_the_page_in_a_browser(ppo, tmp_path):
    data = as_json(as_data(ppo[1], FOUND))
    document = _in_browser(tmp_path / "run.html", data)
    assert "Of all rows, those with the largest push" in document and not re.search(r"A dot is one of \d", document)
    assert 'data-ready="yes"' in document and "data-error" not in document
    assert len(re.findall(r'class="chart"', document)) == 2
    heads = re.findall(r'<td role="cell"[^>]*data-head="([^"]*)"', document)
    assert len(heads) == 8 * (len(data["up"]) + len(data["down"])) and heads[4] == "push"
    assert f'data-value="{data["summary"]["gain"]}"' in document
    cells = [float(v) for v in re.findall(r'<td class="number" data-value="([^"]*)"', document)]
    np.testing.assert_allclose(cells[::2], [row["surrogate"] for row in data["largest"]], rtol=1e-6)
    assert "PPO on gymnasium:CartPole-v1, seed 0" in html.unescape(document)


def test_the_command_writes_the_page_and_says_so(tmp_path, capsys):
    out = tmp_path / "page.html"
    assert explain_command(["--out", str(out)]) == 0
    assert f"written to {out}" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "{tmp}"], "which is a folder"),
        (["--out", "{tmp}/none/page.html"], "does not exist"),
        (["--seed", "1", "--out", "{tmp}/page.html"], "no run is given"),
        (["{tmp}/none", "--out", "{tmp}/page.html"], "none"),
        (["{tmp}", "--out", "{tmp}/page.html"], "run"),
    ],
)
def test_mistakes_are_told_in_a_sentence(arguments, words, tmp_path):
    with pytest.raises(InputError, match=words):
        explain_command([a.replace("{tmp}", str(tmp_path)) for a in arguments])
    assert not (tmp_path / "page.html").exists()


def test_a_seed_that_is_not_there_is_told(ppo):
    with pytest.raises(InputError, match="seed is 7"):
        look(ppo[0], seed=7)
