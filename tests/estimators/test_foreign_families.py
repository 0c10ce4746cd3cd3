"""Families of other libraries are known by their names and parameters, and by their log-probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi

KEY = jax.random.key(0)


class Other:
    """A distribution as another library writes it: its fields, a sampler that takes a seed, and a log-probability."""

    parameters: tuple[str, ...] = ()

    def __init__(self, *values, **others):
        vars(self).update(dict(zip(self.parameters, values, strict=False)) | others)

    def _own(self):
        made = {name: getattr(self, name) for name in self.parameters if getattr(self, name, None) is not None}
        return getattr(dist, type(self).__name__)(**made)

    def sample(self, *, seed, sample_shape=()):
        return self._own().sample(seed, sample_shape)

    def log_prob(self, x):
        return self._own().log_prob(x)


def other(name, *parameters, **more):
    """A class of that name."""
    return type(name, (Other,), {"parameters": parameters, **more})


Normal = other("Normal", "loc", "scale")
Bernoulli = other("Bernoulli", "logits", "probs")
Categorical = other("Categorical", "logits", "probs")
Poisson = other("Poisson", "rate")
Laplace = other("Laplace", "loc", "scale")


class Independent:
    """Entries of a batch as one event."""

    def __init__(self, distribution, reinterpreted_batch_ndims):
        self.distribution, self.reinterpreted_batch_ndims = distribution, reinterpreted_batch_ndims

    def sample(self, *, seed, sample_shape=()):
        return self.distribution.sample(seed=seed, sample_shape=sample_shape)

    def log_prob(self, x):
        return jnp.sum(self.distribution.log_prob(x))


def coins(p):
    """Three of them."""
    return Independent(Bernoulli(p * jnp.array([0.5, -1.0, 2.0])), 1)


def slope(p):
    """The derivative of the expected `square` of three coins, by all eight."""
    by = np.array([0.5, -1.0, 2.0])
    probs = 1 / (1 + np.exp(-p * by))
    events = np.stack(np.meshgrid(*[np.arange(2)] * 3), -1).reshape(-1, 3)
    weights = np.prod(np.where(events == 1, probs, 1 - probs), axis=1)
    return weights * (events.sum(1) - 0.45) ** 2 @ ((events - probs) @ by)


def softmax_slope(logits, values):
    """The derivative of an expected choice of values in its logits."""
    probs = np.exp(logits) / np.sum(np.exp(logits))
    return probs * (values - probs @ values)


def square(x):
    """Of the sum, less a number."""
    return (jnp.sum(x) - 0.45) ** 2


ONE, TWO = jnp.asarray(0.7), jnp.array([0.4, 1.2])
CASES = {
    "weak derivative of a Normal": (logpi.MeasureValued(), lambda p: Normal(p[0], p[1]), square, TWO, [-0.1, 2.4]),
    "strata of a Normal": (logpi.Stratified(logpi.Score()), lambda p: Normal(p[0], p[1]), square, TWO, [-0.1, 2.4]),
    "pairs of a Laplace": (
        logpi.Antithetic(logpi.Score()), lambda p: Laplace(p[0], p[1]), square, TWO, [-0.1, 4.8],
    ),
    "weak derivative of a Poisson": (logpi.MeasureValued(), Poisson, square, ONE, 2 * (0.7 - 0.45) + 1),
    "coins": (logpi.DisARM(), coins, square, ONE, slope(0.7)),
    "coins, relaxed": (logpi.REBAR(), coins, square, ONE, slope(0.7)),
    "all coins": (logpi.Enumerate(), coins, square, ONE, slope(0.7)),
    "choices": (
        logpi.Enumerate(), Categorical, lambda x: x**2.0, jnp.array([0.3, -0.2, 0.1]),
        softmax_slope(np.array([0.3, -0.2, 0.1]), np.array([0.0, 1.0, 4.0])),
    ),
    "choices by probabilities": (
        logpi.UnorderedSet(2), lambda p: Categorical(None, jax.nn.softmax(p)), lambda x: x**2.0, jnp.zeros(3),
        jnp.array([-5 / 9, -2 / 9, 7 / 9]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_foreign_families(name):
    estimator, of, f, params, right = CASES[name]
    found = logpi.estimate(logpi.expectation(f, of, 64, estimator), params, KEY)
    limit = 5 * np.asarray(found.gradient_error) + 1e-5
    np.testing.assert_array_less(np.abs(np.asarray(found.gradient - jnp.asarray(right))), limit)


class ByVariance(Other):
    """Its scale is a variance."""

    def _own(self):
        return dist.Normal(self.loc, jnp.sqrt(self.scale))


LIKE = {
    "a scale that is a variance": type("Normal", (ByVariance,), {"parameters": ("loc", "scale")}),
    "choices counted from 1": type(
        "Categorical", (Other,), {
            "parameters": ("logits",),
            "sample": lambda self, *, seed, sample_shape=(): 1 + jax.random.categorical(seed, self.logits),
            "log_prob": lambda self, x: dist.Categorical(logits=self.logits).log_prob(x - 1),
        },
    ),
    "coins of another logit": type(
        "Bernoulli", (Other,), {"parameters": ("logits",), "_own": lambda self: dist.Bernoulli(logits=-self.logits)}
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "estimator", "params"),
    [
        ("a scale that is a variance", logpi.MeasureValued(), (0.3, 1.7)),
        ("choices counted from 1", logpi.Enumerate(), (jnp.array([0.3, -0.2]),)),
        ("coins of another logit", logpi.DisARM(), (jnp.asarray(0.8),)),
    ],
)
def test_a_name_is_no_proof(name, estimator, params):
    J = logpi.expectation(lambda x: x**2.0, lambda p: LIKE[name](*p), 16, estimator)
    with pytest.raises(logpi.InputError, match=r"log_prob"):
        logpi.estimate(J, params, KEY)


def test_what_has_no_twin_is_refused_as_before():
    """Of a name that nobody knows, a Score is right."""
    J = logpi.expectation(
        square, lambda p: other("Mine", "loc", "scale", _own=lambda s: dist.Normal(s.loc, 1.0))(p, 1.0)
    )
    assert abs(logpi.estimate(J, 0.4, KEY).gradient + 0.1) < 0.5
    with pytest.raises(logpi.InputError, match="Mine is not in the table"):
        logpi.estimate(logpi.expectation(square, J.problem.of, estimator=logpi.MeasureValued()), 0.4, KEY)


class OneHot(Other):
    """Choices as vectors, of a class that is named like choices as numbers."""

    def sample(self, *, seed):  # pyright: ignore[reportIncompatibleMethodOverride]
        return jax.nn.one_hot(jax.random.categorical(seed, self.logits), self.logits.shape[0])

    def log_prob(self, x):
        return jnp.sum(x * jax.nn.log_softmax(self.logits))


LOGITS = jnp.array([0.3, -0.2, 0.1])
STRANGERS = {
    "choices of another temperature": (
        other("Categorical", "logits", _own=lambda self: dist.Categorical(logits=2 * self.logits)),
        lambda x: x * 1.0, LOGITS, 2 * softmax_slope(2 * np.asarray(LOGITS), np.arange(3.0)),
    ),
    "choices as vectors": (
        type("Categorical", (OneHot,), {"parameters": ("logits",)}),
        lambda x: x[2], LOGITS, softmax_slope(np.asarray(LOGITS), np.array([0.0, 0.0, 1.0])),
    ),
    "coins of the other side": (
        other("Bernoulli", "probs", _own=lambda self: dist.Bernoulli(probs=1 - self.probs)),
        lambda x: x * 1.0, ONE, -1.0,
    ),
    "counts of a mean that is a square": (
        other("Poisson", "rate", _own=lambda self: dist.Poisson(self.rate**2)),
        lambda x: x * 1.0, ONE, 1.4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
def test_what_only_bears_a_name_is_a_stranger(name):
    """Score asks for no more than its own log-probability; what asks for more says that the name is no proof."""
    of, f, params, right = STRANGERS[name]
    found = logpi.estimate(logpi.expectation(f, of, 64), params, KEY)
    np.testing.assert_array_less(np.abs(found.gradient - right), 5 * found.gradient_error)
    for estimator in (logpi.Enumerate(), logpi.SumAndSample(1), logpi.MeasureValued()):
        with pytest.raises(logpi.InputError, match=r"log_prob of \w+ is not that|not known to|not in the table"):
            logpi.estimate(logpi.expectation(f, of, 64, estimator), params, KEY)
