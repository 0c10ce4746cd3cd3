"""What is suspected is measured, and the measurement decides: in arguments, closures, programs, and of strangers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi
from benchmarks.refusals.right import Own
from logpi import InputError
from logpi.estimation import derivative_check
from logpi.estimation.derivative_check import check_derivative, Gap, unchecked
from logpi.estimation.programs import facts, Pieces

KEY = jax.random.key(0)


def normal(p):
    return dist.Normal(p, 1.0)


def expected(f, of=normal, estimator=None):
    return logpi.expectation(f, of, 64, estimator)


def argument(x, p):
    return (x - 2 * p) / jnp.abs(x - 2 * p) + 0.1 * x


def closure(t, key):
    return logpi.expectation(lambda x: (x > 2 * t) * 1.0 + 0.1 * x, normal)(t, key)


def program(t, key):
    x, log_prob = logpi.sample(normal(t), key)
    return logpi.cost(jnp.arctan(1 / (x - 2 * t)), log_prob)


def through_a_branch(t, key):
    x, _ = logpi.sample(normal(t), key, by="pathwise")
    return jax.lax.cond(x > 1.0, lambda: 2.0, lambda: 0.0)


def chain(first, baseline, split=jax.random.split):
    """E y^2 of y ~ N(p x, 1), with x ~ N(p, 1), by what of the first draw's log-probability and a baseline."""

    def program(p, key):
        one, other = split(key)
        x, before = logpi.sample(normal(p), one)
        y, log_prob = logpi.sample(normal(p * x), other)
        return logpi.cost(4 * x + y**2, log_prob + first * before if first else log_prob, baseline(x, y))

    return program


def each_its_own(p, key):
    x, log_probs = jax.vmap(lambda key: logpi.sample(normal(p), key))(jax.random.split(key, 4))
    return jnp.mean(logpi.cost(x**2, log_probs, (jnp.sum(x**2) - x**2) / 3))


def either(p, key):
    first, then = jax.random.split(key)
    coin, before = logpi.sample(dist.Bernoulli(logits=p), first)

    def branch(loc):
        x, log_prob = logpi.sample(normal(loc), then)
        return logpi.cost(x, before + log_prob)

    return jax.lax.cond(coin == 1, lambda: branch(p), lambda: branch(2 * p))


def stopped(p, key):
    return jax.lax.stop_gradient(p + jax.random.normal(key)) ** 2


class Sampler:
    """A uniform distribution of another library, that says nothing of its support."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def sample(self, *, seed, sample_shape=()):
        return self.low + (self.high - self.low) * jax.random.uniform(seed, sample_shape)

    def log_prob(self, x):
        return jnp.where((x >= self.low) & (x <= self.high), -jnp.log(self.high - self.low), -jnp.inf)


class Inflated(Sampler):
    """A point at 0 and a density beside it, whose density at 0 forgets the point."""

    def sample(self, *, seed, sample_shape=()):
        point, rest = jax.random.split(seed)
        inside = self.low + jax.random.normal(rest, sample_shape)
        return jnp.where(jax.random.bernoulli(point, self.high, sample_shape), 0.0, inside)

    def log_prob(self, x):
        return jnp.log1p(-self.high) - 0.5 * (x - self.low) ** 2


WRONG = {
    "a pole of an argument": (expected(argument), "uses a division"),
    "NaN of an argument": (expected(lambda x, p: jnp.where(jnp.isnan(jnp.sqrt(x - 2 * p)), 0, 1.0)), "uses ne"),
    "a closure": (closure, "uses gt"),
    "a program": (program, "uses a division"),
    "a path through a branch": (through_a_branch, "uses gt"),
    "what is finite": (
        expected(lambda x: jnp.isfinite(jnp.log(x)) + x**2, normal, logpi.Pathwise()),
        "uses log, is_finite",
    ),
    "a draw of no account": (chain(0, lambda x, y: 0.0), "a log-probability of logpi.sample that nobody takes"),
    "a baseline of its own draw": (chain(1, lambda x, y: 4 * x), "a baseline of logpi.cost that is drawn"),
    "one key": (chain(1, lambda x, y: 0.0, lambda key: (key, key)), "one key in two calls"),
    "no derivative": (stopped, "no derivative in any parameter"),
    "a surrogate": (expected(jnp.sin, normal, logpi.LAX(jnp.round)), "uses round"),
    "a support that moves": (expected(jnp.square, lambda t: Sampler(0.0, t)), "support of Foreign|Sampler moves"),
    "a density without its point": (expected(lambda x: (x == 0) * 1.0, lambda t: Inflated(1.0, t)), "not that of its"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused(name):
    J, sentence = WRONG[name]
    with pytest.raises(InputError, match=rf"({sentence}).*the slope of its value is .* where the derivative says"):
        logpi.estimate(J, 0.5, KEY)


def bound(q):
    """The evidence lower bound of a Gamma model, with the family's own density in it."""
    return expected(lambda x, p: dist.Gamma(2.0, 1.0).log_prob(x) - q(p).log_prob(x), q, logpi.Pathwise())


RIGHT = {
    "a bound of a log-normal": bound(lambda p: dist.LogNormal(p, 0.8)),
    "a bound of a half-normal": bound(dist.HalfNormal),
    "a likelihood of coins": expected(lambda x: dist.Bernoulli(logits=x).log_prob(1), normal, logpi.Pathwise()),
    "a call option": expected(lambda x: jnp.where(x > 1.0, x - 1.0, 0.0), normal, logpi.Pathwise()),
    "a direction": expected(
        lambda x: (x / jnp.linalg.norm(x + 2.0))[0],
        lambda p: dist.Normal(p * jnp.ones(3), 0.1).to_event(1),
        logpi.Pathwise(),
    ),
    "what is compared in no parameter": expected(lambda x, p: p * (x > 1.0)),
    "counts": expected(lambda x, p: jnp.where(x > p, x * p, 0.0), dist.Poisson),
    "leave one out": each_its_own,
    "one key in two branches": either,
    "a stranger that is right": expected(jnp.sin, lambda t: Own(t), logpi.Pathwise()),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_let_through(name):
    J = RIGHT[name]
    known = facts(Pieces.of(J, 0.55), KEY)
    assert known.is_doubtful or name == "what is compared in no parameter"
    check_derivative(Pieces.of(J, 0.55), KEY, known, 64)


def test_what_nobody_reads_is_not_suspected():
    """NumPyro compares the parameters that it is given, whether or not somebody hears of it."""
    assert not facts(Pieces.of(chain(1, lambda x, y: 0.0), 0.55), KEY).is_doubtful


def test_a_program_that_cannot_be_differentiated_is_told():
    def body(carry):
        key, count, total, _ = carry
        key, now = jax.random.split(key)
        coin, log_prob = logpi.sample(dist.Bernoulli(logits=0.1), now)
        return key, count + 1.0, total + log_prob, coin == 1

    def until_tails(p, key):
        start = key, 0.0, p, jnp.asarray(True)
        _, count, total, _ = jax.lax.while_loop(lambda carry: carry[3], body, start)
        return logpi.cost(count, total)

    for ask in (logpi.estimate, lambda *asked: logpi.maximize(*asked, steps=2)):
        with pytest.raises(InputError, match=r"J has no derivative \(Reverse-mode .*jax.lax.scan over as many steps"):
            ask(until_tails, 0.5, KEY)
    with pytest.raises(InputError, match=r"J cannot be followed by JAX .*write it with jnp.where"):
        logpi.estimate(lambda p, key: p if jax.random.normal(key) > p else -p, 0.5, KEY)


def test_derivatives_of_one_s_own_are_measured_too():
    """By `jax.grad`, where the numbers are known, and under `jax.jit`, where others stand in for them."""
    for derivative in (jax.grad, lambda J: jax.jit(jax.grad(J))):
        with pytest.raises(InputError, match="f may jump"):
            derivative(expected(argument))(0.5, KEY)
    assert jnp.isfinite(expected(argument)(0.5, KEY))  # the value is right


def test_nothing_is_measured_where_nothing_is_suspected(monkeypatch):
    def never(*_):
        raise AssertionError("it was measured")

    monkeypatch.setattr(derivative_check, "_judged", never)
    families = [dist.Beta, dist.Weibull, dist.Kumaraswamy, dist.TruncatedNormal, lambda a, b: dist.StudentT(4.0, a, b)]
    for of in families:
        for estimator in (logpi.Score(), logpi.Pathwise()):
            J = logpi.expectation(lambda x: jnp.sin(x) + x**2, lambda p, of=of: of(p[0], p[1]), 8, estimator)
            pieces = Pieces.of(J, (0.6, 0.7))
            check_derivative(pieces, KEY, facts(pieces, KEY), 8)


def test_it_is_measured_once(monkeypatch):
    J, calls = expected(lambda x, p: jnp.round(x - p)), []

    def judged(*_):
        calls.append(1)

    monkeypatch.setattr(derivative_check, "_judged", judged)
    for value in (0.5, 0.6):
        pieces = Pieces.of(J, value)
        check_derivative(pieces, KEY, facts(pieces, KEY), 64)
    assert len(calls) == 1
    with unchecked():
        pieces = Pieces.of(J, jnp.ones(2))
        check_derivative(pieces, KEY, facts(Pieces.of(expected(jnp.sin, Own), 0.5), KEY), 64)
    assert len(calls) == 1


def test_verdicts_do_not_grow_without_a_bound(monkeypatch):
    monkeypatch.setattr(derivative_check, "_judged", lambda *_: None)
    monkeypatch.setattr(derivative_check, "_verdicts", {})
    monkeypatch.setattr(derivative_check, "MOST_VERDICTS", 3)
    for k in range(5):
        J = eqx.Partial(lambda k, p, key: jnp.floor(p * k + jax.random.normal(key)), k)
        pieces = Pieces.of(J, 0.5)
        check_derivative(pieces, KEY, facts(pieces, KEY), 1)
        assert len(derivative_check._verdicts) <= 3


def test_a_jump_beside_the_parameters_is_none_at_them():
    """At 0.95 a step of a tenth passes 1, where P(count > p) does jump."""
    J = expected(lambda x, p: jnp.where(x > p, 1.0, 0.0) * p, lambda p: dist.Poisson(1.5))
    e = logpi.estimate(J, 0.95, KEY)
    assert abs(e.gradient - (1 - np.exp(-1.5))) < 4.5 * e.gradient_error


def test_what_rounding_leaves_is_no_difference():
    assert Gap(1.0, 1.0005, 1e-6, 2e-3, 256).z == 0
    assert Gap(1.0, 0.0, 0.1, 2e-3, 256).z == pytest.approx(10)
