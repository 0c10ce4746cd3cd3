"""Audits of runs: numbers that are known, and a run that is in order. The bugs are in the zoo."""

import dataclasses
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi.algorithms import AbstractAlgorithm, Spec
from logpi.audit.runs.audit import run as audit_run
from logpi.audit.runs.critic import critic_error, returns_to_go, Stream
from logpi.envs import resolve
from logpi.errors import InputError
from logpi.experience import AbstractExperience, Latest, Replay
from logpi.explain.network import look
from logpi.models import make_actor_critic, Network
from logpi.rollout.make import make_rollout
from logpi.runs.settings import Settings
from logpi.spaces.actions import clip_to
from logpi.spaces.kinds import Box, Discrete
from logpi.statistics.gradient_noise import (
    cosine_of_halves,
    cosine_to_the_rest,
    jackknife,
    signal_and_noise,
    signal_to_noise,
)
from tests.audit.planted import runs

KEY = jax.random.key(1)


def estimates(rng, batches, truth, spread):
    """Independent Gaussian estimates of a gradient."""
    return truth + spread * rng.standard_normal((batches, len(truth)))


def test_signal_and_noise_are_unbiased_and_the_error_is_right():
    # 400 replicates; each bound is 5 standard errors of their mean, a false alarm in 10^6.
    rng, truth, spread, batches = np.random.default_rng(0), np.full(50, 0.3), 0.7, 24
    found, ratios, errors = [], [], []
    for _ in range(400):
        gradients = estimates(rng, batches, truth, spread)
        gram = gradients @ gradients.T
        found.append(signal_and_noise(gram))
        ratio, error = jackknife(signal_to_noise, gram)
        ratios.append(ratio)
        errors.append(error)
    exact = np.array([truth @ truth, spread**2 * len(truth)])
    off = np.abs(np.mean(found, 0) - exact) / (np.std(found, 0) / 20)
    assert (off < 5).all(), off
    # The standard deviation of 400 ratios is known to 3.5 %; the jackknife is conservative by a few per cent.
    assert 0.85 < np.mean(errors) / np.std(ratios) < 1.25


def test_cosines_of_agreeing_and_of_independent_estimates():
    rng = np.random.default_rng(1)
    same = np.tile(rng.standard_normal(30), (8, 1))
    assert cosine_of_halves(same @ same.T)[0] == pytest.approx(1)
    assert cosine_to_the_rest(same @ same.T)[0] == pytest.approx(1)
    assert signal_to_noise(same @ same.T) == np.inf
    assert signal_to_noise(np.zeros((4, 4))) == 0
    noise = rng.standard_normal((64, 1000))
    mean, error = cosine_to_the_rest(noise @ noise.T)
    assert abs(mean) < 5 * error
    opposed = np.concatenate([same, -same])[:, :1]
    assert cosine_to_the_rest(opposed @ opposed.T)[0] < -0.9


def stream(rng, value=None):
    """Streams of 200 rows of one-step noise, that end now and then; the row after an end only resets."""
    terminated = rng.random((16, 200)) < 0.05
    terminated[:, 1:] &= ~terminated[:, :-1]
    valid = np.ones_like(terminated)
    valid[:, 1:] = ~terminated[:, :-1]
    reward = np.where(valid, rng.standard_normal(valid.shape), 0.0)
    return Stream(reward, terminated, valid, np.zeros(valid.shape) if value is None else value)


def test_returns_are_their_definition():
    given, gamma = stream(np.random.default_rng(2)), 0.9
    found, guessed = returns_to_go(given, gamma)
    for row in range(3):
        for t in range(0, 150, 7):
            if not given.valid[row, t]:
                continue
            ends = np.flatnonzero(given.terminated[row, t:])
            last = t + (ends[0] if len(ends) else 199 - t - 1)
            total = sum(gamma ** (k - t) * given.reward[row, k] for k in range(t, last + 1))
            assert found[row, t] == pytest.approx(total)
            assert guessed[row, t] == pytest.approx(0.0 if len(ends) else gamma ** (199 - t))


def test_a_time_limit_goes_on_with_the_value_of_what_followed():
    valid = np.array([[True, True, False, True, True]])
    given = Stream(
        np.array([[1.0, 2.0, 0.0, 4.0, 5.0]]), np.zeros((1, 5), bool), valid, np.array([[0.0, 0.0, 7.0, 0, 8]])
    )
    found, guessed = returns_to_go(given, 0.5)
    np.testing.assert_allclose(found[0, [0, 1, 3]], [1 + 0.5 * (2 + 0.5 * 7), 2 + 0.5 * 7, 4 + 0.5 * 8])
    np.testing.assert_allclose(guessed[0, [0, 1, 3]], [0.25, 0.5, 0.5])


def test_critics_with_known_errors():
    given = stream(np.random.default_rng(3))
    truth, _ = returns_to_go(given, 0.9)
    for value, explained, bias in (
        (truth, 1, 0),
        (truth + 3, 1, 3),
        (np.full_like(truth, 0.5), 0, None),
        (-truth, -3, None),
    ):
        # A long tail so that the values that stand for the rest do not matter.
        found = critic_error(dataclasses.replace(given, value=value), 0.9)
        assert found.explained_variance == pytest.approx(explained, abs=0.05)
        assert bias is None or found.bias == pytest.approx(bias, abs=0.1)
    assert critic_error(dataclasses.replace(given, reward=np.zeros_like(truth)), 0.9) is None


@pytest.fixture(scope="module")
def trained():
    """A run that has begun to learn."""
    return runs.trained()


@pytest.fixture(scope="module")
def healthy(trained):
    return audit_run(trained, KEY, **runs.SIZES)


class Mine(AbstractAlgorithm):
    """An algorithm whose objective is nowhere said."""

    measurements: ClassVar = ()
    experience: AbstractExperience = Latest()

    def build(self, spec, network, key):
        return network

    def init(self, networks, spec, num_updates, key):
        return networks

    def networks(self, state):
        return state

    def policy(self, networks):
        return networks

    def acting(self, state):
        return state

    def update(self, state, view, key):
        return state, {}

    def objectives(self, state, view, key):
        return {}


def by_name(report):
    return {check.name: check for check in report.checks}


def test_a_healthy_run_passes(healthy):
    assert healthy.passed, str(healthy)
    checks = by_name(healthy)
    assert checks["critic's explained variance"].size > 0.3
    assert 0 < checks["effective sample size"].size <= 1
    assert 0 <= checks["clipped rows"].size <= 1
    assert any(name.startswith("signal-to-noise actor") for name in checks)
    assert any(check.key.startswith("signal_to_noise.actor") for check in healthy.checks)
    assert {check.chart for check in healthy.checks} == {"by_layer", "last_update"}
    # The noise scale is the rows of a rollout over its signal-to-noise: McCandlish et al. 2018, eq. 2.9.
    ratio, scale = checks["signal-to-noise"].size, checks["gradient noise scale"].size
    assert ratio * scale == pytest.approx(16 * 32 * 6 / 7, rel=0.05)  # a row in 7 only resets


def test_the_same_key_gives_the_same_report_from_the_folder(trained, healthy, tmp_path):
    folder = trained.save(tmp_path / "run")
    again = audit_run(logpi.load(folder, environment=runs.Arms(jnp.ones(()))), KEY, **runs.SIZES)
    assert again == healthy
    assert '"return rises"' in again.to_json()


def test_a_return_rises_along_a_step_uphill():
    rises = by_name(audit_run(runs.stepping(0.05), KEY, **runs.SIZES))["return rises"]
    assert rises.passed and rises.size > 8 * rises.error > 0


def test_a_run_on_the_host(trained):
    import gymnasium

    settings = dataclasses.replace(trained.settings, algorithm=logpi.A2C(), num_envs=4, rollout_length=16)
    make = lambda: gymnasium.make("CartPole-v1")  # noqa: E731
    obs_space, action_space = Box((4,)), Discrete(2)
    model = make_actor_critic(obs_space, action_space, settings.network, key=KEY)
    model = eqx.tree_at(lambda m: m.critic.layers[-1].weight, model, replace_fn=jnp.zeros_like)
    run = logpi.Run("CartPole-v1", settings, (0,), (model,), obs_space, action_space, [], {}, {}, environment=make)
    report = audit_run(run, KEY, batches=4, updates=1, episodes=8)
    assert report.passed, str(report)
    assert by_name(report)["return before"].size > 8


SMALL = {"num_envs": 4, "rollout_length": 16, "network": Network(depth=1, width=8)}
REPLAYED = {"experience": Replay(256, batch_size=32), "warmup": 128, "updates_per_step": 1 / 8}


def untrained(env, algorithm):
    """A run that has learned nothing yet."""
    settings = Settings(algorithm, 20_000, **SMALL)
    spec = Spec.of(make_rollout(resolve(env), 4, 16, clip_to))
    networks = algorithm.build(spec, settings.network, KEY)
    return logpi.Run(env, settings, (0,), (networks,), spec.obs_space, spec.action_space, [], {}, {})


def test_each_objective_of_soft_actor_critics_has_its_own_numbers(tmp_path):
    """From a folder, which the temperature is in. A row pays 1, of which critics that say 0 know nothing."""
    run = untrained("CartPole-v1", logpi.SAC(gamma=0.0, **REPLAYED))
    cold = eqx.tree_at(lambda m: m.beside.log, run.models[0], jnp.asarray(-3.0))
    cold = eqx.tree_at(lambda m: m.critics, cold, replace_fn=lambda c: jax.tree.map(lambda x: 0 * x, c))
    folder = dataclasses.replace(run, models=(cold,)).save(tmp_path / "run")
    report = audit_run(folder, KEY, batches=4, updates=1, episodes=2)
    assert report.passed, str(report)
    for name in ("actor", "critics", "temperature"):
        assert report.check(f"finite_gradients.{name}").passed
        assert report.check(f"signal_to_noise.{name}").chart == "by_layer"
    assert any(check.key.startswith("signal_to_noise.critics.members") for check in report.checks)
    assert report.check("signal_to_noise.temperature.log").size == report.check("signal_to_noise.temperature").size
    # Nothing that is kept of older policies is the return's own gradient.
    assert report.check("return_rises").threshold == np.inf
    assert "gradient_above_noise" not in {check.key for check in report.checks}
    assert report.check("critic_bias").size == pytest.approx(-1.0)
    assert report.check("explained_variance").size == pytest.approx(1.0), "the entropy is on both sides"
    assert float(logpi.load(folder).models[0].beside.log) == -3.0
    with pytest.raises(InputError, match="the page is on advantages"):
        look(folder)


def test_a_deterministic_policy_is_seen_as_it_explores():
    report = audit_run(untrained("Pendulum-v1", logpi.TD3(**REPLAYED)), KEY, batches=4, updates=1, episodes=2)
    assert report.passed, str(report)
    assert {c.key for c in report.checks} >= {"signal_to_noise.actor", "signal_to_noise.critics"}
    assert 0 < report.check("effective_sample_size").size < 1 and report.check("kl").size > 0


def test_mistakes_are_told(trained):
    with pytest.raises(InputError, match="seed is 5"):
        audit_run(trained, KEY, seed=5)
    with pytest.raises(InputError, match="batches"):
        audit_run(trained, KEY, batches=2)
    with pytest.raises(InputError, match="does not exist"):
        audit_run("nowhere", KEY)
    with pytest.raises(InputError, match="Mine, says of no objective"):
        audit_run(runs.with_algorithm(trained, Mine()), KEY)
