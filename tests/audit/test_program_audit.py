"""Correct programs pass; wrong gradients are found without the exact one too. The bugs are in the zoo."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi
from logpi import audit
from tests.audit.planted import programs
from tests.audit.planted.programs import both, exact, one_key_for_two, PARAMS, two_keys_for_two

KEY = jax.random.key(0)


def expectation(estimator=None):
    """The same problem by one of the estimators."""
    return logpi.expectation(lambda x: (x - 3.0) ** 2, lambda p: dist.Normal(p["m"], 1.0), 16, estimator)


@pytest.mark.parametrize(
    "estimator",
    [None, logpi.Pathwise(), logpi.MeasureValued(), logpi.Antithetic(logpi.Score()), logpi.Score(logpi.Optimal())],
    ids=lambda e: type(e).__name__,
)
def test_what_is_correct_passes(estimator):
    """False-alarm rate of a report: one in a million."""
    report = audit.program(expectation(estimator), PARAMS, KEY, exact, replicates=2000, intervals=60)
    assert report.passed, str(report)
    assert [check.name for check in report.checks] == [
        "draws from its key",
        "value",
        "gradient",
        "coverage of its errors",
    ]
    if estimator is None:
        assert audit.program(expectation(), PARAMS, KEY, {"m": 2 * (0.7 - 3.0)}, intervals=20).passed


def test_a_wrong_number_of_exact_values_is_refused():
    with pytest.raises(logpi.InputError, match=r"exact has the shape \(2,\) where the parameters have \(\)"):
        audit.program(expectation(), PARAMS, KEY, {"m": jnp.zeros(2)})


def test_two_sites_with_a_key_each_pass():
    report = audit.program(two_keys_for_two, PARAMS, KEY, both, intervals=20)
    assert report.passed, str(report)
    old = audit.program(one_key_for_two, PARAMS, jax.random.PRNGKey(0), both, intervals=20)
    assert "no key used twice" in [finding.name for finding in old.findings]


def test_a_clipped_cost_is_unbiased_for_itself():
    """Nothing but `exact` says that it is not meant."""
    assert audit.program(programs.clipped, PARAMS, KEY).passed


@pytest.mark.parametrize(
    "bug",
    [programs.own_baseline, programs.dropped_dependence, programs.k1_through_samples],
    ids=lambda b: b.__name__,
)
def test_a_wrong_gradient_is_found_without_the_exact_one(bug):
    report = audit.program(bug, PARAMS, KEY)
    assert [finding.name for finding in report.findings] == ["gradient"], str(report)
    assert "finite differences" in str(report)


def test_without_the_exact_gradient_what_is_correct_passes():
    """By finite differences, by the sum over all events, and along random directions of many parameters."""
    assert audit.program(two_keys_for_two, PARAMS, KEY, replicates=1000).passed
    coins = logpi.expectation(lambda x: jnp.sum(x * jnp.arange(1.0, 4.0)) ** 2, logpi.distributions.Bernoulli, 8)
    report = audit.program(coins, jnp.array([0.3, -1.0, 0.0]), KEY, replicates=2000, intervals=40)
    assert report.passed and "the sum over all events" in str(report)
    share = float(report.notes[0].split("gradient: ")[1].split()[0])
    assert 0.3 < share < 0.8  # leaving one out takes off what the mean of f adds to the variance
    many = logpi.expectation(lambda x: jnp.sum(x) ** 2, lambda p: dist.Normal(p, 1.0).to_event(1), 8)
    report = audit.program(many, jnp.linspace(-1.0, 1.0, 20), KEY, replicates=400)
    assert report.passed and "direction" in str(report)


def test_a_program_that_breaks_down_beside_the_parameters_is_told_to_give_the_exact_gradient():
    def edge(p, key):
        return jnp.sqrt(1.0 - p) * jax.random.normal(key) ** 2

    with pytest.raises(logpi.InputError, match="give exact="):
        audit.program(edge, jnp.array(0.95), KEY)


@pytest.mark.parametrize(
    ("exact", "sentence"),
    [
        ({"q": -4.6}, "not built as the parameters are"),
        ({"m": np.nan}, "a gradient to compare with is finite"),
        (lambda p: jnp.ones(2), r"exact\(params\) has the shape \(2,\), but J is one number"),
        (lambda p, q: 1.0, r"exact cannot be called as exact\(params\)"),
        (lambda p: np.nan * p["m"], r"give a J that is finite"),
    ],
    ids=["structure", "NaN", "vector", "two arguments", "NaN of a function"],
)
def test_what_cannot_be_exact_is_refused(exact, sentence):
    with pytest.raises(logpi.InputError, match=sentence):
        audit.program(expectation(), PARAMS, KEY, exact)


def test_an_exact_gradient_may_be_a_whole_number():
    assert audit.program(expectation(), {"m": 1.0}, KEY, {"m": -4}, replicates=200, intervals=20).checks
