"""At the edge of a parameter's range, and outside of it: right, or refused, whatever the estimator."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi
from logpi import InputError
from logpi.distributions import Bernoulli, Categorical, Joint, Normal

KEY = jax.random.key(0)


def coins(p):
    return dist.Bernoulli(probs=jnp.stack([p, p + 0.5])).to_event(1)


def f(x):
    return 2.0 * x[0] + x[1]


SEE_ALL = [logpi.Enumerate(), logpi.MeasureValued()]
SEE_DRAWS = [
    logpi.Score(), logpi.Score(logpi.NoBaseline()), logpi.RaoBlackwell((0,)), logpi.RaoBlackwell((1,)),
    logpi.UnorderedSet(), logpi.SumAndSample(), logpi.DisARM(), logpi.REBAR(), logpi.VIMCO(4),
    logpi.BiasedStraightThrough(), logpi.BiasedGumbelSoftmax(), logpi.BiasedStandardisedScore(),
]  # fmt: skip


def named(estimator):
    return type(estimator).__name__


@pytest.mark.parametrize("estimator", [*SEE_ALL, *SEE_DRAWS], ids=named)
def test_every_estimator_is_right_or_nan_at_the_edge_and_beyond(estimator):
    """The gradient is 3; `Score` gave 1.0004 ± 0.002. At 0.7, where one probability is 1.2, `DisARM` gave 2."""
    found = jax.jit(jax.value_and_grad(logpi.expectation(f, coins, 8, estimator)))
    (value, gradient), inside = found(0.0, KEY), found(0.25, KEY)
    assert np.isfinite(value) and np.isfinite(inside).all() and np.isnan(found(0.7, KEY)).all()
    assert float(gradient) == pytest.approx(3.0, rel=1e-5) if estimator in SEE_ALL else np.isnan(gradient)


def test_the_edge_is_told_and_only_where_it_is_the_reason():
    sentence = r"probs of BernoulliProbs is 0, .*sum over all of them with Enumerate\(\)"
    J = logpi.expectation(f, coins, 8)
    with pytest.raises(InputError, match=sentence) as said:
        logpi.estimate(J, 0.0, KEY)
    assert f"{J.fault(0.0)}." in str(said.value)  # as `maximize` asks
    with pytest.raises(InputError, match="not finite in 1 of 1 replicates"):
        logpi.estimate(logpi.expectation(lambda x: f(x) / 0.0, coins, 1, logpi.Enumerate()), 0.0, KEY)


def test_no_second_derivative_is_made_up_at_the_edge():
    assert np.isnan(jax.jit(jax.hessian(logpi.expectation(f, coins, 4)))(0.0, KEY))


STILL = {
    "a constant beside it": (lambda p: dist.Bernoulli(probs=jnp.stack([p, 0.0])).to_event(1), 0.3),
    "a constant choice": (lambda p: dist.Categorical(probs=jnp.stack([0.0 * p, p, 1 - p])), 0.3),
    "a mask": (lambda p: dist.Categorical(probs=jax.nn.softmax(jnp.stack([p, p, -p])) * jnp.array([0.0, 1, 1])), 0.3),
    "a sigmoid, rounded": (lambda p: dist.Bernoulli(probs=jax.nn.sigmoid(p)), 20.0),
    "a sigmoid by hand": (lambda p: dist.Bernoulli(probs=1 / (1 + jnp.exp(-p))), 20.0),
    "clipped": (lambda p: dist.Bernoulli(probs=jnp.clip(p, 0.0, 1.0)), -0.5),
}


@pytest.mark.parametrize("name", STILL)
def test_an_edge_that_no_parameter_moves_is_let_through(name):
    of, p = STILL[name]
    assert np.isfinite(jax.jit(jax.grad(logpi.expectation(lambda x: jnp.sum(2.0 * x), of, 8)))(p, KEY))


def test_only_the_parameter_that_moves_it_is_unknown():
    J = logpi.expectation(f, lambda p: dist.Bernoulli(probs=jnp.stack([p["a"], p["b"]])).to_event(1), 8)
    gradient = jax.jit(jax.grad(J))({"a": 1.0, "b": 0.4}, KEY)
    assert np.isnan(gradient["a"]) and np.isfinite(gradient["b"])


def test_an_edge_without_a_derivative_has_a_value():
    """A loop that cannot be differentiated backwards makes the probability."""

    def of(p):
        return dist.Bernoulli(probs=jax.lax.while_loop(lambda q: q > 0.01, lambda q: 0.5 * q, p))

    assert np.isfinite(jax.jit(logpi.expectation(lambda x: 1.0 * x, of, 8))(0.5, KEY))


def test_sites_at_the_edge_and_out_of_range():
    def program(p, key):
        x, log_prob = logpi.sample(coins(p), key)
        return logpi.cost(f(x), log_prob)

    with pytest.raises(InputError, match="nor is one for probs of 0 or 1"):
        logpi.estimate(program, 0.0, KEY)
    found = jax.jit(jax.value_and_grad(program))
    assert np.array_equal(
        np.isnan([found(p, KEY) for p in (0.0, 0.7, 0.3)]), [[False, True], [True, True], [False] * 2]
    )


def test_pathwise_sites_out_of_range_give_no_number():
    """An exponential with a rate of -1 gave -0.93."""

    def program(p, key):
        return logpi.sample(dist.Exponential(p), key, by="pathwise")[0]

    def jumping(p, key):  # what does not look at NaN has it in its log-probability
        x, log_prob = logpi.sample(dist.Exponential(p), key, by="pathwise")
        return logpi.cost(jnp.where(x > 0, 1.0, 0.0), log_prob)

    for subject in (program, jumping):
        value, gradient = jax.jit(jax.value_and_grad(subject))(-1.0, KEY)
        assert np.isnan(value) and (subject is jumping or np.isnan(gradient))
    assert np.isfinite(jax.jit(jax.value_and_grad(program))(2.0, KEY)).all()


PAIR = Joint((Categorical(jnp.zeros(3)), Categorical(jnp.zeros(3))))
NO_EVENTS = {
    "too few entries": (PAIR, [2], "has an entry for each of its 2 parts"),
    "too many entries": (PAIR, [2, 1, 7], "has an entry for each of its 2 parts"),
    "a number": (PAIR, 2, "has an entry for each of its 2 parts"),
    "no such choice": (PAIR, [2, 7], "7 is no event of Categorical"),
    "a ragged list": (Bernoulli(jnp.zeros(2)), [[1], 2], r"\[\[1\], 2\] is no event of Bernoulli, for it is no array"),
    "a word": (dist.Normal(jnp.ones(2), 1.0), "no", "'no' is no event of Normal"),
}


@pytest.mark.parametrize("name", NO_EVENTS)
def test_the_score_of_what_is_no_event(name):
    subject, event, sentence = NO_EVENTS[name]
    with pytest.raises(InputError, match=sentence):
        logpi.score(subject, event)


def test_the_score_of_a_list():
    np.testing.assert_allclose(logpi.score(Bernoulli(jnp.zeros(2)), [1, 0]).logits, [0.5, -0.5])
    np.testing.assert_allclose(logpi.score(Normal(jnp.zeros(2), jnp.zeros(2)), [0.1, 0.2]).mean, [0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(logpi.score(PAIR, [2, 0]).parts[0].logits, np.array([-1, -1, 2]) / 3, rtol=1e-6)


def test_the_score_where_no_support_is_told():
    """Lévy's log-density in its scale c, at 2: 1 / (2 c) - 1 / 4."""
    found = logpi.score(jnp.asarray(1.0), 2.0, of=lambda c: dist.Levy(0.0, c))
    assert float(found) == pytest.approx(0.25, rel=1e-6)


NOT_FOLLOWED = {
    "an index": (lambda a: [1.0, 2.0, 3.0][a], lambda p: Categorical(p * jnp.arange(3.0))),
    "a range": (lambda a: 1.0 * sum(range(a)), dist.Poisson),
    "a mask": (lambda x: jnp.sum(x[x > 0]), lambda p: dist.Normal(p * jnp.ones(3), 1.0).to_event(1)),
}


@pytest.mark.parametrize("name", NOT_FOLLOWED)
def test_what_jax_cannot_follow_is_told(name):
    f, of = NOT_FOLLOWED[name]
    with pytest.raises(InputError, match=r"f cannot be followed by JAX .*logpi\.host\(f\)"):
        logpi.expectation(f, of)(1.0, KEY)


def test_a_power_that_moves_has_a_score():
    """E x^p = exp(0.045 p^2) for a log-normal x: at the end of the support its density has no derivative in p."""

    def of(p):
        return dist.TransformedDistribution(dist.LogNormal(0.0, 0.3), [dist.transforms.PowerTransform(p)])

    e = logpi.estimate(logpi.expectation(lambda x: x, of), 1.5, jax.random.key(0))
    assert abs(e.gradient - 0.135 * np.exp(0.10125)) < 4.5 * e.gradient_error < 0.1
