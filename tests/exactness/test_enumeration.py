"""The policy gradient of the library on an MDP of three states, against the enumeration of all its trajectories.

What the library climbs leaves out the discount of the states, as every common implementation does: it is the gradient
of the expected discounted return for gamma = 1 alone. Both are shown.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from logpi import GAE, MonteCarlo, NStep, REINFORCE
from logpi.audit.problems.defaults import LOGITS
from logpi.batch import prepare, Segments
from logpi.distributions import Categorical
from logpi.learners.steps import gradient
from logpi.models import AbstractActorCritic, AbstractPolicy, Output, WithoutCritic
from logpi.rollout import CompiledRollout
from logpi.trajectory import Trajectory
from tests.exactness import enumeration
from tests.exactness.worlds import HORIZON, ThreeStates

GAMMA = 0.8


class Tabular(AbstractPolicy):
    """A policy of the user's own: a row of logits for each state, whatever the step."""

    logits: Float[Array, "states actions"]

    def initial_memory(self):
        return ()

    def __call__(self, obs, memory):
        return Categorical(self.logits[obs // HORIZON]), memory


class WithTable(AbstractActorCritic):
    """The same with a critic: any number for each state at each step."""

    policy: Tabular
    table: Float[Array, "states steps"]

    def initial_memory(self):
        return ()

    def evaluate(self, obs, memory):
        policy, memory = self.policy(obs, memory)
        return Output(policy, self.table[obs // HORIZON, obs % HORIZON]), memory


def every_trajectory() -> Trajectory:
    """All of them as streams; what follows an end is not valid."""
    rows, time = enumeration.ALIVE.shape
    last = np.arange(time) == enumeration.LENGTHS[:, None] - 1
    nothing = np.zeros((rows, time), bool)
    return Trajectory(
        obs=jnp.asarray(enumeration.STATES * HORIZON + np.arange(HORIZON)),
        action=jnp.asarray(enumeration.ACTIONS),
        log_prob=jnp.zeros((rows, time)),
        reward=jnp.asarray(enumeration.REWARDS),
        terminated=jnp.asarray(last),
        truncated=jnp.asarray(nothing),
        start=jnp.asarray(nothing).at[:, 0].set(True),
        valid=jnp.asarray(enumeration.ALIVE),
        last_obs=jnp.zeros(rows, int),
        last_start=jnp.zeros(rows, bool),
        memory=(),
    )


def exact_gradient(model: AbstractActorCritic, credit) -> np.ndarray:
    """What REINFORCE climbs in expectation: each trajectory counted with its probability, none drawn."""
    batch = prepare(model, every_trajectory(), credit, None)
    chances = jnp.repeat(enumeration.probabilities(jnp.asarray(LOGITS)), HORIZON).reshape(batch.weight.shape)
    batch = eqx.tree_at(lambda b: b.weight, batch, batch.weight * chances)
    uphill, _ = gradient(REINFORCE(credit=credit, value_coef=0.0).objective, model, batch)
    return np.asarray(uphill.policy.logits * jnp.sum(batch.weight))  # not the mean of the rows, but their sum


@pytest.fixture
def in_float64():
    with jax.enable_x64(True):
        yield


def test_the_enumeration_is_whole():
    with jax.enable_x64(True):
        np.testing.assert_allclose(jnp.sum(enumeration.probabilities(jnp.asarray(LOGITS))), 1.0, rtol=1e-12)
        start = enumeration.values(LOGITS, GAMMA)[:, 0] @ enumeration.FIRST
        np.testing.assert_allclose(enumeration.expected_return(jnp.asarray(LOGITS), GAMMA), start, rtol=1e-12)


@pytest.mark.parametrize("gamma", [1.0, GAMMA])
def test_the_score_with_the_discount_of_the_states_is_the_gradient(gamma):
    """The policy gradient theorem itself, between two ways of enumeration; without it, it is another direction."""
    right = enumeration.gradient_of_expected_return(LOGITS, gamma)
    score = enumeration.score_gradient(LOGITS, gamma, discount_states=True)
    np.testing.assert_allclose(score, right, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("gamma", [1.0, GAMMA])
def test_reinforce_is_the_expected_score_without_the_discount_of_the_states(gamma):
    mine = exact_gradient(WithoutCritic(Tabular(jnp.asarray(LOGITS))), MonteCarlo(gamma))
    undiscounted = enumeration.score_gradient(LOGITS, gamma, discount_states=False)
    np.testing.assert_allclose(mine, undiscounted, rtol=1e-10, atol=1e-12)
    of_the_return = enumeration.gradient_of_expected_return(LOGITS, gamma)
    distance = np.linalg.norm(mine - of_the_return) / np.linalg.norm(of_the_return)
    assert distance < 1e-10 if gamma == 1 else distance > 0.05


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("credit", [MonteCarlo(GAMMA), GAE(GAMMA, 1.0), NStep(HORIZON, GAMMA)], ids=repr)
def test_a_critic_that_is_wrong_moves_no_expectation(credit):
    table = jnp.asarray(np.random.default_rng(0).normal(size=(3, HORIZON)))
    mine = exact_gradient(WithTable(Tabular(jnp.asarray(LOGITS)), table), credit)
    right = enumeration.score_gradient(LOGITS, GAMMA, discount_states=False)
    np.testing.assert_allclose(mine, right, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("credit", [GAE(GAMMA, 0.0), GAE(GAMMA, 0.6), NStep(2, GAMMA)], ids=repr)
def test_bootstrapping_from_the_true_value_moves_none_either_and_from_a_wrong_one_does(credit):
    right = enumeration.score_gradient(LOGITS, GAMMA, discount_states=False)
    table = jnp.asarray(enumeration.values(LOGITS, GAMMA))
    policy = Tabular(jnp.asarray(LOGITS))
    np.testing.assert_allclose(exact_gradient(WithTable(policy, table), credit), right, rtol=1e-10, atol=1e-12)
    wrong = exact_gradient(WithTable(policy, table + jnp.arange(3.0)[:, None]), credit)
    assert np.linalg.norm(wrong - right) > 0.05 * np.linalg.norm(right)


def first_episodes(batch: Segments, streams: int) -> Segments:
    """The rows of the first episode of each stream; by then it is over."""
    shape = streams, HORIZON
    over = jnp.cumsum((batch.weight == 0).reshape(shape), axis=1) > 0  # from the row that resets on
    return eqx.tree_at(lambda b: b.weight, batch, jnp.where(over, 0.0, 1.0).reshape(batch.weight.shape))


def test_reinforce_by_sampling():
    """Within 4.5 standard errors in each of six entries: false alarm once in 25,000 keys. This key is fixed."""
    streams = 40_000
    rollout = CompiledRollout(ThreeStates(), streams, HORIZON)
    model = WithoutCritic(Tabular(jnp.asarray(LOGITS, jnp.float32)))
    algorithm = REINFORCE(credit=MonteCarlo(GAMMA))

    @eqx.filter_jit
    def gradients(model):
        trajectory, _ = rollout.collect(model, rollout.init(model, jax.random.key(0)), jax.random.key(1))
        batch = first_episodes(prepare(model, trajectory, algorithm.credit, None), streams)
        streamwise = jax.tree.map(lambda x: x.reshape(streams, HORIZON, *x.shape[1:]), batch)

        def one(stream):
            return gradient(algorithm.objective, model, stream)[0].policy.logits * jnp.sum(stream.weight)

        return jax.vmap(one)(streamwise), streamwise.weight

    drawn, weight = (np.asarray(x, np.float64) for x in gradients(model))
    lengths, chances = enumeration.LENGTHS, np.asarray(enumeration.probabilities(jnp.asarray(LOGITS)))
    played = weight.sum((1, 2))
    assert abs(played.mean() - lengths @ chances) < 4.5 * played.std() / np.sqrt(streams)
    error = drawn.std(0) / np.sqrt(streams)
    right = enumeration.score_gradient(LOGITS, GAMMA, discount_states=False)
    assert (np.abs(drawn.mean(0) - right) < 4.5 * error).all()
    other = enumeration.gradient_of_expected_return(LOGITS, GAMMA)
    assert (np.abs(drawn.mean(0) - other) > 4.5 * error).any()  # enough samples to tell the two apart
