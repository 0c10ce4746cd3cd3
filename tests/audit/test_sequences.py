"""The sequence problems against JAX's derivative of a plain sum over sequences, and against drawing."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.audit.losses.auditor import all_groups, arrays, expected, groups
from logpi.audit.losses.direction_checks import first_token_right, pass_rates
from logpi.audit.losses.sequences import draw, token_tree
from logpi.errors import InputError


def test_there_are_15_sequences_7_prefixes_and_21_parameters():
    shape = token_tree(3, 3)
    assert shape.tokens.shape == (15, 3) and shape.prefixes == 7
    assert draw(jax.random.key(0)).logits.size == 21
    assert sorted(shape.mask.sum(1)) == [1, 2, 2] + 12 * [3]
    ended = shape.tokens == 0
    assert all(row[:n].sum() <= 1 and (n == 3 or row[n - 1]) for row, n in zip(ended, shape.mask.sum(1), strict=True))


@pytest.mark.parametrize(("vocabulary", "length", "number"), [(2, 1, 2), (2, 3, 4), (3, 2, 7), (4, 3, 40)])
def test_every_sequence_is_there_once(vocabulary, length, number):
    shape = token_tree(vocabulary, length)
    rows = {tuple(row[keep]) for row, keep in zip(shape.tokens, shape.mask, strict=True)}
    assert len(shape.tokens) == len(rows) == number
    problem = draw(jax.random.key(1), vocabulary=vocabulary, length=length)
    assert problem.probability(problem.logits).sum() == pytest.approx(1, abs=1e-14)


def _expected(logits, problem, of):
    """A sum over sequences, for JAX to differentiate."""
    shape = problem.tree
    log_prob = jnp.where(shape.mask, jax.nn.log_softmax(logits)[:, shape.prefix, shape.tokens], 0).sum(-1)
    return jnp.mean(jnp.sum(jnp.exp(log_prob) * of(log_prob), axis=1))


@pytest.mark.parametrize("kind", ["binary", "real"])
def test_the_gradient_of_the_reward_is_that_of_the_sum(kind):
    problem = draw(jax.random.key(2), kind)
    with jax.enable_x64(True):
        exact = jax.grad(_expected)(jnp.asarray(problem.logits), problem, lambda _: problem.reward)
    np.testing.assert_allclose(problem.reward_gradient(), np.ravel(exact), atol=1e-15)


def test_the_gradient_of_the_kl_is_that_of_the_sum():
    problem = draw(jax.random.key(3))
    reference = problem.log_prob(problem.reference).sum(-1)
    with jax.enable_x64(True):
        exact = jax.grad(_expected)(jnp.asarray(problem.logits), problem, lambda log_prob: log_prob - reference)
    np.testing.assert_allclose(problem.kl_gradient(), np.ravel(exact), atol=1e-15)


def test_several_prompts_are_averaged():
    problem = pass_rates(0.1, 0.4)
    np.testing.assert_allclose(problem.probability(problem.logits)[:, 1], [0.1, 0.4], rtol=1e-12)
    slope = np.array([0.1 * 0.9, 0.4 * 0.6]) / 2
    np.testing.assert_allclose(problem.reward_gradient(), np.stack([-slope, slope], 1).ravel(), rtol=1e-12)


def test_the_critic_is_the_mean_reward_after_a_prefix():
    problem = draw(jax.random.key(4), "real")
    chance, value = problem.probability(problem.logits)[0], problem.value()[0]
    assert value[:, 0] == pytest.approx(np.full(15, chance @ problem.reward[0]), abs=1e-14)
    after = (problem.tree.tokens[:, 0] == 2) & problem.tree.mask[:, 1]
    mean = chance[after] @ problem.reward[0, after] / chance[after].sum()
    assert value[after, 1] == pytest.approx(np.full(after.sum(), mean), abs=1e-14)
    assert not value[~problem.tree.mask].any()


def test_all_groups_and_their_weights():
    index, count = groups(15, 4)
    assert len(index) == math.comb(18, 4) and count.sum() == 15**4
    chance = np.random.default_rng(0).dirichlet(np.ones(15))
    assert count @ chance[index].prod(1) == pytest.approx(1, abs=1e-12)
    ordered, one = groups(3, 4, ordered=True)
    assert len(ordered) == 81 and one.sum() == 81


def test_groups_in_any_order_give_the_expectation_of_ordered_ones():
    problem = draw(jax.random.key(5), length=2)

    def derivative(ordered):
        batches = all_groups(problem, 3, ordered=ordered, rows=False)
        return np.where(batches["mask"], batches["reward"].sum(1)[:, None, None] * batches["log_prob"] ** 2, 0)[None]

    few, many = (expected(problem, derivative(ordered), 3, ordered) for ordered in (False, True))
    np.testing.assert_allclose(few, many, atol=1e-13)


def test_the_expectation_is_the_mean_over_draws():
    """Of 20,000 groups: every parameter within 5.5 standard errors, which fails by chance once in a million runs."""
    problem = draw(jax.random.key(6), "real")
    rng = np.random.default_rng(0)
    index = rng.choice(15, size=(20_000, 4), p=problem.probability(problem.behaviour)[0])
    batch = arrays(problem, 0, index, np.zeros_like(index))
    derivative = batch["advantage"] / batch["mask"].sum(2, keepdims=True)
    one_each = [problem.gradient(_scatter(index[i], derivative[i])[None]) for i in range(2000)]
    mean, error = np.mean(one_each, 0), np.std(one_each, 0) / np.sqrt(2000)
    every = all_groups(problem, 4, ordered=False, rows=False)
    exact = expected(problem, (every["advantage"] / every["mask"].sum(2, keepdims=True))[None], 4)
    assert (np.abs(mean - exact) < 5.5 * error).all()


def _scatter(index, derivative):
    found = np.zeros((15, 3))
    np.add.at(found, index, derivative)
    return found


def test_the_sampler_may_be_another_policy():
    problem = draw(jax.random.key(7), off_policy=0.5)
    assert np.abs(problem.behaviour - problem.logits).max() > 0.1
    same = dataclasses.replace(problem, behaviour=problem.logits)
    np.testing.assert_allclose(problem.reward_gradient(), same.reward_gradient())


def test_a_reward_for_the_first_token_leaves_the_rest_alone():
    problem = first_token_right(0.1)
    assert problem.probability(problem.logits)[0] @ problem.reward[0] == pytest.approx(0.1)
    assert np.abs(problem.reward_gradient()[3:]).max() < 1e-16


def test_arrays_of_other_shapes_are_refused():
    with pytest.raises(InputError, match=r"reward has the shape \(1, 3\), but \(1, 15\) is needed"):
        draw(jax.random.key(0), np.ones((1, 3)))
    problem = draw(jax.random.key(0))
    few = np.zeros((1, 6, 3))
    with pytest.raises(InputError, match=r"logits has the shape \(1, 6, 3\), but \(1, 7, 3\) is needed"):
        dataclasses.replace(problem, logits=few, behaviour=few, reference=few)
    with pytest.raises(InputError, match="logits has entries that are not finite"):
        dataclasses.replace(problem, logits=np.full((1, 7, 3), np.inf))


def test_too_many_groups_are_refused():
    with pytest.raises(InputError, match="give smaller groups"):
        groups(40, 6)
    with pytest.raises(InputError, match="vocabulary is 1"):
        draw(jax.random.key(0), vocabulary=1)
