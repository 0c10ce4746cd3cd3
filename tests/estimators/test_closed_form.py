"""Every estimator on every closed-form problem that it admits: value and gradient within 4.5 standard errors.

The errors are at most 0.18 % of the gradient's norm in the slow tests, so a bias of 1 % would be 5.5 standard errors;
by default 0.5 %, so 3 % would be 6. False alarms: 7e-6 for each number, and about 900 numbers with the slow tests; the
keys are fixed, so a run gives always the same.
"""

import jax
import numpy as np
import pytest

import logpi as le
from tests.estimators.admission import EVOLUTION, pairs, PARTLY_STILL, STILL, TABLE
from tests.estimators.cases import CASES, deviations, expectation_of, flat, params_of, truth

QUICK, FULL = 0.005, 0.0018
MOST = 30_000_000
ENOUGH = 1_000_000  # with which those are far within the precision whose estimate never is called converged


def check(name: str, case: str, precision: float) -> None:
    estimator, samples, *_ = TABLE[name]
    J = expectation_of(case, estimator, samples)
    key = jax.random.key(list(TABLE).index(name) * 1000 + list(CASES).index(case))
    if (name, case) in STILL:
        e = le.estimate(J, params_of(case), key, samples=200_000)
    else:
        most = ENOUGH if (name, case) in PARTLY_STILL else MOST
        e = le.estimate(J, params_of(case), key, rtol=precision, max_samples=most)
        error = flat(e.gradient_error)
        assert e.converged == np.all(np.isfinite(error))  # that of E[x] in the mean of x is 1 in every replicate
        assert np.linalg.norm(error[np.isfinite(error)]) <= 1.1 * precision * np.linalg.norm(truth(case)[1])
    assert np.all(deviations(e, *truth(case)) < 4.5), (e, truth(case))


@pytest.mark.parametrize(("name", "case"), pairs(default=True))
def test_is_right(name, case):
    check(name, case, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "case"), pairs(default=True) + pairs(default=False))
def test_is_right_everywhere(name, case):
    check(name, case, FULL)


@pytest.mark.parametrize("case", EVOLUTION[2])
def test_evolution_strategies_climb_the_smoothed_objective(case):
    """Of a quadratic J the gradient is the same, and the value grows by the variance of each parameter."""
    estimator, samples, _, shift = EVOLUTION
    e = le.estimate(expectation_of(case, estimator, samples), params_of(case), jax.random.key(5), samples=3_000_000)
    value, gradient = truth(case)
    assert np.linalg.norm(flat(e.gradient_error)) < 0.012 * np.linalg.norm(gradient)
    assert np.all(deviations(e, value + shift.get(case, 0.0), gradient) < 4.5), e
