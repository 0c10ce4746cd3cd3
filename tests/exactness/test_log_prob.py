"""The stored log-probability is the recomputed one, and a segment's memory the one that the policy acted with."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi import models, spaces
from logpi.batch import prepare
from logpi.credit import GAE
from logpi.models import AbstractActorCritic, log_probs, Network, observe, refresh, unroll
from logpi.rollout import CompiledRollout
from tests.exactness.worlds import ACTION_SPACES, Luck
from tests.weights import filled

NUM_ENVS, LENGTH = 3, 12
SEGMENT_LENGTHS = (4, None)
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}  # of float32, on log-probabilities of some units


def collected(model: AbstractActorCritic, kind: str):
    """The model after it has seen a rollout, and the second one: from the middle of episodes, with a memory."""
    rollout = CompiledRollout(Luck(action_space=ACTION_SPACES[kind]), NUM_ENVS, LENGTH)
    keys = jax.random.split(jax.random.key(1), 3)
    first, state = _collect(rollout, model, eqx.filter_jit(rollout.init)(model, keys[0]), keys[1])
    model = observe(model, first.obs, first.valid)
    return model, _collect(rollout, model, state, keys[2])[0]


@eqx.filter_jit
def _collect(rollout, model, state, key):
    return rollout.collect(model, state, key)


NORMALIZED = {("none", "Discrete"), ("none", "Box"), ("gru", "MultiDiscrete"), ("lstm", "MultiBinary"), ("lstm", "Box")}


def make(kind: str, memory: str, **said: str) -> AbstractActorCritic:
    """A model whose policy depends on what it sees and remembers, with a normaliser in some of the cases."""
    normalize = (memory, kind) in NORMALIZED
    network = Network(memory=memory, width=8, normalize_observations=normalize, **said)
    made = filled(models.make_actor_critic, spaces.Box((3,)), ACTION_SPACES[kind], network, scale=1.5)
    return models.Normalized(made.model, models.Normalizer(spaces.Box((3,)))) if normalize else made


def by_hand(model: AbstractActorCritic, trajectory):
    """Log-probabilities and memories of every row, stream by stream and step by step in a Python loop."""

    @eqx.filter_jit
    def one(obs, start, memory, action):
        output, after = model.evaluate(obs, refresh(model, start, memory))
        return output.policy.log_prob(action), after

    t = jax.tree.map(np.asarray, trajectory)
    log_prob, memories = np.zeros((NUM_ENVS, LENGTH)), []
    for stream in range(NUM_ENVS):
        memory = jax.tree.map(lambda m, stream=stream: m[stream], t.memory)
        for time in range(LENGTH):
            memories.append(jax.tree.map(np.asarray, memory))
            row = t.obs[stream, time], t.start[stream, time], memory, t.action[stream, time]
            log_prob[stream, time], memory = one(*jax.tree.map(jnp.asarray, row))
    return log_prob, jax.tree.map(lambda *m: np.stack(m).reshape(NUM_ENVS, LENGTH, *m[0].shape), *memories)


@eqx.filter_jit
def recomputed(model, trajectory, lengths):
    """A batch for each segment length, and the log-probabilities of its actions under the model."""
    found = []
    for length in lengths:
        batch = prepare(model, trajectory, GAE(), length)
        output, _ = unroll(model, batch.obs, batch.start, batch.memory)
        found.append((batch, log_probs(output.policy, batch.action)))
    return found


@pytest.mark.parametrize("kind", ACTION_SPACES)
@pytest.mark.parametrize("memory", ["none", "gru", "lstm"])
def test_stored_and_recomputed_agree(kind, memory):
    agree(make(kind, memory), kind, memory)


@pytest.mark.parametrize("name", ["state_dependent_normal", "tanh_normal"])
@pytest.mark.parametrize("memory", ["none", "gru"])
def test_stored_and_recomputed_agree_for_other_distributions_of_numbers(name, memory):
    agree(make("Box", memory, action_distribution=name), "Box", memory)


def agree(model: AbstractActorCritic, kind: str, memory: str) -> None:
    """Both log-probabilities and memories are those of a loop by hand."""
    model, trajectory = collected(model, kind)
    ended = np.asarray(trajectory.terminated | trajectory.truncated)
    assert trajectory.start.any() and ended.any() and not trajectory.valid.all()  # else the test shows little
    expected, memories = by_hand(model, trajectory)
    assert np.std(expected) > 0.05
    np.testing.assert_allclose(trajectory.log_prob, expected, **ROUNDING)
    lengths = SEGMENT_LENGTHS if memory != "none" else (None,)
    for length, (batch, log_prob) in zip(lengths, recomputed(model, trajectory, lengths), strict=True):
        np.testing.assert_array_equal(np.ravel(batch.log_prob), np.ravel(trajectory.log_prob))
        np.testing.assert_allclose(np.ravel(log_prob), np.ravel(trajectory.log_prob), **ROUNDING)
        for mine, right in zip(jax.tree.leaves(batch.memory), jax.tree.leaves(memories), strict=True):
            at_starts = right[:, :: length or LENGTH].reshape(-1, right.shape[-1])
            np.testing.assert_allclose(mine, at_starts, **ROUNDING)


def test_the_normaliser_has_seen_the_first_rollout():
    """Else the case with a normaliser would show nothing."""
    model, _ = collected(make("Discrete", "none"), "Discrete")
    assert (np.abs(model.normalizer.mean) > 0.3).all()


def test_memory_starts_anew_with_each_episode():
    """What comes before a start changes nothing after it."""
    model, trajectory = collected(make("Discrete", "gru"), "Discrete")
    stream, time = np.argwhere(np.asarray(trajectory.start))[-1]
    other = eqx.tree_at(lambda t: t.obs, trajectory, trajectory.obs.at[stream, :time].add(5.0))

    @eqx.filter_jit
    def values(trajectory):
        return unroll(model, trajectory.obs, trajectory.start, trajectory.memory)[0].value[stream]

    before, after = values(trajectory), values(other)
    np.testing.assert_array_equal(before[time:], after[time:])
    assert (before[:time] != after[:time]).any()
