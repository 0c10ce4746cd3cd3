"""Every planted bug in a distribution is found by its name; what is correct passes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import pytest

import logpi
from logpi import audit
from logpi.distributions import Bernoulli, Categorical, Joint, Normal

KEY = jax.random.key(0)


class LogLinear(eqx.Module):
    """exp(alpha + beta a), which is no distribution."""

    alpha: jax.Array
    beta: jax.Array

    def log_prob(self, a):
        return self.alpha + self.beta * a


class Squashed(eqx.Module):
    """tanh of a Gaussian; `slope` says whether its log-density takes the log-slope off."""

    mean: jax.Array
    slope: bool = eqx.field(static=True)

    def sample(self, key):
        return jnp.tanh(self.mean + jax.random.normal(key))

    def log_prob(self, y):
        y = jnp.clip(y, -1 + 1e-6, 1 - 1e-6)
        density = dist.Normal(self.mean, 1.0).log_prob(jnp.arctanh(y))
        return density - (jnp.log1p(-(y**2)) if self.slope else 0.0)


class Wrong(eqx.Module):
    """A Gaussian with one thing wrong."""

    mean: jax.Array
    what: str = eqx.field(static=True)

    def sample(self, key):
        std = 1.05 if self.what == "sampler" else 1.0
        return self.mean + std * jax.random.normal(key, self.mean.shape)

    def log_prob(self, x):
        log_probs = Normal(self.mean, jnp.zeros_like(self.mean))
        if self.what == "entries":
            return -0.5 * (x - self.mean) ** 2
        if self.what == "constant":
            return -0.5 * jnp.sum((x - self.mean) ** 2)
        if self.what == "nan":
            return jnp.where(x[0] > self.mean[0] + 2, jnp.nan, log_probs.log_prob(x))
        if self.what == "score":
            return log_probs.log_prob(x) + jnp.sum(self.mean - jax.lax.stop_gradient(self.mean))
        return log_probs.log_prob(x)

    def entropy(self):
        return Normal(self.mean, jnp.zeros_like(self.mean)).entropy() * (0.9 if self.what == "entropy" else 1.0)


def wrong(what: str) -> Wrong:
    """In two dimensions."""
    return Wrong(jnp.array([0.3, -0.8]), what)


ZOO = {
    "a policy that is not normalised": (LogLinear(jnp.array(0.5), jnp.array(-0.2)), jnp.arange(4.0), "normalised"),
    "a forgotten log-slope of tanh": (Squashed(jnp.array(0.5), False), None, "normalised"),
    "a forgotten constant": (wrong("constant"), None, "normalised"),
    "a log-probability for each entry": (wrong("entries"), None, "one log-probability per event"),
    "a sampler of another width": (wrong("sampler"), None, "draws follow the density"),
    "NaN in the tail": (wrong("nan"), None, "finite log-probabilities"),
    "an entropy of 9/10": (wrong("entropy"), None, "entropy"),
    "a score off by a constant": (wrong("score"), None, "scores of mean 0"),
    "bounds that move": (dist.Uniform(0.0, 2.0), None, "a support that stays"),
}
CORRECT = {
    "squashed": (Squashed(jnp.array(0.5), True), (-1.0, 1.0)),
    "two numbers": (wrong("nothing"), None),
    "normal": (dist.Normal(1.0, 2.0), None),
    "gamma": (dist.Gamma(2.0, 1.0), None),
    "poisson": (dist.Poisson(3.0), None),
    "cauchy": (dist.Cauchy(0.0, 1.0), None),
    "three numbers": (dist.MultivariateNormal(jnp.ones(3), jnp.eye(3)), None),
    "categorical": (Categorical(jnp.array([1.0, -0.5, 0.0])), None),
    "coins": (Bernoulli(jnp.array([0.0, 1.0, -2.0])), None),
    "coins of NumPyro": (dist.Bernoulli(logits=jnp.array([0.0, 1.0])).to_event(1), None),
    "joint": (Joint((Categorical(jnp.zeros(3)), Categorical(jnp.ones(2)))), None),
}


@pytest.mark.parametrize("bug", ZOO)
def test_each_bug_is_found(bug):
    subject, support, name = ZOO[bug]
    report = audit.policy(subject, KEY, support=support)
    assert name in [finding.name for finding in report.findings], str(report)
    finding = next(finding for finding in report.findings if finding.name == name)
    assert abs(finding.size) > finding.threshold and finding.cure
    assert "WRONG" in str(report) and finding.cure in str(report)


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
