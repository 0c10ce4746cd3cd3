"""Mistakes that an expected gradient hides, or gives another name, are told by their own."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from jax.lax import stop_gradient

import logpi
from logpi import audit
from logpi.audit.gallery import kl, losses
from logpi.audit.gallery.losses import rloo, token_sum
from tests.audit.planted import objectives
from tests.audit.zoo import ENDS, numpy_gae


def shifted(log_prob, reward, mask, group):
    """The mask of the next token."""
    return rloo(log_prob, reward, jnp.concatenate([mask[:, 1:], jnp.zeros_like(mask[:, :1])], axis=1), group)


def before_the_end(log_prob, reward, mask, group):
    """Counted from the lengths, and one short."""
    return rloo(log_prob, reward, jnp.arange(mask.shape[1])[None] < jnp.sum(mask, axis=1, keepdims=True) - 1, group)


def after_the_first(log_prob, advantage, mask):
    """As if the first token were the prompt's."""
    return -jnp.sum(jnp.where(mask, advantage * log_prob, 0.0)[:, 1:])


def in_numpy(log_prob, advantage, mask):
    """Without JAX."""
    return -np.sum(np.where(mask, advantage * log_prob, 0.0)[:, :-1] * mask[:, 1:])


@pytest.mark.parametrize(
    ("loss", "which"),
    [(shifted, "last"), (before_the_end, "last"), (after_the_first, "first"), (in_numpy, "last")],
)
def test_masks_that_are_off_by_one(loss, which):
    report = audit.loss(loss)
    assert [check.key for check in report.findings] == ["direction", "every_token"], str(report)
    assert all(f"off by one, and leaves out the {which} token" in check.cure for check in report.findings)
    assert "length" not in str(report) and "deviation" not in str(report)


@pytest.mark.parametrize("loss", [losses.rloo, losses.grpo, losses.a2c, losses.dapo, kl.k2_in_loss])
def test_what_leaves_no_token_out(loss):
    report = audit.loss(loss)
    assert report.check("every_token").passed and report.check("finite_loss").passed, str(report)


def bonus(log_prob, reward, mask, group):
    """The mean of log_prob beside RLOO."""
    return rloo(log_prob, reward, mask, group) + 0.01 * token_sum(log_prob, mask)


def small_bonus(log_prob, advantage, mask):
    """In sums, of a thousandth."""
    return jnp.sum(jnp.where(mask, 0.001 * log_prob - advantage * log_prob, 0.0))


def of_rows(log_prob, advantage):
    """Of flat rows."""
    return -jnp.mean(advantage * log_prob) + 0.1 * jnp.mean(log_prob)


def beside_a_kl(log_prob, reference_log_prob, reward, mask, group):
    """The KL is right, the entropy is not."""
    return kl.k1_in_reward(log_prob, reference_log_prob, reward, mask, group) + 0.1 * token_sum(log_prob, mask)


@pytest.mark.parametrize("loss", [bonus, small_bonus, of_rows, beside_a_kl])
def test_an_entropy_bonus_without_a_gradient(loss):
    report = audit.loss(loss, rows=loss is of_rows)
    assert [check.key for check in report.findings] == ["log_prob_alone"], str(report)


def constant_baseline(log_prob, reward, mask):
    """Less 0.5, which has no expected gradient either, and is right."""
    return token_sum(-(reward - 0.5)[:, None] * log_prob, mask)


def entropy_by_score(log_prob, reward, mask, group):
    """log_prob times its own value is a bonus."""
    return rloo(log_prob, reward, mask, group) + 0.1 * token_sum(stop_gradient(log_prob) * log_prob, mask)


@pytest.mark.parametrize("loss", [constant_baseline, entropy_by_score, losses.max_rl, losses.ppo])
def test_what_is_no_term_in_log_prob_alone(loss):
    assert audit.loss(loss).check("log_prob_alone").passed


def masked_by_product(log_prob, advantage, mask):
    """0 times NaN."""
    return -jnp.sum(advantage * log_prob * mask)


def beside_a_logarithm(log_prob, advantage, mask):
    """A number is added that is -inf where an advantage is 0."""
    return -jnp.sum(jnp.where(mask, advantage * log_prob, 0.0)) + jnp.sum(jnp.log(stop_gradient(0.0 * advantage)))


def mean_of_nothing(log_prob, advantage, mask):
    """A measurement is added that is not known."""
    return -jnp.sum(jnp.where(mask, advantage * log_prob, 0.0)) + jnp.mean(log_prob[:0])


def test_a_loss_that_is_not_finite():
    assert not audit.loss(masked_by_product).check("nan_outside_mask").passed
    for loss in (beside_a_logarithm, mean_of_nothing):
        report = audit.loss(loss)
        assert "finite_loss" in [check.key for check in report.findings], str(report)


@pytest.mark.parametrize(
    ("credit", "gamma"),
    [(logpi.GAE(0.5, 0.9), 0.5), (functools.partial(numpy_gae, discount=0.7), 0.7), (logpi.MonteCarlo(0.6), 0.6)],
)
def test_a_credit_with_another_discount_is_told_so(credit, gamma):
    report = audit.objective(objectives.right, [ENDS], credit=credit)
    cures = [check.cure for check in report.findings]
    assert any(f"the credit's gamma is {gamma:g} and the problem's is {ENDS.gamma:g}" in cure for cure in cures), cures


def test_another_mistake_is_no_discount():
    report = audit.objective(objectives.right, [ENDS], credit=functools.partial(numpy_gae, last=False))
    assert report.findings and not any("the credit's gamma" in check.cure for check in report.findings)
