"""What the gallery claims of each loss is what the exact expectation over all groups of four finds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.audit import gallery
from logpi.audit.alignment import align
from logpi.audit.gallery import advantages, kl, losses
from logpi.audit.losses.auditor import audited
from logpi.audit.losses.direction_checks import first_token_right, pass_rates
from logpi.audit.losses.kl_checks import known_gradients
from logpi.audit.losses.sequences import draw
from tools.audit_tables import DOCUMENT, loss_tables

EXACT = 1e-12


@pytest.fixture(scope="module")
def table():
    return {row["name"]: row for row in gallery.table()}


@pytest.fixture(scope="module")
def kl_table():
    return {row["name"]: row for row in gallery.kl_table()}


def test_the_document_holds_both_tables(table, kl_table):
    """Every word as it is, every number to its three digits."""
    document = DOCUMENT.read_text("utf-8")
    written = document[document.index("## Losses of sequences") :].split("|")
    found = loss_tables(list(table.values()), list(kl_table.values())).split("|")
    assert len(written) == len(found) > 200
    for old, new in zip(written, found, strict=True):
        try:
            assert float(new) == pytest.approx(float(old), rel=0.0051)
        except ValueError:
            assert new == old


def expected(loss, problem, group_size=4):
    """The expected ascent."""
    return audited(loss, problem, group_size).update(problem)


@pytest.mark.parametrize("recipe", [r for r in gallery.RECIPES if r.exact], ids=lambda r: r.name)
def test_exact_losses_are_exact_up_to_their_scale(table, recipe):
    row = table[recipe.name]
    assert row["direction_error"] < EXACT and row["difficulty"] < EXACT
    assert row["scale"] == pytest.approx(row["claimed_scale"], abs=EXACT)
    assert abs(row["end_after_right"]) < EXACT and abs(row["end_after_wrong"]) < EXACT


@pytest.mark.parametrize("recipe", [r for r in gallery.RECIPES if not r.exact], ids=lambda r: r.name)
def test_biased_losses_are_biased_somewhere(table, recipe):
    row = table[recipe.name]
    assert row["claimed_scale"] is None
    assert max(row["direction_error"], row["difficulty"]) > 0.01
    assert (row["direction_error"] > 0.01) == any(w in recipe.bias for w in ("length", "tokens", "whitening"))
    # What divides by lengths or by token counts bends towards the length; MaxRL does not.
    assert (abs(row["end_after_right"]) > 1e-4) == (recipe.name != "MaxRL")


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("GRPO", 0.01161, -0.0058),
        ("GSPO", 0.01161, -0.0058),
        ("DAPO", 0.00427, -0.0017),
        ("CISPO", 0.00427, -0.0017),
        ("RLOO, token mean", 0.00301, -0.0012),
    ],
)
def test_right_answers_are_shortened_and_wrong_ones_lengthened(table, name, right, wrong):
    """The claim of Liu et al. 2025 (arXiv:2503.20783). Numbers from an independent enumeration of 15^4 groups."""
    assert table[name]["end_after_right"] == pytest.approx(right, abs=1e-5)
    assert table[name]["end_after_wrong"] == pytest.approx(wrong, abs=1e-5)


@pytest.mark.parametrize(
    ("loss", "right", "wrong"),
    [
        (losses.rloo, 8 / 3, 8 / 3),
        (losses.dr_grpo, 8 / 3, 8 / 3),
        (losses.grpo, 2.583, 2.712),
        (losses.dapo, 2.629, 2.681),
    ],
)
def test_lengths_along_the_expected_gradient(loss, right, wrong):
    """From a pass rate of .1 to .9 with a reward for the first token alone: mean lengths after a right and a wrong one.

    Numbers of an independent integration; this one has steps of .1, which leave a hundredth.
    """
    problem = first_token_right(0.1)
    auditor, lengths = audited(loss, problem, 4), problem.tree.mask.sum(1)
    chance = problem.probability(problem.logits)[0]
    while chance @ problem.reward[0] < 0.9:
        uphill = auditor.update(problem).reshape(problem.logits.shape)
        logits = problem.logits + 0.1 * uphill / np.linalg.norm(uphill)
        problem = dataclasses.replace(problem, logits=logits, behaviour=logits, reference=logits)
        chance = problem.probability(logits)[0]
    first = problem.tree.tokens[:, 0]
    found = [chance[first == token] @ lengths[first == token] / chance[first == token].sum() for token in (1, 2)]
    tolerance = 1e-9 if right == wrong else 0.012
    assert found == pytest.approx([right, wrong], abs=tolerance)


def test_length_normalisation_bends_by_some_tenths(table):
    assert 0.1 < table["GRPO"]["direction_error"] < 0.6
    assert table["GSPO"]["direction_error"] == pytest.approx(table["GRPO"]["direction_error"], rel=1e-9)
    # With one prompt and rewards of 0 and 1 the deviation is a scale: the rest of GRPO's error is the length alone.
    assert table["RLOO, row mean"]["direction_error"] == pytest.approx(table["GRPO"]["direction_error"], rel=1e-3)
    assert table["DAPO"]["direction_error"] < table["GRPO"]["direction_error"]


@pytest.mark.parametrize("trace", [0.0, 0.95, 1.0])
def test_a_wrong_critic_is_harmless_with_trace_1_alone(trace):
    problem = draw(jax.random.key(1), "real")

    def loss(log_prob, value, reward, mask, exact):
        advantage = advantages.generalised(value if exact else 0.3 * value**2 - 1, reward, mask, trace)
        return losses.token_sum(-advantage * log_prob, mask)

    for exact in (True, False):

        def one(log_prob, value, reward, mask, exact=exact):
            return loss(log_prob, value, reward, mask, exact)

        found = align("", expected(one, problem), problem.reward_gradient())
        assert (found.direction_error < EXACT) == (exact or trace == 1.0)


@pytest.mark.parametrize(
    ("group_size", "scales"),
    [(2, (0.707, 0.707, 0.707)), (4, (1.496, 1.464, 1.40)), (8, (2.440, 2.177, 1.736)), (16, (3.614, 2.757, 1.873))],
)
def test_the_scale_of_a_deviation_is_its_closed_form(group_size, scales):
    """Pass rates .01, .1 and .5, each on its own; the numbers are those of an independent computation."""

    def loss(log_prob, reward, mask, group):
        return losses.token_sum(-advantages.standardised(reward, group, 1e-12)[:, None] * log_prob, mask)

    problem = pass_rates(0.01, 0.1, 0.5)
    found = expected(loss, problem, group_size) / problem.reward_gradient()
    formula = [advantages.difficulty_scale(p, group_size) for p in (0.01, 0.1, 0.5)]
    np.testing.assert_allclose(found, np.repeat(formula, 2), rtol=1e-9)
    np.testing.assert_allclose(formula, scales, atol=3e-3)


def test_a_deviation_of_real_rewards_bends_by_itself():
    problem = draw(jax.random.key(2), "real")

    def loss(log_prob, reward, mask, group):
        return losses.token_sum(-advantages.standardised(reward, group)[:, None] * log_prob, mask)

    found = align("", expected(loss, problem), problem.reward_gradient())
    assert 0.01 < found.direction_error < 0.5


@pytest.mark.parametrize("recipe", [r for r in gallery.KL_RECIPES if r.exact], ids=lambda r: r.name)
def test_exact_kl_terms_are_exact(kl_table, recipe):
    assert kl_table[recipe.name]["direction_error"] < EXACT
    assert kl_table[recipe.name]["scale"] == pytest.approx(1, abs=EXACT)


@pytest.mark.parametrize("recipe", [r for r in gallery.KL_RECIPES if not r.exact], ids=lambda r: r.name)
def test_biased_kl_terms_are_what_they_are_said_to_be(kl_table, recipe):
    row = kl_table[recipe.name]
    assert row["direction_error"] > 0.01
    if recipe.name != "k3 in the reward":
        assert recipe.bias in row["really"] or row["really"] == "it has no expected gradient at all"


def test_k1_in_the_loss_has_no_expected_gradient_and_over_lengths_one_without_the_reference():
    problem = draw(jax.random.key(0))
    silent = dataclasses.replace(problem, reward=np.zeros_like(problem.reward))
    assert np.abs(expected(kl.k1_in_loss, silent)).max() < 1e-16
    other = dataclasses.replace(silent, reference=-silent.reference)
    found = expected(kl.k1_in_loss_row_mean, silent)
    np.testing.assert_array_equal(found, expected(kl.k1_in_loss_row_mean, other))
    shorter = known_gradients(silent)["E[1/length], whatever the reference is"]
    np.testing.assert_allclose(found, -kl.BETA * shorter, atol=1e-15)


def test_the_gradient_of_the_mean_inverse_length_is_that_of_the_sum():
    problem = draw(jax.random.key(3))
    shape = problem.tree

    def inverse_length(logits):
        log_prob = jnp.where(shape.mask, jax.nn.log_softmax(logits)[:, shape.prefix, shape.tokens], 0).sum(-1)
        return jnp.sum(jnp.exp(log_prob) / shape.mask.sum(1)[None, :])

    with jax.enable_x64(True):
        exact = jax.grad(inverse_length)(jnp.asarray(problem.logits))
    found = known_gradients(problem)["E[1/length], whatever the reference is"]
    np.testing.assert_allclose(found, np.ravel(exact), atol=1e-15)


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_only_the_ratio_of_sequences_is_exact_off_policy(noise):
    problem = draw(jax.random.key(4), off_policy=noise)
    truth = problem.reward_gradient()

    def token_ratio(log_prob, behaviour_log_prob, reward, mask, group):
        weight = losses.ratio(log_prob, behaviour_log_prob, mask)
        return losses.token_sum(-weight * advantages.leave_one_out(reward, group)[:, None], mask)

    whole = align("", expected(losses.sequence_weighted, problem, 2), truth)
    assert whole.direction_error < EXACT and whole.scale == pytest.approx(1, abs=EXACT)
    token, none = (align("", expected(loss, problem, 2), truth) for loss in (token_ratio, losses.rloo))
    assert 1e-3 < token.direction_error < 1
    assert 1e-3 < none.direction_error < 1


def test_generalised_advantages_are_their_double_sum():
    rng = np.random.default_rng(0)
    value, reward = rng.normal(size=(3, 4)), rng.normal(size=3)
    lengths, gamma, trace = (4, 2, 1), 0.9, 0.7
    mask = np.arange(4) < np.array(lengths)[:, None]
    with jax.enable_x64(True):
        arguments = (jnp.asarray(x) for x in (value, reward, mask))
        found = np.asarray(advantages.generalised(*arguments, trace=trace, discount=gamma))
    exact = np.zeros((3, 4))
    for b, n in enumerate(lengths):
        after = np.append(value[b, 1:n], 0.0)
        delta = gamma * after - value[b, :n] + np.eye(n)[n - 1] * reward[b]
        for t in range(n):
            exact[b, t] = sum((gamma * trace) ** (k - t) * delta[k] for k in range(t, n))
    np.testing.assert_allclose(found, exact, atol=1e-14)
