"""The table of estimators: what it measures them by, what it recommends, how it calls them."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import pytest

import logpi as le
from logpi.estimation.comparison import describe
from logpi.parameters import floats_as_arrays

KEY = jax.random.key(0)


def compared(estimators, of=lambda p: dist.Normal(p, 1.0), f=jnp.cos, params=0.4):
    return le.compare(f, params, KEY, estimators, of=of, replicates=256)


def test_the_plain_score_function_is_the_unit():
    table = compared([le.Pathwise(), le.Score(le.NoBaseline())], f=jnp.square, params=2.0)
    assert table.best == "Pathwise()" and table.unit == "Score(NoBaseline())"
    assert table.rows[0].work < 0.5 and table.rows[1].work == 1
    assert "variance x cost: as a share of that of Score(NoBaseline())\nuse Pathwise()" in str(table)


def test_without_a_plain_score_function_the_first_that_can_be_used_is_the_unit():
    """The support moves. Nothing was measured, and none of the right estimators was recommended."""
    table = compared([le.Score(), le.MeasureValued(), le.Pathwise()], of=lambda p: dist.Uniform(0.0, p))
    refused, unit, best = table.rows
    assert refused.refusal and unit.work == 1 and 0 < best.work < 1
    assert table.unit == "MeasureValued()" and table.best == "Pathwise()"
    assert "as a share of that of MeasureValued()\n" in str(table)


def test_what_is_exact_needs_no_unit():
    table = compared([le.Enumerate()], of=lambda p: dist.Bernoulli(p), f=lambda x: 3.0 * x)
    assert table.rows[0].work == 0 and table.best == "Enumerate()"


def test_where_all_are_refused_there_is_no_unit():
    table = compared([le.Score(), le.Enumerate()], of=lambda p: dist.Uniform(0.0, p))
    assert table.unit == "" and str(table).endswith("\nuse none of these") and "share" not in str(table)


def test_what_was_tuned_has_another_name():
    J = le.expectation(lambda x: (x - 0.45) ** 2, dist.Bernoulli, 8, le.REBAR())
    tuned = le.tune(J, 0.4, KEY, steps=5).estimator
    assert describe(J.estimator) == "REBAR()"
    assert describe(tuned) == f"REBAR(temperature={tuned.temperature:.3g}, scale={tuned.scale:.3g})"


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (le.REBAR(jnp.asarray(1 / 3)), "REBAR(temperature=0.333)"),
        (le.REBAR(jnp.asarray(2.0), 0.25), "REBAR(temperature=2, scale=0.25)"),
        (floats_as_arrays(le.REBAR()), "REBAR()"),
        (le.Score(le.MovingAverage()), "Score(MovingAverage())"),
        (le.Score(le.Constant(jnp.asarray(1.5))), "Score(Constant(value=1.5))"),
        (floats_as_arrays(le.Score(le.Learned(jnp.sum, jnp.ones(3)))), "Score(Learned())"),
    ],
)
def test_an_estimator_is_named_by_its_numbers(estimator, name):
    """Those that are not its defaults, whether they are Python's or arrays."""
    assert describe(estimator) == name


@pytest.mark.parametrize("f", [lambda x: None, lambda x: jnp.ones(3)])
def test_what_no_estimator_takes_is_refused_once(f):
    with pytest.raises(le.InputError, match="it must return one number"):
        le.compare(f, {"mean": 0.5}, jax.random.key(0), of=lambda p: dist.Normal(p["mean"], 1.0))


@pytest.mark.parametrize("event", [jnp.nan, jnp.inf, -jnp.inf])
def test_no_event_is_infinite(event):
    with pytest.raises(le.InputError, match="is no event of Normal"):
        le.score(jnp.asarray(0.5), event, of=lambda p: dist.Normal(p, 1.0))
    with pytest.raises(le.InputError, match="is no event of Normal"):
        le.score(le.distributions.Normal(jnp.zeros(()), jnp.zeros(())), event)


def test_a_distribution_has_no_observation():
    with pytest.raises(le.InputError, match="obs is for a policy"):
        le.audit.policy(le.distributions.Normal(jnp.zeros(()), jnp.zeros(())), jax.random.key(0), 3.0)
