"""Gradients that a hostile user found to be wrong with a finite error bar: each is right now, or refused."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import special

import logpi
from logpi import InputError
from logpi.distributions import as_distribution, FromNumpyro
from logpi.distributions.probabilities import log_prob_of_draw
from logpi.estimation.programs import facts, Pieces
from tests.audit import families

KEY = jax.random.key(0)
TABLE = jnp.asarray([5.0, 1.0, 2.0])


def expectation(f, of, samples, estimator=None):
    return logpi.expectation(f, of, samples, estimator)


def traced(f, of, estimator, params=2.0):
    """The trace of the gradient: a refusal needs no run."""
    return jax.make_jaxpr(jax.grad(expectation(f, of, 4, estimator)))(jnp.asarray(params), KEY)


@pytest.mark.parametrize("estimator", [logpi.Pathwise(), logpi.LAX(jnp.sin)], ids=["pathwise", "LAX"])
@pytest.mark.parametrize(
    "of",
    [
        lambda t: dist.VonMises(t, 1.0),
        lambda t: dist.VonMises(t * jnp.ones(2), 1.0).to_event(1),
        lambda t: dist.SineSkewed(dist.Normal(t * jnp.ones(2), 1.0).to_event(1), jnp.asarray([0.2, 0.3])),
    ],
    ids=["von Mises", "several", "skewed"],
)
def test_an_angle_that_is_wrapped_has_no_path(estimator, of):
    """Its sampler jumps from pi to -pi: at loc 2 the pathwise gradient of E exp(x) came out as 5.95, and is 1.557."""
    with pytest.raises(InputError, match=r"not reparametrised.*use Score\(\)"):
        traced(lambda x: jnp.sum(jnp.exp(x)), of, estimator)


EDGES = {
    "a coin": (lambda p: dist.Bernoulli(probs=p), lambda x: 2.0 * x, 2.0),
    "coins": (lambda p: dist.Bernoulli(probs=jnp.stack([p, p])).to_event(1), lambda x: jnp.sum(2.0 * x), 4.0),
    "a count": (lambda p: dist.Binomial(3, probs=p), lambda x: 2.0 * x, 6.0),
    "a large count": (lambda p: dist.Binomial(500, probs=p), lambda x: 2.0 * x, 1000.0),
    "a choice": (lambda p: dist.Categorical(probs=jnp.stack([p, 1 - p])), lambda x: 2.0 * x, -2.0),
}


@pytest.mark.parametrize("case", EDGES)
def test_sums_are_right_at_the_edge_of_a_probability(case):
    """NumPyro clamps probabilities, which made these 0 with an error of 0."""
    of, f, exact = EDGES[case]
    gradient = jax.jit(jax.grad(expectation(f, of, 1, logpi.Enumerate())))
    for p in (0.0, 0.3, 1.0):
        # Inside, log-factorials of 500 are known to 1e-4 in 32 bits.
        assert float(gradient(p, KEY)) == pytest.approx(exact, rel=5e-4 if exact == 1000 and p == 0.3 else 3e-5)


def test_sums_are_right_at_the_edge_at_second_order():
    """E x^2 = 3 p (1 - p) + 9 p^2, whose second derivative is 12."""
    J = expectation(lambda x: 1.0 * x**2, lambda p: dist.Binomial(3, probs=p), 1, logpi.Enumerate())
    np.testing.assert_allclose([jax.hessian(J)(p, KEY) for p in (0.0, 1.0)], 12.0, rtol=1e-4)


def test_a_sum_without_a_known_slope_at_the_edge_is_refused():
    def of(gate):
        return dist.ZeroInflatedDistribution(dist.Binomial(3, 0.5), gate=gate)

    J = expectation(lambda x: 1.0 * x, of, 1, logpi.Enumerate())
    assert float(jax.grad(J)(0.5, KEY)) == pytest.approx(-1.5, rel=1e-5)
    with pytest.raises(InputError, match="not finite"):
        logpi.estimate(J, 1.0, KEY)


def test_choices_without_probability_may_cost_anything():
    logits = jnp.asarray([0.3, -jnp.inf, 0.1])

    def of(logits):
        return dist.Categorical(logits=logits, validate_args=False)

    J = expectation(lambda x: jnp.asarray([1.0, jnp.nan, 3.0])[x], of, 1)
    gradient = jax.grad(logpi.Expectation(J.problem, logpi.Enumerate(), 1))(logits, KEY)
    p = jax.nn.softmax(logits)
    np.testing.assert_allclose(gradient, p * (jnp.asarray([1.0, 0.0, 3.0]) - (p[0] + 3 * p[2])), rtol=1e-5, atol=1e-7)


ALL_OF_THEM = {
    "enumerated": logpi.Enumerate(), "score": logpi.Score(), "no baseline": logpi.Score(logpi.NoBaseline()),
    "measure-valued": logpi.MeasureValued(), "sum and sample": logpi.SumAndSample(1),
}  # fmt: skip


@pytest.mark.parametrize("name", ALL_OF_THEM)
def test_probabilities_of_choices_mean_the_same_to_all(name):
    """Probabilities in proportion to what is given: the derivatives are f - E f, with 4.5 errors of tolerance."""
    J = expectation(lambda x: TABLE[x], lambda p: dist.Categorical(probs=p), 16, ALL_OF_THEM[name])
    e = logpi.estimate(J, jnp.asarray([0.2, 0.3, 0.5]), KEY, replicates=2000)
    assert np.all(np.abs(e.gradient - jnp.asarray([2.7, -1.3, -0.3])) <= 4.5 * e.gradient_error + 1e-5)
    assert np.all(e.gradient_error < 0.1)


def test_the_probabilities_of_several_draws_are_normalised():
    def log_prob(p):
        return FromNumpyro(dist.Multinomial(1, probs=p, validate_args=False)).log_prob(jnp.asarray([0, 1, 0]))

    p = jnp.asarray([0.4, 0.6, 1.0])  # twice the probabilities
    assert float(log_prob(p)) == pytest.approx(np.log(0.3), rel=1e-5)
    np.testing.assert_allclose(jax.grad(log_prob)(p), [-0.5, 1 / 0.6 - 0.5, -0.5], rtol=1e-5)


def test_a_choice_never_drawn_has_no_known_score():
    """Its entry is 3.5, of which scores see nothing; sums see all of it."""
    J = expectation(lambda x: TABLE[x], lambda p: dist.Categorical(probs=p), 4)
    p = jnp.asarray([0.0, 0.5, 0.5])
    assert np.array_equal(np.isnan(jax.jit(jax.grad(J))(p, KEY)), [True, False, False])
    with pytest.raises(InputError, match=r"probs of CategoricalProbs is 0.*with Enumerate\(\)"):
        logpi.estimate(J, p, KEY)
    exact = jax.grad(logpi.Expectation(J.problem, logpi.Enumerate(), 1))(p, KEY)
    np.testing.assert_allclose(exact, [3.5, -0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize(
    "of",
    [
        lambda p: dist.Normal(p, 1.0).mask(False),
        lambda p: dist.Normal(p * jnp.ones(2), 1.0).mask(jnp.asarray([True, False])).to_event(1),
        lambda p: dist.RightCensoredDistribution(dist.Normal(p, 1.0), censored=True),
    ],
    ids=["mask", "mask of a part", "censored"],
)
def test_a_log_probability_that_is_not_that_of_the_draws_is_refused(of):
    with pytest.raises(InputError, match=r"not that of the events it draws.*without mask\(\)"):
        traced(jnp.sum, of, None)


@pytest.mark.parametrize(
    "of",
    [
        lambda q: dist.Normal(0.0, q),
        lambda q: dist.Normal(q * jnp.ones(3), 1.0).to_event(1),
        lambda q: dist.MultivariateNormal(q * jnp.ones(2), jnp.eye(2)),
        lambda q: dist.MixtureSameFamily(dist.Categorical(logits=jnp.zeros(2)), dist.Normal(q * jnp.ones(2), 1.0)),
        lambda q: dist.Beta(q, 1.0),
    ],
    ids=["Normal", "to_event", "vectors", "mixture", "Beta"],
)
def test_a_distribution_that_vmap_made_is_refused(of):
    """It has lost its shape: the gradient of E sum(x^2) of one sample each was (0.002, 0.002), and is (0.2, 0.4)."""
    with pytest.raises(InputError, match=r"more axes than its batch_shape .*make it of whole arrays"):
        traced(lambda x: jnp.sum(x**2), lambda t: jax.vmap(of)(t * jnp.asarray([0.1, 0.2])), None)
    traced(lambda x: jnp.sum(x**2), of, None)


@pytest.mark.parametrize("kind", ["ImproperUniform", "a truncated StudentT"])
def test_what_numpyro_cannot_draw_from_is_told(kind):
    """A traceback of a NotImplementedError without a word came, and one that asked for another library."""

    def of(t):
        if kind == "ImproperUniform":
            return dist.ImproperUniform(dist.constraints.real, (), ())
        return dist.LeftTruncatedDistribution(dist.StudentT(4.0, t, 1.0), low=0.0)

    with pytest.raises(InputError, match=r"cannot be drawn from \((NotImplementedError|Please install)"):
        traced(lambda x: x, of, None)


def test_what_numpyro_makes_has_the_axes_that_it_says():
    named = [*families.NUMBERS.values(), *families.COUNTS.values(), *families.ARRAYS.values()]
    assert all(as_distribution(make()) for make in named)


def test_families_are_known_by_their_class_and_not_by_their_name():
    """A geometric distribution that counts from 1: by NumPyro's rule the gradient was -44.5, and is -56.25."""

    class Geometric(dist.Distribution):
        support = dist.constraints.positive_integer

        def __init__(self, probs):
            self.probs = probs
            super().__init__(jnp.shape(probs))

        def sample(self, key, sample_shape=()):
            return jax.random.geometric(key, self.probs, sample_shape)

        def log_prob(self, value):
            return jnp.log(self.probs) + (value - 1) * jnp.log1p(-self.probs)

    class BernoulliLogits(Geometric):
        pass

    with pytest.raises(InputError, match="Geometric is not in the table"):
        traced(lambda x: x**2.0, Geometric, logpi.MeasureValued(), 0.4)
    with pytest.raises(InputError, match="not for BernoulliLogits"):
        traced(lambda x: x**2.0, BernoulliLogits, logpi.DisARM(), 0.4)


@jax.jit
def clip(x):
    """Called as one of JAX's functions is, and it jumps."""
    return jnp.where(x > 1.0, 0.0, x)


PAIR = jnp.ones(2)
JUMPS = {
    "atan2": (lambda x: jnp.arctan2(x[0], x[1]), "atan2"),
    "a sign by division": (lambda x: jnp.sum(x / jnp.abs(x) + x**2), "a division by what may be 0"),
    "a pole": (lambda x: jnp.sum(jnp.arctan(1 / x)), "a division by what may be 0"),
    "a shifted pole": (lambda x: jnp.sum(1 / (1 + x)), "a division by what may be 0"),
    "a negative power": (lambda x: jnp.sum(x**-3), "a division by what may be 0"),
    "a reciprocal root": (lambda x: jnp.sum(x * jax.lax.rsqrt(x * x)), "rsqrt"),
    "tan": (lambda x: jnp.sum(jnp.tan(x)), "tan"),
    "copysign": (lambda x: jnp.sum(jnp.copysign(1.0, x)), "bitcast"),
    "inside scan": (lambda x: jax.lax.scan(lambda c, v: (c + 1 / v, None), 0.0, x)[0], "a division by what may be 0"),
    "a name of JAX's": (lambda x: jnp.sum(clip(x)), "gt"),
}
NO_JUMPS = {
    "softmax": lambda x: jax.nn.softmax(x)[0],
    "a norm and a little": lambda x: x[0] / (jnp.linalg.norm(x) + 1e-6),
    "a density": lambda x: jnp.sum(dist.StudentT(3.0, 0.0, 1.0).log_prob(x)),
}


def pathwise(f, of=lambda t: dist.Normal(t * PAIR, 1.0).to_event(1)):
    return expectation(f, of, 32, logpi.Pathwise())


@pytest.mark.parametrize("name", JUMPS)
def test_a_jump_need_not_be_a_comparison(name):
    f, operation = JUMPS[name]
    assert any(operation in jump for jump in facts(Pieces.of(pathwise(f), 0.5), KEY).jumps)


@pytest.mark.parametrize("name", ["a sign by division", "a name of JAX's"])
def test_a_jump_that_is_no_comparison_is_refused(name):
    with pytest.raises(InputError, match=rf"uses .*{JUMPS[name][1]}.*Pathwise\(continuous=True\)"):
        logpi.estimate(pathwise(JUMPS[name][0]), 0.5, KEY)


@pytest.mark.parametrize("name", ["softmax", "a norm and a little", "a density"])
def test_a_division_by_what_is_never_0_is_no_jump(name):
    assert jnp.isfinite(logpi.estimate(pathwise(NO_JUMPS[name]), 0.5, KEY).gradient_error)


def test_events_above_0_may_be_divided_by():
    quotient = pathwise(lambda x: jnp.log(x) / (x + x**2), lambda t: dist.LogNormal(t, 0.5))
    assert jnp.isfinite(logpi.estimate(quotient, 0.5, KEY).gradient_error)
    with pytest.raises(InputError, match="a division by what may be 0"):
        logpi.estimate(pathwise(lambda x: jnp.arctan(1 / (x - 1)), lambda t: dist.Gamma(t, 1.0)), 1.2, KEY)


def test_a_host_function_has_no_derivative_in_what_it_is_given():
    """E (k x)^2 in k is 6 at k = 1.5, m = 1; it was 0 with an error of 0."""
    h = logpi.host(lambda x: float(x) ** 2)
    params = {"m": jnp.asarray(1.0), "k": jnp.asarray(1.5)}
    J = expectation(lambda x, p: h(x * p["k"]), lambda p: dist.Normal(p["m"], 1.0), 4)
    with pytest.raises(InputError, match=r"derivative of a host function.*write in JAX what depends on the parameters"):
        jax.make_jaxpr(jax.grad(J))(params, KEY)
    jax.make_jaxpr(J)(params, KEY)
    still = expectation(lambda x, p: p["k"] * h(x), lambda p: dist.Normal(p["m"], 1.0), 4)
    jax.make_jaxpr(jax.grad(still))(params, KEY)
    with pytest.raises(InputError, match="derivative of a host function"):
        traced(h, lambda t: dist.Normal(t, 1.0), logpi.Pathwise(continuous=True))


def log_mass(of, event):
    """The gradient, in a concentration, of the log-probability that an event counts with."""
    return jax.grad(lambda a: log_prob_of_draw(FromNumpyro(of(a)), jnp.asarray(event)))


def test_draws_on_the_rim_count_with_the_probability_that_they_stand_for():
    """P(X < t) = t^a / Gamma(a + 1) for a Gamma, and t^a / (a B(a, 1/2)) for a Beta, at a small distance t."""
    tiny, eps = float(jnp.finfo(jnp.float32).tiny), float(jnp.finfo(jnp.float32).eps)
    right = np.log(tiny) - special.digamma(1.06)
    np.testing.assert_allclose(log_mass(lambda a: dist.Gamma(a, 1.0), 0.0)(0.06), right, rtol=1e-4)
    right = np.log(eps) - 1 / 0.5 - special.digamma(0.5) + special.digamma(1.0)
    np.testing.assert_allclose(log_mass(lambda a: dist.Beta(0.5, a), 1 - eps)(0.5), right, rtol=1e-4)
    inside = np.log(0.25) - special.digamma(0.5) + special.digamma(1.0)
    np.testing.assert_allclose(log_mass(lambda a: dist.Beta(0.5, a), 0.75)(0.5), inside, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("of", "concentration"),
    [
        (lambda a: dist.Gamma(a, 1.0), 0.01),
        (lambda a: dist.Beta(a, a), 0.05),
        (lambda a: dist.Beta(a, a), 0.2),
        (lambda a: dist.Dirichlet(a * jnp.ones(2)), 0.03),
    ],
    ids=["Gamma", "Beta", "a larger one", "Dirichlet"],
)
def test_much_probability_on_the_rim_is_refused(of, concentration):
    """The gradient of the mean of Beta(0.05, b) came out as -2.73 ± 0.01, and is -5."""
    with pytest.raises(InputError, match=r"not finite in .*concentration near 0 is drawn at its end"):
        logpi.estimate(expectation(lambda x: jnp.sum(x**2), of, 64), concentration, KEY, replicates=200)


@pytest.mark.parametrize("estimator", [logpi.SPSA(), logpi.FiniteDifferences()], ids=["SPSA", "differences"])
def test_differences_are_those_of_the_steps_that_were_taken(estimator):
    """Of 16 bits, 3 and 0.01 make 3 (or 3.016): 6.19 came out for 4. At 10^5 a step of 0.01 is one of 0.0078."""
    J = expectation(lambda x: (x - 1) ** 2, lambda p: dist.Normal(p, 1.0), 16, estimator)
    e = logpi.estimate(J, jnp.asarray(3.0, jnp.bfloat16), KEY, replicates=200)
    assert abs(float(e.gradient) - 4) < 4.5 * e.gradient_error + 0.02 < 0.3  # a gradient of 16 bits is rounded
    J = expectation(lambda x: 2 * x, dist.Delta, 1, estimator)
    assert float(jax.grad(J)(1e5, KEY)) == pytest.approx(2.0, rel=1e-5)


def test_a_step_that_is_rounded_away_is_refused():
    J = expectation(lambda x: x, lambda p: dist.Normal(p, 1.0), 16, logpi.SPSA())
    with pytest.raises(InputError, match="its draws are rounded"):
        logpi.estimate(J, 1e8, KEY)


@pytest.mark.parametrize("name", ["MultivariateNormal", "MultivariateStudentT"])
def test_vectors_that_their_floats_cannot_tell_apart_are_refused(name):
    """At 1e8, where the floats are 8 apart, the gradient of the mean came out as 0.007 ± 0.003, and is 1."""

    def of(p):
        given = {"df": 5.0, "scale_tril": jnp.eye(2)} if "Student" in name else {"scale_tril": jnp.eye(2)}
        return getattr(dist, name)(loc=p, **given)

    J = expectation(lambda x: jnp.sum(x - 1e8), of, 16)
    with pytest.raises(InputError, match=f"scale of {name} is 1, .* its draws are rounded"):
        logpi.estimate(J, jnp.full(2, 1e8), KEY)


@pytest.mark.parametrize("name", ["shape", "sample_shape"])
def test_samplers_of_other_libraries_may_name_their_shape(name):
    """As those of TensorFlow Probability do, whose key comes last: `sample(sample_shape=(), seed=None)`."""

    class ByShape:
        def __init__(self, mean):
            self.mean = mean

        def sample(self, shape=(), seed=None):
            return self.mean + jax.random.normal(seed, shape)

        def log_prob(self, x):
            return -0.5 * (x - self.mean) ** 2

    class BySampleShape(ByShape):
        def sample(self, sample_shape=(), seed=None):
            return self.mean + jax.random.normal(seed, sample_shape)

    e = logpi.estimate(expectation(lambda x: x**2, ByShape if name == "shape" else BySampleShape, 16), 1.0, KEY)
    assert abs(e.gradient - 2) < 4.5 * e.gradient_error < 1
