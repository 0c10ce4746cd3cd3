"""Every planted bug in a program is found by its name; what is correct passes."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import pytest

import logpi
from logpi import audit

KEY = jax.random.key(0)
PARAMS = {"m": 0.7}


def exact(p):
    """E[(x - 3)^2] under N(m, 1)."""
    return (p["m"] - 3.0) ** 2 + 1.0


def draws(p, key, n=8):
    """Events, their costs and their log-probabilities."""
    x = jax.lax.stop_gradient(p["m"] + jax.random.normal(key, (n,)))
    return x, (x - 3.0) ** 2, jax.vmap(dist.Normal(p["m"], 1.0).log_prob)(x)


def own_baseline(p, key):
    """The mean of the batch, its own draw included: off by 1 / n."""
    _, costs, log_probs = draws(p, key)
    return jnp.mean(logpi.cost(costs, log_probs, jnp.mean(costs)))


def standardised(p, key):
    """Advantages divided by their spread: the scale is lost."""
    _, costs, log_probs = draws(p, key)
    advantage = (costs - jnp.mean(costs)) / jnp.std(costs)
    pushed = logpi.cost(advantage, log_probs)
    return jnp.mean(costs + pushed - jax.lax.stop_gradient(pushed))


def surrogate(p, key):
    """log pi times cost: right as a gradient, meaningless as a value."""
    _, costs, log_probs = draws(p, key)
    return jnp.mean(log_probs * costs)


def no_score(p, key):
    """The cost alone: its derivative is 0."""
    return jnp.mean(draws(p, key)[1]) + 0.0 * p["m"]


def fixed_key(p, key):
    """Draws the same for ever."""
    _, costs, log_probs = draws(p, jax.random.key(3))
    return jnp.mean(logpi.cost(costs, log_probs))


def half_of_the_score(p, key):
    """Half the weight."""
    _, costs, log_probs = draws(p, key)
    return jnp.mean(logpi.cost(costs, 0.5 * log_probs))


def clipped(p, key):
    """Costs cut at 9."""
    _, costs, log_probs = draws(p, key)
    return jnp.mean(logpi.cost(jnp.minimum(costs, 9.0), log_probs))


def dropped_dependence(p, key):
    """f depends on the parameters, and that derivative is thrown away: E[m x] has gradient 2 m."""
    x, _, log_probs = draws(p, key)
    return jnp.mean(logpi.cost(jax.lax.stop_gradient(p["m"]) * x, log_probs))


def one_key_for_two(p, key):
    """Two sites, x and y, that are meant to be independent: E[(x + y)^2] = 4 m^2 + 2."""
    x, first = logpi.sample(dist.Normal(p["m"], 1.0), key)
    y, second = logpi.sample(dist.Normal(p["m"], 1.0), key)
    return logpi.cost((x + y) ** 2, first + second)


def two_keys_for_two(p, key):
    """The same, done right."""
    x_key, y_key = jax.random.split(key)
    x, first = logpi.sample(dist.Normal(p["m"], 1.0), x_key)
    y, second = logpi.sample(dist.Normal(p["m"], 1.0), y_key)
    return logpi.cost((x + y) ** 2, first + second)


ZOO = {
    one_key_for_two: (lambda p: 4 * p["m"] ** 2 + 2, "no key used twice"),
    own_baseline: (exact, "gradient"),
    standardised: (exact, "gradient"),
    surrogate: (exact, "value"),
    no_score: (exact, "gradient"),
    fixed_key: (exact, "draws from its key"),
    half_of_the_score: (exact, "gradient"),
    clipped: (exact, "gradient"),
    dropped_dependence: (lambda p: p["m"] ** 2, "gradient"),
}


def expectation(estimator=None):
    """The same problem by one of the estimators."""
    return logpi.expectation(lambda x: (x - 3.0) ** 2, lambda p: dist.Normal(p["m"], 1.0), 16, estimator)


@pytest.mark.parametrize("bug", ZOO, ids=lambda bug: bug.__name__)
def test_each_bug_is_found(bug):
    truth, name = ZOO[bug]
    report = audit.program(bug, PARAMS, KEY, truth, intervals=60)
    assert name in [finding.name for finding in report.findings], str(report)


@pytest.mark.parametrize(
    "estimator",
    [None, logpi.Pathwise(), logpi.MeasureValued(), logpi.Antithetic(logpi.Score()), logpi.Score(logpi.Optimal())],
    ids=lambda e: type(e).__name__,
)
def test_what_is_correct_passes(estimator):
    """False-alarm rate of a report: one in a million."""
    report = audit.program(expectation(estimator), PARAMS, KEY, exact, intervals=60)
    assert report.passed, str(report)
    assert [check.name for check in report.checks] == [
        "draws from its key",
        "value",
        "gradient",
        "coverage of its errors",
    ]
    assert audit.program(expectation(estimator), PARAMS, KEY, {"m": 2 * (0.7 - 3.0)}, intervals=20).passed


def test_a_wrong_number_of_exact_values_is_refused():
    with pytest.raises(logpi.InputError, match="exact has 2 numbers, but the parameters have 1"):
        audit.program(expectation(), PARAMS, KEY, {"m": jnp.zeros(2)})


def test_two_sites_with_a_key_each_pass():
    report = audit.program(two_keys_for_two, PARAMS, KEY, lambda p: 4 * p["m"] ** 2 + 2, intervals=20)
    assert report.passed, str(report)
    old = audit.program(one_key_for_two, PARAMS, jax.random.PRNGKey(0), lambda p: 4 * p["m"] ** 2 + 2, intervals=20)
    assert "no key used twice" in [finding.name for finding in old.findings]


@pytest.mark.parametrize("bug", [bug for bug, (_, name) in ZOO.items() if name == "gradient"], ids=lambda b: b.__name__)
def test_each_wrong_gradient_is_found_without_the_exact_one(bug):
    if bug is clipped:  # unbiased for the clipped cost, which nothing but `exact` says is not meant
        assert audit.program(bug, PARAMS, KEY).passed
        return
    report = audit.program(bug, PARAMS, KEY)
    assert [finding.name for finding in report.findings] == ["gradient"], str(report)
    assert "finite differences" in str(report)


def test_without_the_exact_gradient_what_is_correct_passes():
    """By finite differences, by the sum over all events, and along random directions of many parameters."""
    assert audit.program(two_keys_for_two, PARAMS, KEY).passed
    coins = logpi.expectation(lambda x: jnp.sum(x * jnp.arange(1.0, 4.0)) ** 2, logpi.distributions.Bernoulli, 8)
    report = audit.program(coins, jnp.array([0.3, -1.0, 0.0]), KEY)
    assert report.passed and "the sum over all events" in str(report)
    share = float(report.notes[0].split("gradient: ")[1].split()[0])
    assert 0.3 < share < 0.8  # leaving one out takes off what the mean of f adds to the variance
    many = logpi.expectation(lambda x: jnp.sum(x) ** 2, lambda p: dist.Normal(p, 1.0).to_event(1), 32)
    report = audit.program(many, jnp.linspace(-1.0, 1.0, 40), KEY)
    assert report.passed and "direction" in str(report)


def test_a_program_that_breaks_down_beside_the_parameters_is_told_to_give_the_exact_gradient():
    def edge(p, key):
        return jnp.sqrt(1.0 - p) * jax.random.normal(key) ** 2

    with pytest.raises(logpi.InputError, match="give exact="):
        audit.program(edge, jnp.array(0.95), KEY)
