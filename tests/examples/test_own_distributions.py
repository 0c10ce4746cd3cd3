"""A stranger's distribution is one file: nothing in the package knows of these two, and all can be done to them."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from scipy.stats import norm

import logpi
from logpi import audit
from logpi.distributions import AbstractDistribution, Joint
from logpi.envs.base import AbstractEnv, first_timestep, Timestep
from logpi.envs.probes import Identity
from logpi.estimators import Antithetic, Enumerate, MeasureValued, Pathwise, Score
from logpi.models import WithoutCritic
from logpi.spaces import Box, Discrete

FOLDER = Path(__file__).parents[2] / "examples" / "own_distributions"
KEY = jax.random.key(0)


def load(name: str):
    """A file of the example as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TanhNormal = load("tanh_normal").TanhNormal
MaskedCategorical = load("masked_categorical").MaskedCategorical

MEAN, LOG_STD = jnp.array([0.3, -0.8]), jnp.array([-0.2, -1.0])
LOGITS, MASK = jnp.array([0.5, -0.3, 1.0, 0.2]), jnp.array([True, False, True, True])
PROBS = jax.nn.softmax(jnp.where(MASK, LOGITS, -jnp.inf))
DISTRIBUTIONS = {"tanh": TanhNormal(MEAN, LOG_STD), "masked": MaskedCategorical(LOGITS, MASK)}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_it_passes_the_audit(name):
    report = audit.policy(DISTRIBUTIONS[name], KEY)
    assert report.passed, report
    assert {"normalised", "scores of mean 0", "draws follow the density", "entropy", "KL"} <= {
        check.name for check in report.checks
    }


def test_squashed_draws_have_the_log_density_of_draws():
    dist = TanhNormal(jnp.array([-3.0, 0.0, 3.5]), jnp.zeros(3))
    events, log_probs = jax.jit(jax.vmap(dist.sample_and_log_prob))(jax.random.split(KEY, 100))
    np.testing.assert_allclose(jax.jit(jax.vmap(dist.log_prob))(events), log_probs, rtol=0, atol=0.02)
    assert jnp.isfinite(dist.log_prob(jnp.array([-1.0, 0.0, 1.0])))
    assert jnp.isfinite(jax.jit(jax.grad(lambda d: d.log_prob(jnp.ones(3))))(dist).mean).all()


def test_scores():
    score = logpi.score(DISTRIBUTIONS["masked"], 2).logits
    np.testing.assert_allclose(score, (jnp.arange(4) == 2) - PROBS, atol=1e-6)
    u = jnp.array([0.1, -1.0])
    score = logpi.score(DISTRIBUTIONS["tanh"], jnp.tanh(u)).mean
    np.testing.assert_allclose(score, (u - MEAN) / jnp.exp(2 * LOG_STD), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "event", "sentence"),
    [
        ("masked", 1, "1 is no event of MaskedCategorical, .*: give a choice that the mask allows"),
        ("masked", 7, "7 is no event of MaskedCategorical"),
        ("masked", [0, 1], "one event of MaskedCategorical has"),
        ("tanh", [0.0, 1.5], "is no event of TanhNormal, .*: give numbers between -1 and 1"),
    ],
)
def test_what_is_no_event_is_refused(name, event, sentence):
    with pytest.raises(logpi.InputError, match=sentence):
        logpi.score(DISTRIBUTIONS[name], event)


def estimated(f, of, params, estimator) -> logpi.Estimate:
    """By 256 replicates of 16 samples."""
    return logpi.estimate(logpi.expectation(f, of, 16, estimator), params, KEY, replicates=256)


@pytest.mark.parametrize("estimator", [Score(), Pathwise(), Antithetic(Pathwise())], ids=str)
def test_the_squashed_normal_is_estimated(estimator):
    """Against a sum over ten thousand quantiles."""
    params = jnp.array([0.4, -0.5])

    def of(p):
        return TanhNormal(p[0], p[1])

    def f(x):
        return (x - 0.3) ** 2

    z = jnp.asarray(norm.ppf((np.arange(10_000) + 0.5) / 10_000), jnp.float32)
    exact = jax.jit(jax.grad(lambda p: jnp.mean(f(jnp.tanh(p[0] + jnp.exp(p[1]) * z)))))(params)
    found = estimated(f, of, params, estimator)
    assert jnp.all(jnp.abs(found.gradient - exact) < 5 * found.gradient_error + 1e-4)


COSTS = jnp.array([1.0, jnp.nan, 3.0, -2.0])  # of what is forbidden nobody needs to know


def test_the_masked_choice_is_estimated():
    def of(logits):
        return MaskedCategorical(logits, MASK)

    def f(x):
        return COSTS[x]

    slope = jax.jit(jax.grad(lambda t: jnp.sum(jax.nn.softmax(jnp.where(MASK, t, -jnp.inf)) * jnp.nan_to_num(COSTS))))
    exact = slope(LOGITS)
    summed = estimated(f, of, LOGITS, Enumerate())
    np.testing.assert_allclose(summed.gradient, exact, atol=1e-6)
    for estimator in (Score(), Antithetic(Score())):
        found = estimated(f, of, LOGITS, estimator)
        assert jnp.all(jnp.abs(found.gradient - exact) < 5 * found.gradient_error + 1e-6)


def test_what_it_does_not_tell_is_refused():
    for estimator, name, said in (
        (Enumerate(), "tanh", "TanhNormal is not known to have a finite support"),
        (MeasureValued(), "tanh", "TanhNormal is not in the table"),
        (Pathwise(), "masked", "MaskedCategorical is not known to be reparametrised"),
    ):
        J = logpi.expectation(lambda x: jnp.sum(x), samples=2, estimator=estimator)
        with pytest.raises(logpi.InputError, match=said):
            J(DISTRIBUTIONS[name], KEY)


def test_it_is_a_part_of_a_joint():
    """Which asks its parts, and names the one that does not know."""
    two = Joint((DISTRIBUTIONS["masked"], MaskedCategorical(-LOGITS, ~MASK)))
    J = logpi.expectation(lambda x: jnp.sum(x.astype(float)), samples=2, estimator=Enumerate())
    assert jnp.allclose(J(two, KEY), 1.0 + jnp.sum(PROBS * jnp.arange(4)))
    with pytest.raises(logpi.InputError, match="MaskedCategorical is not known to be reparametrised"):
        logpi.expectation(lambda x: jnp.sum(x), estimator=Pathwise())(two, KEY)


class Squashed(logpi.AbstractPolicy):
    """A linear policy for actions between -1 and 1."""

    weight: Array
    log_std: Array

    def initial_memory(self):
        return ()

    def __call__(self, obs, memory) -> tuple[AbstractDistribution, tuple]:
        return TanhNormal(self.weight @ obs, self.log_std), memory


def test_a_policy_of_squashed_normals_learns():
    """To repeat what it sees: blind, it would be paid 2/3."""
    start = WithoutCritic(Squashed(jnp.zeros((2, 2)), jnp.full(2, -0.5)))
    env = Identity(Box((2,), -1.0, 1.0))
    algorithm = logpi.REINFORCE(logpi.Adam(learning_rate=5e-2))
    run = logpi.train(env, algorithm, model=start, steps=8192, num_envs=16, rollout_length=16)
    assert jnp.all(jnp.diag(run.models[0].policy.weight) > 0.5)


class Doors(AbstractEnv):
    """Three doors, of which one is locked, and fatal; behind one of the others, which is named, is a 1."""

    @property
    def obs_space(self):
        return Box((6,))

    @property
    def action_space(self):
        return Discrete(3)

    def reset(self, key):
        """The doors in a random order: the named one first, the locked one second."""
        order = jax.random.permutation(key, 3)
        return order, first_timestep(self.seen(order))

    def step(self, key, state, action):
        """Pays and ends."""
        reward = jnp.where(action == state[1], -jnp.inf, (action == state[0]).astype(float))
        return state, Timestep(self.seen(state), reward, jnp.ones((), bool), jnp.zeros((), bool))

    def seen(self, order: Array) -> Array:
        """The named door, and which are not locked."""
        return jnp.concatenate([jax.nn.one_hot(order[0], 3), 1 - jax.nn.one_hot(order[1], 3)])


class Masked(logpi.AbstractPolicy):
    """A linear policy that tries no locked door."""

    weight: Array

    def initial_memory(self):
        return ()

    def __call__(self, obs, memory) -> tuple[AbstractDistribution, tuple]:
        return MaskedCategorical(self.weight @ obs[:3], obs[3:] > 0), memory


def test_a_masked_policy_learns():
    """A single forbidden action would cost infinitely much."""
    start = WithoutCritic(Masked(jnp.zeros((3, 3))))
    run = logpi.train(
        Doors(), logpi.PPO(logpi.Adam(learning_rate=5e-2)), model=start, steps=4096, num_envs=16, rollout_length=16
    )
    weight = run.models[0].policy.weight
    assert jnp.all(jnp.isfinite(weight))
    assert jnp.all(jnp.argmax(weight, axis=0) == jnp.arange(3))
