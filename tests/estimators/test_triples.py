"""Every measure-valued triple against a derivative that is known by other means, and every quantile function.

4.5 standard errors of a mean over fixed keys: 7e-6 false alarms for each number, fewer than 40 numbers.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import logpi as le
from logpi.distributions import as_distribution, Bernoulli, Categorical, Joint, Normal
from logpi.distributions.quantiles import quantiles_of
from logpi.estimators.weak_derivatives import RULES

DRAWS = 400_000
X = jnp.arange(400)  # counts beyond which nothing is left


def f(x):
    """Neither even nor odd, bounded, and not linear."""
    return jnp.sin(0.7 * x + 0.3) + 0.2 * jnp.tanh(x)


def known(density, low, high):
    """The derivative of E f in the parameters of a density, by quadrature over float64."""
    grid = np.linspace(low, high, 400_001)
    values = np.sin(0.7 * grid + 0.3) + 0.2 * np.tanh(grid)
    return lambda a, step: np.trapezoid((density(grid, a + step) - density(grid, a - step)) / (2 * step) * values, grid)


def counted(mass):
    """The same by a sum."""
    grid = np.asarray(X)
    values = np.sin(0.7 * grid + 0.3) + 0.2 * np.tanh(grid)
    return lambda a, step: np.sum((mass(grid, a + step) - mass(grid, a - step)) / (2 * step) * values)


def uniform_mean(low: float, high: float) -> float:
    grid = np.linspace(low, high, 100_001)
    return float(np.trapezoid(np.sin(0.7 * grid + 0.3) + 0.2 * np.tanh(grid), grid)) / (high - low)


S = stats
# (family, parameter): (all parameters, dE f / d parameter)
KNOWN = {
    ("Normal", "loc"): ({"loc": 0.4, "scale": 1.3}, known(lambda x, a: S.norm.pdf(x, a, 1.3), -12, 13)),
    ("Normal", "scale"): ({"loc": 0.4, "scale": 1.3}, known(lambda x, a: S.norm.pdf(x, 0.4, a), -12, 13)),
    ("Laplace", "loc"): ({"loc": 0.4, "scale": 1.3}, known(lambda x, a: S.laplace.pdf(x, a, 1.3), -30, 31)),
    ("Laplace", "scale"): ({"loc": 0.4, "scale": 1.3}, known(lambda x, a: S.laplace.pdf(x, 0.4, a), -30, 31)),
    ("Exponential", "rate"): ({"rate": 0.8}, known(lambda x, a: S.expon.pdf(x, scale=1 / a), 0, 40)),
    ("Gamma", "rate"): (
        {"concentration": 2.3, "rate": 1.4},
        known(lambda x, a: S.gamma.pdf(x, 2.3, scale=1 / a), 0, 40),
    ),
    ("Weibull", "scale"): (
        {"scale": 2.1, "concentration": 1.7},
        known(lambda x, a: S.weibull_min.pdf(x, 1.7, scale=a), 0, 30),
    ),
    ("Pareto", "alpha"): (
        {"scale": 0.7, "alpha": 3.0},
        known(lambda x, a: S.pareto.pdf(x, a, scale=0.7) * (x >= 0.7), 0.7, 200),
    ),
    ("Uniform", "low"): (
        {"low": -0.5, "high": 1.5},
        lambda a, h: (uniform_mean(a + h, 1.5) - uniform_mean(a - h, 1.5)) / (2 * h),
    ),
    ("Uniform", "high"): (
        {"low": -0.5, "high": 1.5},
        lambda a, h: (uniform_mean(-0.5, a + h) - uniform_mean(-0.5, a - h)) / (2 * h),
    ),
    ("Poisson", "rate"): ({"rate": 2.4}, counted(lambda x, a: S.poisson.pmf(x, a))),
    ("Binomial", "probs"): ({"total_count": 7, "probs": 0.3}, counted(lambda x, a: S.binom.pmf(x, 7, a))),
    ("Bernoulli", "probs"): ({"probs": 0.3}, counted(lambda x, a: S.bernoulli.pmf(x, a))),
    ("Geometric", "probs"): ({"probs": 0.3}, counted(lambda x, a: S.geom.pmf(x + 1, a))),
    ("NegativeBinomial", "success"): (
        {"total_count": 2.5, "success": 0.4},
        counted(lambda x, a: S.nbinom.pmf(x, 2.5, a)),
    ),
}


def test_all_rules_are_here():
    assert {(family, name) for family, rules in RULES.items() for name in rules} == {*KNOWN, ("Categorical", "logits")}


@pytest.mark.parametrize(("family", "name"), KNOWN)
def test_a_triple(family, name):
    parameters, derivative = KNOWN[family, name]
    arrays = {key: jnp.asarray(value) for key, value in parameters.items()}

    @jax.jit
    def drawn(key):
        constant, plus, minus = RULES[family][name](key, (DRAWS,), **arrays)
        return constant * (f(plus) - f(minus))

    differences = np.asarray(drawn(jax.random.key(1)), np.float64)
    error = differences.std() / np.sqrt(DRAWS)
    exact = derivative(parameters[name], 1e-4)
    assert error < 0.01 and abs(differences.mean() - exact) < 4.5 * error + 1e-4, (differences.mean(), exact, error)


def test_the_triple_of_a_choice():
    logits = jnp.asarray([0.2, -0.7, 1.1, 0.4])

    @jax.jit
    def drawn(key):
        constant, plus, minus = RULES["Categorical"]["logits"](key, (DRAWS, 4), logits=logits)
        return constant[None] * (f(plus) - f(minus))

    differences = np.asarray(drawn(jax.random.key(1)), np.float64)
    exact = jax.jit(jax.grad(lambda logits: jnp.sum(jax.nn.softmax(logits) * f(jnp.arange(4)))))(logits)
    error = differences.std(axis=0) / np.sqrt(DRAWS)
    assert np.all(np.abs(differences.mean(axis=0) - exact) < 4.5 * error + 1e-6) and np.all(error < 0.01)


# NumPyro's other forms of these families, several entries, and logpi's own: (of, params, f); the score is the check.
FORMS = {
    "logits of NumPyro's negative binomial": (
        lambda p: dist.NegativeBinomialLogits(2.5, p),
        jnp.asarray(0.3),
        lambda x: jnp.sin(0.3 * x),
    ),
    "probs of NumPyro's negative binomial": (
        lambda p: dist.NegativeBinomialProbs(2.5, p),
        jnp.asarray(0.4),
        lambda x: jnp.sin(0.3 * x),
    ),
    "logits of the binomial": (
        lambda p: dist.Binomial(7, logits=p).to_event(1),
        jnp.asarray([0.3, -0.4]),
        lambda x: jnp.sin(0.3 * x[0]) * x[1],
    ),
    "logits of the geometric": (lambda p: dist.Geometric(logits=p), jnp.asarray(0.3), lambda x: jnp.sin(0.3 * x)),
    "probabilities of a choice": (
        lambda p: dist.Categorical(probs=jax.nn.softmax(p)).expand((2,)).to_event(1),
        jnp.asarray([0.3, -0.4, 0.1]),
        lambda x: jnp.sin(2.0 * x[0] + x[1]),
    ),
    "ours together": (
        lambda p: Joint((Normal(p["m"], jnp.log(p["m"])), Normal(2 * p["m"], jnp.zeros(2)))),
        {"m": jnp.asarray([0.5, 1.2])},
        lambda x: jnp.sin(x[0, 0] * x[1, 1]) + x[0, 1],
    ),
    "choices together": (
        lambda p: Joint((Categorical(p), Categorical(2 * p))),
        jnp.asarray([0.3, -0.4, 0.1]),
        lambda x: jnp.sin(2.0 * x[0] + x[1]),
    ),
    "our coins": (
        Bernoulli,
        jnp.asarray([[0.3, -0.4], [0.1, 1.0]]),
        lambda x: jnp.sin(x[0, 0] + 2.0 * x[1, 1]) * x[0, 1],
    ),
}


@pytest.mark.parametrize(
    "name", [n if n in ("ours together", "our coins") else pytest.param(n, marks=pytest.mark.slow) for n in FORMS]
)
def test_the_estimator_agrees_with_the_score(name):
    of, params, f = FORMS[name]
    J = le.expectation(f, of, 32, le.MeasureValued())
    ours = le.estimate(J, params, jax.random.key(0), samples=100_000)
    score = le.estimate(le.Expectation(J.problem, le.Score(), 32), params, jax.random.key(1), samples=100_000)
    for mine, right, mine_error, right_error in zip(
        *map(jax.tree.leaves, (ours.gradient, score.gradient, ours.gradient_error, score.gradient_error)), strict=True
    ):
        error = np.hypot(np.where(np.isfinite(mine_error), mine_error, 0), right_error)
        assert np.all(np.abs(mine - right) < 4.5 * error) and np.all(error < 0.03)


QUANTILES = {
    "normal": (Normal(jnp.asarray([0.5, -1.0]), jnp.asarray([0.1, 0.4])), None),
    "NumPyro's normal": (dist.Normal(jnp.asarray([0.5, -1.0]), 1.3).to_event(1), None),
    "exponential": (dist.Exponential(1.3), stats.expon(scale=1 / 1.3).cdf),
    "uniform": (dist.Uniform(-1.0, 2.0), stats.uniform(-1, 3).cdf),
    "laplace": (dist.Laplace(0.3, 2.0), stats.laplace(0.3, 2).cdf),
    "cauchy": (dist.Cauchy(0.3, 2.0), stats.cauchy(0.3, 2).cdf),
    "expanded": (dist.Exponential(1.3).expand((3,)).to_event(1), None),
}
FINITE = {
    "coins": Bernoulli(jnp.asarray([0.3, -1.0])),
    "choice": Categorical(jnp.asarray([0.3, -1.0, 0.5])),
    "joint": Joint((Categorical(jnp.asarray([0.3, -1.0])), Categorical(jnp.asarray([0.5, 0.0, 1.0])))),
    "NumPyro's coins": dist.Bernoulli(probs=jnp.asarray([0.3, 0.8])).to_event(1),
    "NumPyro's choice": dist.Categorical(logits=jnp.asarray([0.3, -1.0, 0.5])),
    "binomial": dist.Binomial(3, probs=0.3),
    "discrete uniform": dist.DiscreteUniform(2, 4),
}


@pytest.mark.parametrize("name", QUANTILES)
def test_continuous_quantiles_give_the_right_law(name):
    """Against SciPy's law, or the sampler's own: each a Kolmogorov-Smirnov test with a false-alarm rate of 1e-6."""
    theirs, law = QUANTILES[name]
    d = as_distribution(theirs)

    @jax.jit
    def both(first, second):
        uniform = jax.random.uniform(first, (20_000, quantiles_of(d).num_uniforms), minval=1e-7)
        return jax.vmap(quantiles_of(d).event)(uniform), d.sample(second, (20_000,))

    found = both(jax.random.key(2), jax.random.key(3))
    events, drawn = (np.asarray(x).reshape(20_000, -1) for x in found)
    for column, other in zip(events.T, drawn.T, strict=True):
        p = stats.kstest(column, law).pvalue if law else stats.ks_2samp(column, other).pvalue
        assert p > 1e-6
    assert events.shape == drawn.shape


@pytest.mark.parametrize("name", FINITE)
def test_finite_quantiles_give_the_right_law(name):
    """Frequencies within 4.5 standard errors of the probabilities, which sum to 1."""
    d = as_distribution(FINITE[name])
    count = 100_000

    @jax.jit
    def drawn(key):
        uniform = jax.random.uniform(key, (count, quantiles_of(d).num_uniforms), minval=1e-7)
        return jax.vmap(quantiles_of(d).event)(uniform)

    events = np.asarray(drawn(jax.random.key(2)))
    rows, counts = np.unique(events.reshape(count, -1), axis=0, return_counts=True)
    probs = np.exp(jax.jit(jax.vmap(d.log_prob))(jnp.asarray(rows.reshape(-1, *events.shape[1:]))))
    np.testing.assert_allclose(probs.sum(), 1.0, rtol=1e-5)
    assert np.all(np.abs(counts / count - probs) < 4.5 * np.sqrt(probs * (1 - probs) / count))
