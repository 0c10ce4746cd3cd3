"""Correct objectives pass, the known biases have their sizes, and reports name the place. The bugs are in the zoo."""

import jax
import numpy as np
import pytest

import logpi
from logpi import audit, InputError
from logpi.audit.objectives.monte_carlo_update import align_monte_carlo
from logpi.audit.problems import bandit, GaussianBandit, small_lqr, three_states
from tests.audit.planted.objectives import (
    ENTROPY,
    no_log_std,
    numpy_gae,
    own_sample,
    right,
    sampled_entropy,
    whole_entropy,
)

ENDS = three_states(horizon=2)
CUT = three_states(horizon=2, limit="truncates", name="time limit")
CONTINUOUS = GaussianBandit()
PROBLEMS = (ENDS, CUT, bandit(), CONTINUOUS)


def test_the_leaf_without_a_gradient_is_named():
    report = audit.objective(no_log_std, CONTINUOUS)
    (check,) = [c for c in report.findings if c.name == "every parameter"]
    assert ".log_std" in check.meaning


def test_a_mean_that_holds_its_own_row_scales_by_the_batch():
    """In batches of 2, half of the update is left; the direction stays."""
    report = audit.objective(own_sample, bandit())
    (check,) = report.findings
    assert check.size == pytest.approx(0.5, abs=1e-9) and "0.5 times" in check.meaning


def test_a_correct_objective_passes():
    report = audit.objective(right, PROBLEMS)
    assert report.passed, str(report)
    exact = [a for a in report.alignments if a.name.endswith(": exact")]
    assert len(exact) == 5  # the time limit brings the end of the rollout
    for row in exact:
        assert row.scale == pytest.approx(1.0, abs=1e-9) and row.direction_error < 1e-9


def test_an_entropy_bonus_needs_its_gradient():
    assert audit.objective(whole_entropy, three_states(), entropy_coef=ENTROPY).passed
    report = audit.objective(sampled_entropy, three_states(), entropy_coef=ENTROPY)
    (check,) = report.findings
    assert check.name == "entropy" and check.size == pytest.approx(-1.0, abs=1e-6)
    loop = audit.objective(
        whole_entropy, [ENDS, CUT], entropy_coef=ENTROPY, credit=lambda *s: numpy_gae(*s, ends=lambda t, c: t | c)
    )
    (entropy,) = (check for check in loop.checks if check.name == "entropy")
    assert abs(entropy.size) < 1e-6, "a faulty credit is not blamed on the entropy"


def test_a_right_loop_of_advantages_in_numpy_passes():
    report = audit.objective(right, [ENDS, CUT], credit=numpy_gae)
    assert report.passed, str(report)


def test_truncation_as_termination_has_its_row():
    """The same size, whether a loop makes the mistake or the flags of the trajectory do."""
    loop = audit.objective(right, CUT, credit=lambda *s: numpy_gae(*s, ends=lambda t, c: t | c))
    (wrong,) = [a for a in loop.alignments if a.name == "time limit: exact"]
    (row,) = [a for a in audit.objective(right, CUT).alignments if a.name.endswith("as termination")]
    assert row.direction_error == pytest.approx(wrong.direction_error, rel=1e-9) and row.direction_error > 0.05


def test_draws_against_a_known_bias():
    """Scale 2 and a rest of a tenth, under noise ten times the gradient, of which the rows explain most."""
    rng = np.random.default_rng(0)
    truth = np.array([3.0, 4.0])
    rows = truth + 50 * rng.normal(size=(2000, 2))
    found = 2 * rows + np.array([-0.8, 0.6]) + rng.normal(size=(2000, 2))
    row, error = align_monte_carlo("", found, rows, truth, truth, "")
    assert abs(row.scale - 2) < 0.02 and abs(row.direction_error - 0.1) < 4 * row.error < 0.03
    assert abs(row.cosine - 1 / np.sqrt(1.01)) < 4 * error < 0.01


def test_draws_where_nothing_is_to_be_gained():
    """A true gradient of 0 has no direction; it was divided by its norm."""
    found = np.random.default_rng(0).normal(size=(400, 2))
    row, _ = align_monte_carlo("", found, found, np.zeros(2), np.zeros(2), "")
    assert row.scale == 0 and np.isnan(row.cosine) and row.direction_error == np.inf


def test_draws_without_a_bias_show_none():
    """The noise of the mean adds nothing to the direction error, in the mean over 200 tables."""
    rng, truth = np.random.default_rng(1), np.array([1.0, 0.0])
    none = np.zeros((400, 2))
    squares = [
        align_monte_carlo("", truth + rng.normal(size=(400, 2)), none, none[0], truth, "")[0].direction_error ** 2
        for _ in range(200)
    ]
    assert np.mean(squares) < 0.7 / 400  # 1 / 400 is what the noise alone would be


def test_an_algorithm_on_a_problem_of_ones_own():
    """Its own discount is then a source; draws of a Gaussian policy too have their errors."""
    report = audit.objective(logpi.A2C(), small_lqr(), key=jax.random.PRNGKey(1))
    assert report.passed, str(report)
    rows = {a.name.split(": ")[1]: a for a in report.alignments}
    assert rows["own discount"].direction_error > 1e-3
    assert rows["as it is"].cosine > 0.9 and rows["as it is, optimiser's step"].error > 0
    assert {"policy gradient", "truncation"}.isdisjoint(c.name for c in report.checks)


def test_a_plain_credit_for_an_algorithm():
    report = audit.objective(logpi.A2C(entropy_coef=0.0), ENDS, credit=numpy_gae)
    assert report.passed, str(report)
    assert any("plain function" in note for note in report.notes)


BAD = {
    "no subject": (lambda: audit.objective(3), "the subject is int"),
    "no problem": (lambda: audit.objective(right, []), "no problem in the list"),
    "half a credit": (lambda: audit.objective(right, ENDS, credit=lambda r, t, c, v: r), "must return"),
    "a short credit": (lambda: audit.objective(right, ENDS, credit=lambda r, t, c, v: (r[1:], r)), "has the shape"),
    "no gradient": (lambda: audit.objective(right, bandit((1.0, 1.0, 1.0))), "zero or not finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    call, sentence = BAD[case]
    with pytest.raises(InputError, match=sentence):
        call()
