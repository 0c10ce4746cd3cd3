"""What a user found after all other tests had passed: jumps that parameters move, samplers that keep to nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import norm

import logpi
from logpi import InputError

KEY, T = jax.random.key(0), jnp.zeros(())


def normal(p):
    return dist.Normal(p, 1.0)


def above(x, p):
    return (x > 2 * p) * 1.0


ESTIMATORS = [
    logpi.Score(),
    logpi.MeasureValued(),
    logpi.Stratified(logpi.Score()),
    logpi.LAX(jnp.sin),
    logpi.Pathwise(),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_a_jump_that_the_parameters_move_is_refused(estimator):
    """P(x > 2p) falls with p as phi(p): its derivative came out as +0.3527, with an error of 0.0043."""
    J = logpi.expectation(above, normal, 8, estimator)
    with pytest.raises(InputError, match=r"(uses gt on both.*EvolutionStrategies|may jump: it uses gt)"):
        jax.grad(J)(0.5, KEY)
    assert jnp.isfinite(logpi.expectation(above, normal, 8)(0.5, KEY))  # the value is right


@pytest.mark.parametrize("estimator", [logpi.EvolutionStrategies(0.1), logpi.FiniteDifferences(0.1)])
def test_what_takes_no_derivative_of_f_sees_a_jump_that_moves(estimator):
    e = logpi.estimate(logpi.expectation(above, normal, 64, estimator), 0.5, KEY, replicates=1000)
    smoothed = 0.02  # of the truth, by moving the parameter by 0.1
    assert abs(e.gradient + norm.pdf(0.5)) < 4.5 * e.gradient_error + smoothed


def test_an_event_that_has_the_parameter_is_the_way_round():
    """As the refusal says: the event x - 2p, whose jump is at 0."""
    J = logpi.expectation(lambda x: (x > 0) * 1.0, lambda p: dist.Normal(-p, 1.0), 64)
    e = logpi.estimate(J, 0.5, KEY, replicates=1000)
    assert abs(e.gradient + norm.pdf(0.5)) < 4.5 * e.gradient_error < 0.05


SMOOTH = {
    "of the event alone": (lambda x, p: jnp.where(x > 0, x * p, 0.0), normal, False),
    "of the parameters alone": (lambda x, p: jnp.where(p > 0, x * p, 0.0), normal, False),
    "a kink": (lambda x, p: jnp.maximum(x - p, 0.0) + jnp.abs(x + p), normal, False),
    "over whole numbers": (lambda x, p: jnp.where(x > p, x * p, 0.0), dist.Poisson, False),
    "a log-density": (lambda x, p: normal(p).log_prob(x), normal, False),
    "said to be continuous": (lambda x, p: jnp.where(x > p, x - p, 0.0), normal, True),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_what_does_not_jump_there_is_let_through(name):
    """With the derivative of a difference of exact means, on the same grid of events."""
    f, of, continuous = SMOOTH[name]
    J = logpi.expectation(f, of, 64, continuous=continuous)
    e = logpi.estimate(J, 0.5, KEY, replicates=1000)
    x = jnp.arange(60.0) if of is dist.Poisson else jnp.linspace(-9.5, 10.5, 200_001)

    @jax.jit
    def mean(p, x):
        return jnp.sum(jax.vmap(lambda x: f(x, p))(x) * jnp.exp(of(p).log_prob(x))) * (x[1] - x[0])

    with jax.enable_x64(True):
        x = x.astype(jnp.float64)
        truth = float(mean(0.5 + 1e-4, x) - mean(0.5 - 1e-4, x)) / 2e-4
    assert abs(e.gradient - truth) < 4.5 * e.gradient_error + 1e-6 < 0.2


def test_pathwise_said_to_be_continuous_is_so_in_the_parameters():
    J = logpi.expectation(lambda x, p: jnp.where(x > p, x - p, 0.0), normal, 64, logpi.Pathwise(continuous=True))
    e = logpi.estimate(J, 0.5, KEY)
    assert abs(e.gradient) < 4.5 * e.gradient_error + 1e-6


class Sampler:
    def __init__(self, mean):
        self.mean = mean

    def log_prob(self, x):
        return jnp.sum(-0.5 * (x - self.mean) ** 2)


class NumpysOwn(Sampler):
    def sample(self, *, seed, sample_shape=()):
        return jnp.asarray(np.random.normal(size=(*sample_shape, 3)))


class OwnKey(Sampler):
    def sample(self, key):
        return self.mean + jax.random.normal(jax.random.key(3), (3,))


class ShapeLast(Sampler):
    def sample(self, *, seed, sample_shape=()):
        return self.mean + jax.random.normal(seed, (3, *sample_shape))


class ShapeIgnored(Sampler):
    def sample(self, key, shape=()):
        return self.mean + jax.random.normal(key, (3,))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (NumpysOwn, "sample of NumpysOwn makes no use of its key.*np.random"),
        (OwnKey, "sample of OwnKey makes no use of its key"),
        (ShapeLast, r"gave the shapes \[\(3, 8\)\] for \(8,\) draws, but \[\(8, 3\)\]"),
        (ShapeIgnored, r"gave the shapes \[\(3,\)\] for \(8,\) draws"),
    ],
)
def test_samplers_that_keep_to_nothing_are_refused(kind, sentence):
    """The first two were exact to logpi, with errors of 0; the third had a gradient of 65 in place of 3."""
    with pytest.raises(InputError, match=sentence):
        logpi.estimate(logpi.expectation(lambda x: jnp.sum(x**2), kind, 8), 0.5, KEY)


def test_a_key_of_another_generator_cannot_draw_poisson():
    with pytest.raises(InputError, match=r"poisson.*give a key of it, as jax\.random\.key"):
        logpi.expectation(lambda x: 1.0 * x, dist.Poisson, 4)(0.5, jax.random.key(0, impl="rbg"))


def test_a_support_that_only_the_last_transform_tells():
    """The exponential of a number in (0, 1) lies in (1, e), of which NumPyro knows (0, inf): the score was NaN."""
    transforms = [dist.transforms.SigmoidTransform(), dist.transforms.ExpTransform()]

    def of(p):
        return dist.TransformedDistribution(normal(p), transforms)

    e, truth = (
        logpi.estimate(logpi.expectation(jnp.sin, of, 64, estimator), 0.3, KEY, replicates=1000)
        for estimator in (logpi.Score(), logpi.Pathwise())
    )
    assert abs(e.gradient - truth.gradient) < 4.5 * np.hypot(e.gradient_error, truth.gradient_error) < 0.01
    assert jnp.isfinite(jax.hessian(logpi.expectation(jnp.sin, of))(0.3, KEY))


@pytest.mark.parametrize(
    ("of", "sentence"),
    [
        (lambda p: dist.Normal(p * jnp.nan, 1.0), "loc of Normal is not a number"),
        (
            lambda p: logpi.distributions.Normal(jnp.zeros(()), jnp.asarray(p * jnp.nan)),
            "log_std of Normal is not a number",
        ),
        (lambda p: dist.Categorical(jnp.asarray([0.5, -0.1, 0.6]) + 0 * p), "probs of CategoricalProbs has -0.1"),
    ],
)
def test_the_number_at_fault_is_named(of, sentence):
    with pytest.raises(InputError, match=sentence):
        logpi.estimate(logpi.expectation(lambda x: 1.0 * x, of, 4), 0.5, KEY)
