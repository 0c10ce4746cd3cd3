"""Evolution against its papers' formulas and a closed form, in float64; and who acts in which environment."""

import time
from typing import Any

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi import ARS, ES, InputError, PGPE, SGD
from logpi.algorithms import Spec
from logpi.algorithms.evolution import first_returns, Generation
from logpi.audit.runs.samples import Sampler
from logpi.distributions import Normal
from logpi.envs import resolve
from logpi.errors import EnvironmentFault
from logpi.learners import gradient
from logpi.models import Deterministic, Population
from logpi.rollout import CompiledRollout, HostRollout
from logpi.spaces.actions import clip_to
from logpi.training.loop import drawn_once
from logpi.trajectory import Trajectory
from tests.training.test_resume import Recorder

PAIRS, SIZE = 6, 3
random = np.random.default_rng(0)
CENTRE, LOG_STD, NOISE = random.normal(size=SIZE), random.normal(size=SIZE) / 2, random.normal(size=(PAIRS, SIZE))
RETURNS = random.normal(size=(2, PAIRS)) * 10


def uphill(algorithm: Any, log_std: np.ndarray = LOG_STD, noise: np.ndarray = NOISE, returns: Any = RETURNS) -> Normal:
    """The gradient of a generation, at `CENTRE`."""
    with jax.enable_x64(True):
        away = noise * np.exp(log_std)
        members = jnp.asarray(CENTRE + np.concatenate([away, -away]))
        advantage = algorithm.advantage(jnp.asarray(returns)).reshape(-1)
        batch = Generation(members, advantage, jnp.ones(2 * len(noise)))
        model = Normal(jnp.asarray(CENTRE), jnp.asarray(log_std))
        return jax.tree.map(np.asarray, gradient(algorithm.objective, model, batch)[0])


def test_pgpe_is_the_symmetric_estimator_with_a_baseline() -> None:
    """The steps of Sehnke et al. 2010 without the variances in them; the baseline is the other pairs'."""
    found, std = uphill(PGPE()), np.exp(LOG_STD)
    difference, middle = RETURNS[0] - RETURNS[1], RETURNS.mean(axis=0)
    np.testing.assert_allclose(found.mean, (difference[:, None] / 2 * NOISE / std).mean(0), rtol=1e-12)
    others = (middle.sum() - middle) / (PAIRS - 1)
    np.testing.assert_allclose(found.log_std, ((middle - others)[:, None] * (NOISE**2 - 1)).mean(0), rtol=1e-12)


def test_es_is_the_mean_of_ranked_noise() -> None:
    found, std = uphill(ES(), np.full(SIZE, np.log(0.3))), 0.3
    ranks = RETURNS.reshape(-1).argsort().argsort().reshape(RETURNS.shape) / (2 * PAIRS - 1) - 0.5
    np.testing.assert_allclose(found.mean, ((ranks[0] - ranks[1]) @ NOISE) / (2 * PAIRS * std), rtol=1e-12)
    assert not found.log_std.any()
    assert not uphill(ES(), returns=np.full((2, PAIRS), 7.0)).mean.any()


@pytest.mark.parametrize("top", [0.5, 1.0])
def test_ars_is_the_step_of_its_paper(top: float) -> None:
    found, count = uphill(ARS(std=0.3, top=top), np.full(SIZE, np.log(0.3))), round(top * PAIRS)
    best = np.argsort(-RETURNS.max(axis=0))[:count]
    step = (RETURNS[0] - RETURNS[1])[best] @ NOISE[best] / (count * RETURNS[:, best].std())
    np.testing.assert_allclose(found.mean, step, rtol=1e-12)
    assert not found.log_std.any()


def test_pgpe_is_unbiased_on_a_quadratic() -> None:
    """Of E[-|x - a|^2]: -2 (mean - a) and, in log std, -2 std^2. |z| < 5 in 6 numbers: once in 300,000 keys."""
    target, rounds = np.array([0.3, -1.0, 0.5]), 4000
    with jax.enable_x64(True):
        std = jnp.exp(jnp.asarray(LOG_STD))

        def generation(key):
            noise = jax.random.normal(key, (PAIRS, SIZE)) * std[None]
            members = CENTRE[None] + jnp.concatenate([noise, -noise])
            returns = -jnp.sum((members - target[None]) ** 2, axis=1).reshape(2, PAIRS)
            batch = Generation(members, PGPE().advantage(returns).reshape(-1), jnp.ones(2 * PAIRS))
            return gradient(PGPE().objective, Normal(jnp.asarray(CENTRE), jnp.asarray(LOG_STD)), batch)[0]

        found = jax.jit(jax.vmap(generation))(jax.random.split(jax.random.key(0), rounds))
    for mine, exact in ((found.mean, -2 * (CENTRE - target)), (found.log_std, -2 * np.exp(2 * LOG_STD))):
        error = np.asarray(mine).std(axis=0) / np.sqrt(rounds)
        assert (np.abs(np.asarray(mine).mean(axis=0) - exact) < 5 * error).all()
        assert (error < 0.1 * np.abs(exact).max()).all()  # so that a factor would be seen


def test_the_first_episode_of_a_stream_counts() -> None:
    ends = np.zeros((2, 5), bool)
    ends[0, [1, 4]] = True
    valid = np.ones((2, 5), bool)
    valid[0, 2] = False
    reward = np.array([[1.0, 2, 50, 60, 70], [1, 2, 3, 4, 5]], np.float32)
    nowhere = np.zeros((2, 5), bool)
    for terminated, truncated in ((ends, nowhere), (nowhere, ends)):
        row = (reward, reward, reward, reward, terminated, truncated, nowhere, valid)
        row, last = map(jnp.asarray, row), jnp.zeros(2)
        trajectory = Trajectory(*row, last_obs=last, last_start=last > 0, memory=())
        np.testing.assert_array_equal(first_returns(trajectory), [3, 15])


@pytest.mark.parametrize("env", ["phys2d:Pendulum-v1", "gymnasium:Pendulum-v1"], ids=["compiled", "host"])
def test_each_environment_has_a_member_and_each_rollout_new_episodes(env: str) -> None:
    source, algorithm = resolve(env), PGPE(std=1.0)
    if source.compiled:
        rollout: Any = CompiledRollout(source.env, 4, 5, clip_to, True)
    else:
        rollout = HostRollout(source.obs_space, source.action_space, source.make, 4, 5, clip_to, True)
    spec = Spec.of(rollout)
    networks = algorithm.build(spec, logpi.Network(width=4, depth=1), jax.random.key(0))
    state = algorithm.init(networks, spec, 2, jax.random.key(1))
    population = algorithm.acting(state)
    collect = eqx.filter_jit(rollout.collect) if source.compiled else rollout.collect
    at = rollout.begin(population, jax.random.key(2))
    for key in jax.random.split(jax.random.key(3), 2):
        trajectory, at = collect(population, at, key)
        assert trajectory.start[:, 0].all() and not trajectory.start[:, 1:].any()
        for i in range(4):
            acted = jax.vmap(lambda obs, i=i: population.member(i)(obs, ())[0].mode())(trajectory.obs[i])
            np.testing.assert_allclose(trajectory.action[i], acted, rtol=1e-5, atol=1e-6)
    rollout.close(at)
    centre = numbers_of(Deterministic(networks))
    for i in range(2):  # the second half mirrors the first
        middle = jax.tree.map(lambda a, b: (a + b) / 2, *(numbers_of(population.member(j)) for j in (i, i + 2)))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), middle, centre)


def numbers_of(policy: Any) -> Any:
    return eqx.filter(policy, eqx.is_inexact_array)


class Stuck(gymnasium.Env):
    """A reward is no number once, in a step of the second rollout, or a reset hangs there."""

    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(2)

    def __init__(self, how: str):
        self.how, self.resets, self.steps = how, 0, 0

    def reset(self, *, seed=None, options=None):
        self.resets += 1
        if self.how == "hangs" and self.resets == 3:
            time.sleep(60)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(2, np.float32), np.nan if self.steps in (9, 10) else 1.0, False, False, {}


def test_a_key_goes_on_where_an_update_is_dropped() -> None:
    """Else the same members would be drawn again, and fail again."""
    before, after = ({"key": jax.random.key(i), "centre": jnp.full(2, float(i))} for i in (0, 1))
    kept = jax.tree.map(drawn_once, before, after)
    assert (jax.random.key_data(kept["key"]) == jax.random.key_data(after["key"])).all() and not kept["centre"].any()
    settings: Any = {"num_envs": 4, "rollout_length": 8, "steps": 4 * 32, "network": logpi.Network(width=4, depth=1)}
    run = logpi.train(lambda: Stuck("NaN"), "pgpe", **settings, on_nan="skip", callbacks=Recorder())
    assert [row["member_return"] is not None for row in run.history] == [True, False, True, True]


def test_a_reset_that_hangs_is_named() -> None:
    with pytest.raises(EnvironmentFault, match=r"has not answered for .* as it was reset"):
        logpi.train(lambda: Stuck("hangs"), "ars", num_envs=4, rollout_length=8, steps=128, step_timeout=0.5)


def test_what_cannot_be_is_refused() -> None:
    for num_envs in (1, 2, 5):
        with pytest.raises(InputError, match=f"num_envs is {num_envs}, but each environment has a member, .* even"):
            logpi.train("CartPole-v1", "es", num_envs=num_envs, steps=100)
    with pytest.raises(InputError, match=r"the subject is PGPE, .* audit a run of it"):
        logpi.audit.objective(PGPE())
    with pytest.raises(InputError, match=r"top is 0\.0, but it must be"):
        ARS(top=0.0)
    with pytest.raises(InputError, match=r"overlap is True, but ES"):
        logpi.preset("CartPole-v1", "es").with_(overlap=True)
    with pytest.raises(InputError, match="learning_rate is -1"):
        SGD(-1.0)
    with pytest.raises(InputError, match="a population has a policy for each stream"):
        Population((), ())(jnp.zeros(2), ())


@pytest.mark.parametrize("algorithm", [PGPE(std=1.0), ARS(std=1.0)], ids=lambda algorithm: type(algorithm).__name__)
def test_its_run_is_audited(algorithm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With members of their own in each batch: were they the same again, their gradients would seem free of noise."""
    settings: Any = {"num_envs": 8, "rollout_length": 64, "steps": 1024, "network": logpi.Network(width=2, depth=1)}
    run = logpi.train("CartPole-v1", algorithm, **settings)
    report = logpi.audit.run(run, batches=8, updates=2, episodes=8)
    told = {check.key for check in report.checks}
    assert {"signal_to_noise", "return_rises", "signal_to_noise.mean"} <= told
    assert not {"kl", "effective_sample_size"} & told and report.check("finite_gradients").passed
    drawn = Sampler._drawn
    monkeypatch.setattr(Sampler, "_drawn", lambda self, i: drawn(self, 0))
    again = logpi.audit.run(run, batches=8, updates=2, episodes=8).check("signal_to_noise.mean")
    assert again.size > 5 * max(report.check("signal_to_noise.mean").size, 0.05)
