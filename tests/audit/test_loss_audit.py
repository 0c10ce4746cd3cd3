"""The audit of a loss finds what was put in by hand, by name, and passes what is right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.audit.gallery import kl, losses
from logpi.audit.gallery.advantages import leave_one_out, standardised
from logpi.audit.losses.audit import loss
from logpi.audit.losses.sequences import draw
from logpi.errors import InputError


def found(report):
    return {check.name for check in report.findings}


def test_rloo_passes_everything():
    report = loss(losses.rloo, jax.random.key(0))
    assert report.passed, str(report)
    names = [check.name for check in report.checks]
    assert names == [
        "finite gradient", "zero gradient", "sign", "direction", "deviation", "difficulty", "length",
        "every token", "log prob alone", "finite loss", "mask", "NaN outside of the mask", "row order", "split batches",
        "group of one",
    ]  # fmt: skip
    assert [round(a.scale, 12) for a in report.alignments] == [1.0, 1.0, 1.0]


def test_dr_grpo_passes_with_a_scale():
    report = loss(losses.dr_grpo)
    assert report.passed, str(report)
    assert report.alignments[0].scale == pytest.approx(0.25, abs=1e-12)
    assert report.alignments[0].direction_error < 1e-12


def test_grpo_is_found_out():
    report = loss(losses.grpo)
    assert found(report) == {"direction", "deviation", "difficulty", "length"}
    cures = {check.name: check.cure for check in report.findings}
    assert "deviation" in cures["direction"] and "lengths" in cures["direction"]
    assert "+0.0116 after a right token, -0.0058 after a wrong one" in str(report)


def test_dapo_also_depends_on_how_a_batch_is_split():
    assert found(loss(losses.dapo)) == {"direction", "deviation", "difficulty", "length", "split batches"}


def test_lengths_alone_and_a_deviation_alone_are_told_apart():
    def deviation(log_prob, reward, mask, group):
        return losses.token_sum(-standardised(reward, group)[:, None] * log_prob, mask)

    assert found(loss(deviation)) == {"deviation", "difficulty"}
    assert found(loss(losses.rloo_row_mean)) == {"direction", "length"}


def test_what_is_maximised_may_be_said_to_be():
    report = loss(lambda log_prob, advantage: jnp.sum(advantage * log_prob), minimise=False)
    assert report.passed, str(report)


def test_the_kl_term_is_named_and_weighed():
    report = loss(kl.k3_in_loss, beta=kl.BETA)
    assert found(report) == {"KL", "KL weight"}
    assert "forward KL of tokens with frozen prefixes" in str(report)
    assert found(loss(kl.k1_in_loss)) == {"KL"}
    right = loss(kl.k1_in_reward, beta=kl.BETA)
    assert right.passed, str(right)
    assert right.alignments[-1].direction_error < 1e-12
    assert found(loss(kl.k1_in_reward, beta=2 * kl.BETA)) == {"KL weight"}


def test_rows_of_one_token_for_a_loss_over_steps():
    def ppo(log_prob, behaviour_log_prob, advantage):
        ratio = jnp.exp(log_prob - behaviour_log_prob)
        return jnp.maximum(-advantage * ratio, -advantage * jnp.clip(ratio, 0.8, 1.2)).mean()

    report = loss(ppo, rows=True)
    assert report.passed, str(report)
    assert "length" not in {check.name for check in report.checks}
    with pytest.raises(InputError, match="rows=True is for problems of one token"):
        loss(ppo, rows=True, problem=draw(jax.random.key(0)))


def test_a_numpy_loss_by_its_own_derivative_and_by_differences():
    def advantage_of(reward, group):
        with jax.enable_x64(True):
            return np.asarray(leave_one_out(jnp.asarray(reward), jnp.asarray(group)))

    def pair(log_prob, reward, mask, group):
        assert isinstance(log_prob, np.ndarray)
        weight = np.where(mask, advantage_of(reward, group)[:, None], 0.0)
        return -np.sum(weight * log_prob), -weight

    problem = draw(jax.random.key(1), length=2, vocabulary=2)
    assert loss(pair, framework="numpy", problem=problem, group_size=2).alignments[0].direction_error < 1e-12

    def alone(log_prob, advantage, mask):
        return -np.sum(advantage * np.where(np.asarray(mask, dtype=bool), log_prob, 0.0))

    report = loss(alone, problem=problem, group_size=2)
    assert report.passed, str(report)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (lambda log_prob, rewards: log_prob.sum(), "asks for rewards"),
        (lambda reward: reward.sum(), "no argument log_prob"),
        (lambda log_prob: log_prob, "must be one number"),
        (lambda log_prob, reward: (log_prob * reward).sum(), "cannot be called with arrays of shapes"),
        (lambda log_prob, reward: (log_prob.sum(), {}), "tuple of 2, whose second part.*return the loss alone"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(broken, sentence):
    with pytest.raises(InputError, match=sentence):
        loss(broken)


def test_a_loss_of_jax_that_cannot_be_traced_is_not_differenced():
    """Differences would go through its stop_gradient."""

    def branches(log_prob, advantage):
        return -jnp.sum(jax.lax.stop_gradient(log_prob) * advantage) if log_prob.sum() < 0 else jnp.zeros(())

    with pytest.raises(InputError, match="JAX must be able to trace it"):
        loss(branches)


def test_a_loss_for_groups_of_four_alone_is_audited_as_far_as_it_goes():
    def fours(log_prob, reward, group, mask):
        others = (jnp.ones((4, 4)) - jnp.eye(4)) @ reward / 3
        return -jnp.sum((reward - others)[:, None] * jnp.where(mask, log_prob, 0)) / 4

    report = loss(fours)
    assert report.passed, str(report)
    assert any("two groups at once" in note for note in report.notes)
    assert any("groups of one" in note for note in report.notes)


def test_rows_in_their_places_are_weighed_in_every_order():
    """Only the first row counts: exact, but not for groups whose order is left out."""

    def first_row(log_prob, reward, mask):
        return -reward[0] * jnp.sum(jnp.where(mask[0], log_prob[0], 0))

    report = loss(first_row, problem=draw(jax.random.key(2), length=2), group_size=3)
    assert found(report) == {"row order"}
    assert report.alignments[0].scale == pytest.approx(1, abs=1e-12)


def test_a_problem_without_a_gradient_is_refused():
    problem = draw(jax.random.key(0), np.zeros((1, 15)))
    with pytest.raises(InputError, match="true gradient is zero"):
        loss(losses.rloo, problem=problem)


def test_a_framework_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="framework is 'keras'"):
        loss(losses.rloo, framework="keras")
