"""Correct distributions pass, whatever their events; what cannot be looked at is said. The bugs are in the zoo."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import pytest

import logpi
from logpi import audit
from logpi.distributions import Bernoulli, Categorical, Joint
from tests.audit.planted.distributions import LogLinear, Squashed, wrong

KEY = jax.random.key(0)


CORRECT = {
    "squashed": (Squashed(jnp.array(0.5), True), (-1.0, 1.0)),
    "two numbers": (wrong("nothing"), None),
    "normal": (dist.Normal(1.0, 2.0), None),
    "gamma": (dist.Gamma(2.0, 1.0), None),
    "poisson": (dist.Poisson(3.0), None),
    "geometric": (dist.Geometric(0.3), None),  # whole numbers, drawn as floats
    "cauchy": (dist.Cauchy(0.0, 1.0), None),
    "three numbers": (dist.MultivariateNormal(jnp.ones(3), jnp.eye(3)), None),
    "categorical": (Categorical(jnp.array([1.0, -0.5, 0.0])), None),
    "coins": (Bernoulli(jnp.array([0.0, 1.0, -2.0])), None),
    "coins of NumPyro": (dist.Bernoulli(logits=jnp.array([0.0, 1.0])).to_event(1), None),
    "joint": (Joint((Categorical(jnp.zeros(3)), Categorical(jnp.ones(2)))), None),
}


@pytest.mark.parametrize("name", CORRECT)
def test_what_is_correct_passes(name):
    """False-alarm rate of a report: one in a million."""
    subject, support = CORRECT[name]
    report = audit.policy(subject, KEY, support=support)
    assert report.passed, str(report)
    assert len(report.checks) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("name", CORRECT)
def test_no_false_alarm_on_twenty_seeds(name):
    """With eleven subjects, 220 reports of which each fails once in a million."""
    subject, support = CORRECT[name]
    reports = [audit.policy(subject, jax.random.key(seed), support=support) for seed in range(100, 120)]
    assert [str(report) for report in reports if not report.passed] == []


def test_the_normalised_form_passes():
    """The cure of the first bug of the zoo, done."""
    policy = LogLinear(jnp.array(0.5), jnp.array(-0.2))
    assert audit.policy(dist.Categorical(logits=jax.vmap(policy.log_prob)(jnp.arange(4.0))), KEY).passed


def test_a_policy_is_audited_at_an_observation():
    run = logpi.train("CartPole-v1", steps=2048)
    assert audit.policy(run.policy.model, KEY, obs=jnp.zeros(4)).passed
    with pytest.raises(logpi.InputError, match="give obs="):
        audit.policy(run.policy.model, KEY)


def test_the_table_is_plain():
    import json

    rows = audit.policy(wrong("constant"), KEY).table()
    assert json.loads(json.dumps(rows)) == rows
    assert {"name", "size", "error", "threshold", "cure", "passed"} <= set(rows[0])


def test_nothing_to_look_at_is_said():
    with pytest.raises(logpi.InputError, match="no distribution"):
        audit.policy(3.0, KEY)
    report = audit.policy(dist.Dirichlet(jnp.ones(3)), KEY)
    assert report.passed and "surface" in str(report)


def test_what_has_no_parameters_is_told_so():
    """An object that is no pytree, and a distribution whose plain numbers are its bounds."""

    class Plain:
        def sample(self, key):
            return jax.random.normal(key)

        def log_prob(self, x):
            return dist.Normal(0.0, 1.0).log_prob(x)

    report = audit.policy(Plain(), KEY)
    assert report.passed and "the scores: the parameters have no floating-point leaf" in str(report)
    moving = audit.policy(dist.Uniform(0.0, 1.0), KEY)
    assert [finding.name for finding in moving.findings] == ["a support that stays"]


def test_constant_bounds_do_not_move():
    """Numbers of Python's say where the support ends, the others are parameters, whose scores are looked at."""
    report = audit.policy(dist.TruncatedNormal(0.0, 1.0, low=-1.0, high=3.0), KEY, samples=2000)
    assert report.passed and "scores of mean 0" in [check.name for check in report.checks]
    moving = audit.policy(dist.TruncatedNormal(0.0, 1.0, low=jnp.asarray(-1.0), high=3.0), KEY, samples=2000)
    assert [finding.name for finding in moving.findings] == ["a support that stays"]


@pytest.mark.parametrize("make", [lambda: dist.LKJ(3, 1.5), lambda: dist.LKJCholesky(3, 1.5)], ids=["LKJ", "Cholesky"])
def test_entries_that_never_vary_are_no_volume(make):
    report = audit.policy(make(), KEY, samples=500)
    assert report.passed and any("lie on a surface" in note for note in report.notes)


def test_a_density_alone_needs_a_support():
    improper = dist.ImproperUniform(dist.constraints.real, (), ())
    with pytest.raises(logpi.InputError, match=r"nothing is known of the events of ImproperUniform.*give support="):
        audit.policy(improper, KEY)
