"""From a trajectory to a batch: what counts, what does not, and how it is cut and scaled."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi import A2C, GAE, InputError, MonteCarlo, NStep
from logpi.advantages import Standardised
from logpi.batch import explained_variance, prepare, with_advantages
from logpi.learners.steps import gradient
from logpi.models import unroll
from tests.exactness import definitions
from tests.exactness.test_log_prob import collected, make

CREDIT = GAE(0.9, 0.8)


@pytest.fixture(scope="module")
def case():
    return collected(make("Box", "gru"), "Box")


@eqx.filter_jit
def prepared(model, trajectory, credit=CREDIT, length=None):
    return prepare(model, trajectory, credit, length)


@eqx.filter_jit
def learned_from(model, trajectory):
    """What an algorithm takes from a trajectory: standard advantages and targets that count, and a gradient."""
    batch = with_advantages(prepare(model, trajectory, CREDIT, None), Standardised())
    kept = jnp.where(batch.weight > 0, batch.advantage, 0.0), jnp.where(batch.weight > 0, batch.target, 0.0)
    return kept, gradient(A2C().objective, model, batch)[0], explained_variance(batch)


def test_rows_that_only_reset_influence_nothing(case):
    """Whatever stands in their reward, action and log-probability."""
    model, trajectory = case
    resets = ~trajectory.valid
    assert resets.any()
    other = eqx.tree_at(
        lambda t: (t.reward, t.log_prob, t.action),
        trajectory,
        (
            jnp.where(resets, 1e3, trajectory.reward),
            jnp.where(resets, -7.0, trajectory.log_prob),
            jnp.where(resets[..., None], 3.0, trajectory.action),
        ),
    )
    for a, b in zip(*(jax.tree.leaves(learned_from(model, t)) for t in (trajectory, other)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("credit", [CREDIT, MonteCarlo(0.9), NStep(3, 0.9)], ids=lambda c: type(c).__name__)
def test_credit_is_along_each_stream_with_the_value_of_what_follows(case, credit):
    model, trajectory = case
    batch = prepared(model, trajectory, credit)
    streams, time = trajectory.reward.shape
    value = np.asarray(_values(model, trajectory))
    np.testing.assert_allclose(np.ravel(batch.value), np.ravel(value[:, :-1]), rtol=1e-5, atol=1e-5)
    advantage, t = np.asarray(batch.advantage).reshape(streams, time), jax.tree.map(np.asarray, trajectory)
    definition = {GAE: definitions.gae, MonteCarlo: definitions.monte_carlo, NStep: definitions.n_step}[type(credit)]
    numbers = {GAE: (0.9, 0.8), MonteCarlo: (0.9,), NStep: (0.9, 3)}[type(credit)]
    for stream in range(streams):
        right = definition(*(x[stream] for x in (t.reward, t.terminated, t.truncated, value)), *numbers)
        np.testing.assert_allclose(advantage[stream], right, rtol=1e-4, atol=1e-4)


@eqx.filter_jit
def _values(model, trajectory):
    """With the observation after the last row as one more row: (streams, time + 1)."""
    obs = jnp.concatenate([trajectory.obs, trajectory.last_obs[:, None]], axis=1)
    start = jnp.concatenate([trajectory.start, trajectory.last_start[:, None]], axis=1)
    return unroll(model, obs, start, trajectory.memory)[0].value


@pytest.mark.parametrize("length", [5, 7, 24])
def test_a_rollout_that_does_not_split_is_an_input_error(case, length):
    model, trajectory = case
    with pytest.raises(InputError, match=f"segment_length is {length}, but a rollout of 12 steps"):
        prepare(model, trajectory, CREDIT, length)


@pytest.mark.parametrize(("memory", "length"), [("gru", 4), ("none", 1)])
def test_segments_are_contiguous_pieces(case, memory, length):
    """Without memory, single rows, whatever length is asked for."""
    model, trajectory = case if memory == "gru" else collected(make("Box", "none"), "Box")
    batch = prepared(model, trajectory, CREDIT, 4)
    for name in ("obs", "start", "action", "log_prob"):
        whole = getattr(trajectory, name)
        pieces = np.asarray(whole).reshape(-1, length, *whole.shape[2:])
        np.testing.assert_array_equal(getattr(batch, name), pieces)
    np.testing.assert_array_equal(batch.weight, np.asarray(trajectory.valid, np.float32).reshape(-1, length))


def test_explained_variance(case):
    model, trajectory = case
    batch = prepared(model, trajectory)
    valid = np.asarray(batch.weight) > 0
    target, value = np.asarray(batch.target)[valid], np.asarray(batch.value)[valid]
    right = 1 - (target - value).var() / target.var()
    np.testing.assert_allclose(explained_variance(batch), right, rtol=1e-3, atol=1e-3)
    perfect = eqx.tree_at(lambda b: b.value, batch, batch.target + 3)
    np.testing.assert_allclose(explained_variance(perfect), 1, atol=1e-5)
    flat = eqx.tree_at(lambda b: b.target, batch, jnp.ones_like(batch.target))
    assert float(explained_variance(flat)) == 0
