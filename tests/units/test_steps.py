"""Optimisers, gradients over batches, and passes over minibatches."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array, Float, Int, PRNGKeyArray

from logpi import Adam, InputError, Optax, trajectory
from logpi.learners.steps import (
    accumulated_step,
    apply_gradient,
    epochs,
    gradient,
    gradient_step,
    GradientNoise,
    init_learner,
    no_noise,
)

PARAMS = {"a": jnp.asarray([1.0, -2.0]), "b": (jnp.asarray([[0.5]]), jnp.asarray(3.0))}


class Rows(eqx.Module):
    """A batch for the objectives below."""

    x: Float[Array, "rows 2"]
    index: Int[Array, " rows"]
    weight: Float[Array, " rows"]


def rows(size: int, seed: int = 0) -> Rows:
    """Rows whose weights differ, some of them 0."""
    random = np.random.default_rng(seed)
    weight = random.uniform(size=size) * (random.uniform(size=size) < 0.8)
    x = random.normal(size=(size, 2))
    return Rows(jnp.asarray(x, jnp.float32), jnp.arange(size), jnp.asarray(weight, jnp.float32))


def objective(model, batch):
    """A different gradient for each row, and two columns of a record."""
    value = jnp.sin(batch.x @ model["a"]) * model["b"][1] - jnp.sum(model["b"][0]) * batch.x[:, 0]
    return value, {"value": value, "index": batch.index * 1.0}


def close(first, second, **tolerance) -> None:
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(a, b, **({"rtol": 1e-5, "atol": 1e-6} | tolerance))


@pytest.mark.parametrize(("most", "number"), [(4 * 4, 6), (4 * 5, 6), (4 * 7, 4), (3, 24)])
def test_a_gradient_added_up_over_portions(monkeypatch, most, number):
    """Of 24 rows of four numbers, whatever their weights; a portion has one row at least."""
    batch = rows(24)
    whole = gradient(objective, PARAMS, batch)
    monkeypatch.setattr(trajectory, "PORTION", most)
    assert trajectory.portions(batch).weight.shape == (number, 24 // number)
    close(gradient(objective, PARAMS, batch), whole)


@pytest.mark.parametrize("scale", [0.01, 10.0], ids=["short", "cut"])
def test_adam_is_that_of_optax(scale):
    """On gradients shorter and longer than the limit of their norm; up for us, down for Optax."""
    ours = Adam(0.02, max_grad_norm=0.5, epsilon=1e-5)
    theirs = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.02, eps=1e-5))
    mine, right, state, their_state = PARAMS, PARAMS, ours.init(PARAMS), theirs.init(PARAMS)
    step, their_step = jax.jit(ours.update), jax.jit(theirs.update)
    for seed in range(4):
        keys = iter(jax.random.split(jax.random.key(seed), 3))
        uphill = jax.tree.map(lambda p, keys=keys: scale * jax.random.normal(next(keys), p.shape), PARAMS)
        change, state = step(uphill, state, mine, jnp.zeros(()))
        mine = optax.apply_updates(mine, change)
        their_change, their_state = their_step(jax.tree.map(jnp.negative, uphill), their_state, right)
        right = optax.apply_updates(right, their_change)
        close(mine, right)
    assert max(np.abs(a - b).max() for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(PARAMS), strict=True)) > 0.01


@pytest.mark.parametrize(("anneal", "progress", "left"), [(0, 1, 1), (1, 0, 1), (1, 0.25, 0.75), (0.8, 1, 0.2)])
def test_the_learning_rate_falls_linearly(anneal, progress, left):
    full, _ = Adam(0.1).update(PARAMS, Adam(0.1).init(PARAMS), PARAMS, jnp.asarray(0.3))
    annealed = Adam(0.1, anneal=float(anneal))
    less, _ = annealed.update(PARAMS, annealed.init(PARAMS), PARAMS, jnp.asarray(float(progress)))
    close(less, jax.tree.map(lambda x: left * x, full))


def test_a_gradient_of_zero_moves_nothing():
    change, _ = Adam().update(jax.tree.map(jnp.zeros_like, PARAMS), Adam().init(PARAMS), PARAMS, jnp.zeros(()))
    assert all((x == 0).all() for x in jax.tree.leaves(change))


@pytest.mark.parametrize("field", ["learning_rate", "max_grad_norm", "epsilon"])
def test_numbers_out_of_range_are_input_errors(field):
    with pytest.raises(InputError, match=f"{field} is -1"):
        Adam(**{field: -1.0})
    with pytest.raises(InputError, match="anneal is 2"):
        Adam(anneal=2.0)


def test_schedules_run_from_0_to_1():
    learner = init_learner(PARAMS, Adam(), 4)
    seen = []
    for _ in range(5):
        seen.append(float(learner.progress))
        learner = learner.after_update(learner.model)
    assert seen == [0, 0.25, 0.5, 0.75, 1]


def test_the_gradient_is_of_the_weighted_mean():
    batch, epsilon = rows(6), 1e-2
    uphill, record = jax.jit(lambda: gradient(objective, PARAMS, batch))()
    weight = np.asarray(batch.weight, np.float64)

    def mean(model):
        return float(np.asarray(objective(model, batch)[0], np.float64) @ weight / weight.sum())

    for i in range(2):
        step = epsilon * np.eye(2, dtype=np.float32)[i]
        up, down = ({**PARAMS, "a": PARAMS["a"] + s} for s in (step, -step))
        np.testing.assert_allclose(uphill["a"][i], (mean(up) - mean(down)) / (2 * epsilon), rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(record["value"], mean(PARAMS), rtol=1e-5)
    np.testing.assert_allclose(record["index"], np.arange(6) @ weight / weight.sum(), rtol=1e-5)


def test_a_batch_in_which_nothing_counts_has_no_gradient():
    batch = eqx.tree_at(lambda b: b.weight, rows(4), jnp.zeros(4))
    uphill, record = gradient(objective, PARAMS, batch)
    assert all((x == 0).all() for x in jax.tree.leaves((uphill, record)))


@pytest.mark.parametrize("optimiser", [Adam(0.01), Optax(optax.sgd(0.01))], ids=["Adam", "Optax"])
def test_a_step_goes_up(optimiser):
    learner, batch = init_learner(PARAMS, optimiser, 1), rows(16)

    def height(model) -> float:
        return float(objective(model, batch)[0] @ batch.weight)

    after, uphill, _ = gradient_step(objective, learner, batch, optimiser)
    assert height(after.model) > height(learner.model)
    close(after.model, apply_gradient(learner, uphill, optimiser).model)
    assert int(after.updates) == 0  # of updates, an algorithm keeps count


@pytest.mark.parametrize(("size", "parts"), [(16, 8), (12, 6), (11, 1)])
def test_a_gradient_taken_in_parts_is_that_of_the_whole(size, parts):
    plain, batch = Optax(optax.sgd(1.0)), rows(size)
    learner = init_learner(PARAMS, plain, 1)
    after, record, noise = jax.jit(lambda: accumulated_step(objective, learner, batch, plain))()
    right, right_record = gradient(objective, PARAMS, batch)
    close(jax.tree.map(jnp.subtract, after.model, PARAMS), right, rtol=1e-4)
    close(record, right_record)
    assert float(noise.parts) == parts
    length = np.sqrt(sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(right)))
    np.testing.assert_allclose(noise.norm(), length, rtol=1e-4)
    assert np.isnan(noise.signal_to_noise()) == (parts == 1)


def test_signal_and_noise_are_unbiased():
    """Parts drawn from a Gaussian of known mean and covariance; both estimates averaged over many batches.

    Within 4.5 standard errors each: false alarm once in 70,000 keys. This key is fixed.
    """
    mean, deviation, parts, batches = jnp.asarray([2.0, -1.0, 0.5]), jnp.asarray([0.5, 1.0, 0.2]), 5, 20_000

    def one(key) -> tuple[Array, Array]:
        noise = no_noise(mean)
        for draw in mean[None] + deviation[None] * jax.random.normal(key, (parts, 3)):
            noise = noise.with_part(draw)
        return noise.norm() ** 2, noise.signal_to_noise()

    keys = jax.random.split(jax.random.key(0), batches)
    squares, ratio = (np.asarray(x, np.float64) for x in jax.jit(jax.vmap(one))(keys))
    assert (ratio > 0).all()  # so the ratio says both: (signal, variance of the mean) from it and their sum
    variance = squares / (1 + ratio)
    signal, of_the_mean = float(jnp.sum(mean**2)), float(jnp.sum(deviation**2)) / parts
    for estimate, right in ((variance, of_the_mean), (squares - variance, signal)):
        assert abs(estimate.mean() - right) < 4.5 * estimate.std() / np.sqrt(batches)


def test_pure_noise_is_no_signal():
    noise = no_noise(jnp.zeros(1))
    for value in (1.0, -1.0, 1.0, -1.0):
        noise = noise.with_part(jnp.asarray([value]))
    assert isinstance(noise, GradientNoise) and float(noise.signal_to_noise()) == 0 == float(noise.norm())


class Counts(eqx.Module):
    """A model that counts how often it has seen each row, for the test of `epochs`."""

    seen: Float[Array, " rows"]
    orders: Int[Array, "steps rows_of_a_minibatch"]
    steps: Float[Array, ""]


def passes(script: Float[Array, " passes"], key: PRNGKeyArray, *, num_minibatches: int = 2, size: int = 6):
    """`epochs`, as many as the script has, with a record whose `kl` in pass i is `script[i]` on average."""

    def step(learner, minibatch):
        model, now = learner.model, learner.model.steps.astype(int)
        kl = script[now // num_minibatches] + jnp.where(now % 2 == 0, 1, -1)
        seen = model.seen.at[minibatch.index].add(minibatch.weight)
        counted = Counts(seen, model.orders.at[now].set(minibatch.index), model.steps + 1)
        uphill = Counts(jnp.zeros(size), None, model.steps)
        return eqx.tree_at(lambda x: x.model, learner, counted), uphill, {"kl": kl}

    orders = jnp.zeros((len(script) * num_minibatches, size // num_minibatches), jnp.int32)
    learner = init_learner(Counts(jnp.zeros(size), orders, jnp.zeros(())), Adam(), 1)
    batch = Rows(jnp.zeros((size, 2)), jnp.arange(size), 10.0 ** jnp.arange(size))
    after, info = epochs(
        step, learner, batch, num_epochs=len(script), num_minibatches=num_minibatches,
        stop=lambda record: record["kl"] > 0.5, key=key,
    )  # fmt: skip
    return after.model, info


_passes = jax.jit(passes)


@pytest.mark.parametrize(
    ("script", "made"), [([0.1, 0.2, 0.9, 0.3], 3), ([0.9, 0, 0, 0], 1), ([0, 0, 0, 0.9], 4), ([0, 0, 0, 0], 4)]
)
def test_no_further_pass_once_the_policy_has_moved_far_enough(script, made):
    model, info = _passes(jnp.asarray(script, jnp.float32), jax.random.key(0))
    assert float(model.steps) == made * 2
    np.testing.assert_allclose(model.seen, made * 10.0 ** np.arange(6), rtol=1e-6)  # each row once a pass
    np.testing.assert_allclose(info.record["kl"], np.mean(script[:made]), atol=1e-6)  # over the passes that were made
    middles = np.arange(made) * 2 + 0.5  # of the two gradients of a pass
    np.testing.assert_allclose(info.gradient_norm, middles.mean(), rtol=1e-6)


def test_each_pass_has_an_order_of_its_own_and_each_key_others():
    def orders(key):
        return passes(jnp.zeros(2), key, size=30)[0].orders

    found = np.asarray(jax.jit(jax.vmap(orders))(jax.random.split(jax.random.key(0), 2))).reshape(4, 30)
    assert (np.sort(found) == np.arange(30)).all()
    assert len(np.unique(found, axis=0)) == 4


@pytest.mark.parametrize(("size", "num_minibatches"), [(6, 4), (6, 5), (6, 7)])
def test_a_batch_that_does_not_split_is_an_input_error(size, num_minibatches):
    with pytest.raises(InputError, match=f"num_minibatches is {num_minibatches}, but a batch of {size} segments"):
        passes(jnp.zeros(1), jax.random.key(0), num_minibatches=num_minibatches, size=size)
