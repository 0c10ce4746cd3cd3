"""The observation normaliser: NumPy's mean and variance, over any batches, and out of the optimiser's reach."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi import spaces
from logpi.models import make_actor_critic, Network, Normalized, Normalizer, observe
from logpi.parameters import trainable

SPACE = spaces.Dict(
    (
        ("image", spaces.Box((4, 4, 1), 0, 255, "uint8")),
        ("joints", spaces.Box((2, 3))),
        ("switch", spaces.Discrete(3)),
        ("temperature", spaces.Box(())),
    )
)


def observations(rows: int, seed: int):
    random = np.random.default_rng(seed)
    return {
        "image": random.integers(0, 256, (rows, 4, 4, 1), dtype=np.uint8),
        "joints": (random.normal(size=(rows, 2, 3)) * [1, 10, 0.01] + [[0, 5, 1], [100, -3, 0]]).astype(np.float32),
        "switch": random.integers(0, 3, rows).astype(np.int32),
        "temperature": random.normal(20, 3, rows).astype(np.float32),
    }


_merged = jax.jit(Normalizer.merged)


def test_statistics_are_numpys_over_all_batches_together():
    normalizer, seen = Normalizer(SPACE), []
    for seed, rows in enumerate([7, 1, 40, 3, 200]):
        batch, random = observations(rows, seed), np.random.default_rng(seed + 100)
        weight = (random.uniform(size=rows) < 0.7).astype(np.float32)
        normalizer = _merged(normalizer, jax.tree.map(jnp.asarray, batch), jnp.asarray(weight))
        seen.append(jax.tree.map(lambda x, keep=weight > 0: x[keep], batch))
    seen = jax.tree.map(lambda *x: np.concatenate(x).astype(np.float64), *seen)
    assert float(normalizer.count) == len(seen["switch"]) > 100
    for name in ("image", "joints", "temperature"):
        np.testing.assert_allclose(normalizer.mean[name], seen[name].mean(0), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(normalizer.variance[name], seen[name].var(0), rtol=1e-3)


def test_a_batch_in_which_nothing_counts_changes_nothing():
    before = _merged(Normalizer(SPACE), jax.tree.map(jnp.asarray, observations(9, 0)), jnp.ones(9))
    for normalizer in (Normalizer(SPACE), before):
        after = _merged(normalizer, jax.tree.map(jnp.asarray, observations(9, 1)), jnp.zeros(9))
        for old, new in zip(jax.tree.leaves(normalizer), jax.tree.leaves(after), strict=True):
            np.testing.assert_array_equal(old, new)


def test_what_is_no_box_stays_as_it_is():
    batch = jax.tree.map(jnp.asarray, observations(50, 0))
    normalizer = _merged(Normalizer(SPACE), batch, jnp.ones(50))
    normalized = jax.vmap(normalizer)(batch)
    assert normalized["switch"].dtype == batch["switch"].dtype
    np.testing.assert_array_equal(normalized["switch"], batch["switch"])
    for name in ("image", "joints", "temperature"):
        np.testing.assert_allclose(normalized[name].mean(0), 0, atol=2e-3)
        np.testing.assert_allclose(normalized[name].std(0), 1, atol=2e-3)


def test_before_anything_is_seen_observations_pass():
    obs = jnp.asarray([0.5, -3.0])
    np.testing.assert_allclose(Normalizer(spaces.Box((2,)))(obs), obs, rtol=1e-6)


def test_before_anything_is_seen_bytes_and_pictures_are_fractions() -> None:
    for space in (spaces.Box((3,), 0, 255, "uint8"), spaces.Box((4, 4, 1), 0, 255, "float32")):
        seen = Normalizer(space)(jnp.full(space.shape, 51, jnp.dtype(space.dtype)))
        np.testing.assert_allclose(seen, np.full(space.shape, 0.2), rtol=1e-6)


def test_values_are_clipped_at_the_limit():
    normalizer = Normalizer(spaces.Box((2,)), limit=5.0)
    np.testing.assert_array_equal(normalizer(jnp.asarray([1e9, -1e9])), [5, -5])


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_long_stream_is_as_exact_as_float32_allows(offset):
    random, normalizer = np.random.default_rng(0), Normalizer(spaces.Box(()))
    rows = (random.normal(size=(100, 512)) * 2 + offset).astype(np.float32)
    for batch in rows:
        normalizer = _merged(normalizer, jnp.asarray(batch), jnp.ones(512))
    np.testing.assert_allclose(normalizer.mean, rows.mean(dtype=np.float64), atol=1e-3 + 1e-6 * offset)
    np.testing.assert_allclose(normalizer.variance, rows.var(dtype=np.float64), rtol=5e-3)


@pytest.fixture(scope="module")
def model() -> Normalized:
    network = Network(width=4, depth=1, normalize_observations=True)
    made = make_actor_critic(spaces.Box((2,)), spaces.Box((1,)), network, key=jax.random.key(0))
    assert isinstance(made, Normalized)
    return made


def test_observe_takes_the_valid_rows_and_leaves_the_rest_of_the_model(model):
    obs = jnp.asarray(np.random.default_rng(0).normal(3, 2, (2, 5, 2)), jnp.float32)
    valid = jnp.asarray([[True, False, True, True, True], [True, True, True, False, False]])
    after = observe(model, obs, valid)
    seen = np.asarray(obs)[np.asarray(valid)]
    np.testing.assert_allclose(after.normalizer.mean, seen.mean(0), rtol=1e-5)
    np.testing.assert_allclose(after.normalizer.variance, seen.var(0), rtol=1e-5)
    assert float(after.normalizer.count) == 7
    assert all(a is b for a, b in zip(jax.tree.leaves(model.model), jax.tree.leaves(after.model), strict=True))
    assert observe(model.model, obs, valid) is model.model  # nothing to update in a model without a normaliser


def test_the_model_sees_normalised_observations(model):
    after = eqx.tree_at(
        lambda m: (m.normalizer.mean, m.normalizer.variance), model, (jnp.asarray([1.0, 2.0]), jnp.asarray([4.0, 9.0]))
    )
    mine, _ = after.evaluate(jnp.asarray([3.0, 5.0]), ())
    right, _ = model.model.evaluate(jnp.asarray([1.0, 1.0]), ())
    np.testing.assert_allclose(mine.value, right.value, rtol=1e-5)
    np.testing.assert_allclose(mine.policy.mean, right.policy.mean, rtol=1e-5, atol=1e-7)


def test_statistics_are_not_trainable_and_everything_else_is(model):
    marks = trainable(model)
    assert not any(jax.tree.leaves(marks.normalizer))
    learned = jax.tree.leaves(eqx.filter(model, marks))
    every = jax.tree.leaves(eqx.filter(model.model, eqx.is_inexact_array))
    assert [id(x) for x in learned] == [id(x) for x in every]
    assert any(leaf is model.model.head.log_std for leaf in learned)  # the deviation of the actions is learned


def test_integers_are_not_trainable():
    marks = trainable({"a": jnp.zeros(2), "b": jnp.zeros(2, jnp.int32), "c": 1.0, "d": jnp.zeros(2, bool)})
    assert marks == {"a": True, "b": False, "c": False, "d": False}
