"""Where a function of events is taken to jump, and where not: by intervals of the values that it comes through."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve, lu, solve_triangular
from jax.scipy.special import xlogy

import logpi
from logpi import InputError
from logpi.jaxprs.discontinuities import jumps
from logpi.jaxprs.interval_arithmetic import ANY, POSITIVE
from logpi.jaxprs.singularities import Poles, Value

EYE, PAIR, INF = jnp.eye(2), jnp.ones(2), jnp.inf
SPD = jnp.asarray([[2.0, 0.3], [0.3, 1.0]])


def found(f):
    """What jumps in f(x, t, k), of two events; t is a scale and k a mask, neither of them known."""
    seen = []

    def trace(t, k):
        seen.extend(jumps(lambda x: f(x, t, k), jnp.asarray([0.3, 0.7])))
        return t

    jax.make_jaxpr(trace)(jnp.asarray(2.0), jnp.asarray([True, False]))
    return seen


def root(y):
    """sign(x) where y may be 0."""
    return lambda x, t, k: x / jnp.sqrt(y(x, t, k) + x**2)


def doubled(x):
    """A matrix of one event."""
    return x[0] * jnp.ones((2, 2))


DIVISION = "a division by what may be 0"
JUMPS = {
    # What is added may be 0.
    "zeros": (root(lambda x, t, k: jnp.zeros(2)), DIVISION),
    "zeros like it": (root(lambda x, t, k: jnp.zeros_like(x)), DIVISION),
    "a sum that starts at zeros": (
        lambda x, t, k: x / jnp.sqrt(lax.fori_loop(0, 3, lambda i, s: s + x**2, jnp.zeros(2))),
        DIVISION,
    ),
    "a mask": (root(lambda x, t, k: jnp.where(k, 1.0, 0.0)), DIVISION),
    "the rest of a mask": (root(lambda x, t, k: 1 - jnp.where(k, 1.0, 0.0)), DIVISION),
    "a cast mask": (root(lambda x, t, k: 1.0 * k), DIVISION),
    "a masked exp": (root(lambda x, t, k: jnp.exp(jnp.where(k, 0.0, -INF))), DIVISION),
    "a kink of a parameter": (root(lambda x, t, k: jax.nn.relu(t)), DIVISION),
    "a rounded parameter": (root(lambda x, t, k: jnp.floor(t) ** 2), DIVISION),
    "counted from 0": (root(lambda x, t, k: jnp.arange(2.0) ** 2), DIVISION),
    "0 times a parameter": (root(lambda x, t, k: t * jnp.asarray([0.0, 1.0])), DIVISION),
    "a rounded quotient": (root(lambda x, t, k: jnp.asarray([1, 2]) // 3), DIVISION),
    # An interval with 0 in it.
    "a product with axes left free": (lambda x, t, k: 1 / (1 + doubled(x) @ doubled(x)), DIVISION),
    "a difference": (lambda x, t, k: x / (jnp.exp(x**2) - 1), DIVISION),
    "the largest value": (lambda x, t, k: x / (2 - 2 * jnp.cos(x)), DIVISION),
    "a wave that is too high": (lambda x, t, k: x / (1 - 1.5 * jnp.sin(x)), DIVISION),
    "what is set": (lambda x, t, k: x / (jnp.exp(x).at[0].set(0.0) + x**2), DIVISION),
    "what is applied": (lambda x, t, k: x / jnp.exp(x).at[0].apply(lambda v: v - 1), DIVISION),
    "what fills": (
        lambda x, t, k: x[0] / (jnp.take(jnp.exp(x), jnp.asarray(5), mode="fill", fill_value=0) + x[0] ** 2),
        DIVISION,
    ),
    "a power that is not known": (lambda x, t, k: x * jnp.abs(x) ** t, DIVISION),
    "tan": (lambda x, t, k: jnp.tan(2 * jnp.tanh(x)), "tan"),
    # Logarithms that are taken back.
    "exp of a logarithm": (lambda x, t, k: x * jnp.exp(-0.5 * jnp.log(x**2)), "exp of what may be infinite"),
    "xlogy": (lambda x, t, k: x * jnp.exp(xlogy(-0.5, x**2)), "exp of what may be infinite"),
    "a power of what may be 0": (lambda x, t, k: jax.nn.relu(x[0]) ** jax.nn.relu(x[1]), DIVISION),
    "a logarithm of a determinant": (
        lambda x, t, k: x[0] * jnp.exp(-jnp.linalg.slogdet(x[0] * EYE)[1]),
        "exp of what may be infinite",
    ),
    "tanh of a logarithm": (lambda x, t, k: x / (1 + jnp.tanh(jnp.log(x**2))), DIVISION),
    # Functions inside.
    "in a branch": (lambda x, t, k: lax.cond(k[0], lambda y: 1 / y, lambda y: y, x), DIVISION),
    "in a late round": (
        lambda x, t, k: lax.scan(lambda c, _: ((c[1], c[1] + x[0]), 1 / c[0]), (1.0, 1.0), None, length=4)[1],
        DIVISION,
    ),
    "in many rounds": (
        lambda x, t, k: x[0] / lax.fori_loop(0, jnp.sum(k), lambda i, s: s - 1, 2 + x[0] ** 2),
        DIVISION,
    ),
    "in a while": (
        lambda x, t, k: lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, jnp.arctan(1 / s[1])), (0, x[0]))[1],
        DIVISION,
    ),
    "in a checkpoint": (lambda x, t, k: jax.checkpoint(lambda y: 1 / y)(x), DIVISION),
    "how often": (lambda x, t, k: lax.while_loop(lambda c: c < 3, lambda c: c + 1, x[0]), "lt"),
    # Linear algebra.
    "a triangular system": (lambda x, t, k: solve_triangular(x[0] * EYE, PAIR), "a linear system"),
    "a linear system": (lambda x, t, k: jnp.linalg.solve(x[0] * EYE, PAIR), "a linear system"),
    "an inverse": (lambda x, t, k: jnp.linalg.inv(x[0] * EYE), "a linear system"),
    "a pseudoinverse": (lambda x, t, k: jnp.linalg.pinv(x[0] * EYE), "svd"),
    "a Cholesky factor": (lambda x, t, k: x[0] * cho_solve(cho_factor(x[0] ** 2 * EYE), PAIR), "a linear system"),
    "lu": (lambda x, t, k: lu(x[0] * EYE)[1], "lu"),
    "qr": (lambda x, t, k: jnp.linalg.qr(x[0] * EYE)[0], "qr"),
    "eigenvectors": (lambda x, t, k: jnp.linalg.eigh(x[0] * EYE)[1], "eigh"),
    "singular vectors": (lambda x, t, k: jnp.linalg.svd(x[0] * EYE)[0], "svd"),
    "the sign of a determinant": (lambda x, t, k: jnp.linalg.slogdet(x[0] * EYE)[0], "slogdet"),
    "a mantissa": (lambda x, t, k: jnp.frexp(x)[0], "bitcast"),
}
NO_JUMPS = {
    "a scale": lambda x, t, k: x / (t * (1 + x**2)),
    "a line of parameters": lambda x, t, k: x / (x**2 + (3 * t + 1) ** 2),
    "a variance of parameters": lambda x, t, k: x / (x**2 + jnp.var(t * jnp.asarray([1.0, 2.0]))),
    "counted from 1": lambda x, t, k: x / (x**2 + jnp.arange(1.0, 3.0)),
    "a wave": lambda x, t, k: x / (1 + 0.5 * jnp.sin(x)),
    "another wave": lambda x, t, k: x / (3 - 2 * jnp.cos(x)),
    "tanh": lambda x, t, k: x / (1 - 0.5 * jnp.tanh(x)),
    "its square": lambda x, t, k: 1 / (1 - 0.5 * jnp.tanh(x) ** 2),
    "a slope": lambda x, t, k: jnp.exp(-jnp.log(1 - jnp.tanh(x) ** 2)),
    "sigmoid": lambda x, t, k: 1 / (1.5 - jax.nn.sigmoid(x)),
    "odds": lambda x, t, k: jax.nn.sigmoid(x) / (1 - jax.nn.sigmoid(x)),
    "clipped odds": lambda x, t, k: 1 / (1 - jnp.clip(jax.nn.sigmoid(x), 1e-7, 1 - 1e-7)),
    "powers": lambda x, t, k: x[:, None] ** jnp.arange(3.0),
    "tan of an angle": lambda x, t, k: jnp.tan(0.5 * jnp.arctan(x)) + jnp.tan(jnp.arctan(x)),
    "Hill": lambda x, t, k: jnp.exp(x) ** t / (1 + jnp.exp(x) ** t),
    "products": lambda x, t, k: 1 / jnp.prod(1 + x**2) + 1 / (1 + jnp.vdot(x, x)) + 1 / (1 + jnp.cumsum(x**2)),
    "what is added": lambda x, t, k: x / jnp.ones(2).at[0].add(x[0] ** 2),
    "masked softmax": lambda x, t, k: jax.nn.softmax(jnp.where(k, x, -INF)),
    "logsumexp": lambda x, t, k: jnp.exp(jnp.where(k, x, -INF) - jax.nn.logsumexp(jnp.where(k, x, -INF))),
    "weights": lambda x, t, k: jnp.exp(dist.Normal(0.0, t).log_prob(x) - dist.StudentT(3.0, 0.0, t).log_prob(x)),
    "a mass in a loop": lambda x, t, k: lax.fori_loop(0, 5, lambda i, s: s - 0.1 * s / t, x),
    "a spring": lambda x, t, k: lax.scan(
        lambda c, _: ((c[0] + 0.1 * c[1], c[1] - 0.1 * c[0] / t), None), (x[0], x[1]), None, length=5
    )[0],
    "a scan of quotients": lambda x, t, k: lax.scan(lambda c, v: (c + v, None), 0.0, x / t)[0],
    "a bounded carry": lambda x, t, k: 1 / (1.5 - lax.scan(lambda c, v: (jnp.tanh(c + v), None), 0.0, x)[0]),
    "a growing carry": lambda x, t, k: 1 / jnp.sqrt(1e-6 + lax.scan(lambda c, v: (c + v**2, None), 0.0, x)[0]),
    "a branch": lambda x, t, k: lax.cond(k[0], lambda y: y / t, lambda y: y * jnp.floor(t), x),
    "a checkpoint": lambda x, t, k: lax.scan(jax.checkpoint(lambda c, v: (c + v / t, None)), 0.0, x)[0],
    "how often, by a parameter": lambda x, t, k: lax.while_loop(
        lambda s: s[0] < jnp.floor(t), lambda s: (s[0] + 1.0, s[1] * 2), (0.0, x[0])
    )[1],
    "a linear system": lambda x, t, k: jnp.linalg.solve(t * SPD, x) + solve_triangular(SPD, x),
    "a Cholesky factor": lambda x, t, k: cho_solve(cho_factor(SPD), x) + jnp.linalg.cholesky(EYE * (1 + x[0] ** 2)),
    "determinants": lambda x, t, k: jnp.linalg.det(x[0] * jnp.eye(4)) + jnp.linalg.slogdet(x[0] * EYE)[1],
    "eigenvalues": lambda x, t, k: jnp.linalg.eigvalsh(x[0] * EYE) + jnp.linalg.eigh(x[0] * EYE)[0],
    "singular values": lambda x, t, k: jnp.linalg.svd(x[0] * EYE, compute_uv=False),
}


@pytest.mark.parametrize("name", JUMPS)
def test_what_may_jump(name):
    f, operation = JUMPS[name]
    assert any(operation in jump for jump in found(f)), found(f)


@pytest.mark.parametrize("name", NO_JUMPS)
def test_what_does_not_jump(name):
    with jax.numpy_rank_promotion("allow"):
        assert found(NO_JUMPS[name]) == []


def test_a_sign_made_of_zeros_is_refused():
    """The pathwise gradient of E sum(sign(x)) came out as 2.7e-7 at 0.3 and is 1.52."""

    def sign(x):
        return jnp.sum(x / jnp.sqrt(jnp.zeros(2) + x**2))

    J = logpi.expectation(sign, lambda t: dist.Normal(t * PAIR, 1.0).to_event(1), 4, logpi.Pathwise())
    with pytest.raises(InputError, match="f may jump: it uses a division by what may be 0"):
        jax.make_jaxpr(jax.grad(J))(jnp.asarray(0.3), jax.random.key(0))


def chained(x):
    """A value of each kind of operation, the later ones of the earlier."""
    half, square, bounded = 0.5 * x, x * x, jnp.tanh(x) - 2 * jax.nn.sigmoid(-x)
    quotients = [bounded / (1 + square), 1 / (2.5 + jnp.sin(x)), -3 / jnp.exp(half), x**3, (1 + square) ** -2, x**4]
    sums = [jnp.cumsum(bounded), jnp.sum(x - 1), x @ bounded, half @ half, jnp.prod(1 - bounded), jnp.max(x) - x]
    roots = [jnp.sqrt(square), jnp.log(1 + square), jnp.log1p(square) - 1, jnp.abs(half) ** 1.5, 0.5**x, jnp.cbrt(x)]
    picked = [
        jnp.clip(x, -0.5, 2.0),
        jnp.where(jnp.arange(3) > 1, bounded, 0.5),
        x.at[0].set(7.0),
        square.at[1].add(-1),
    ]
    special = [jax.nn.softplus(x), jax.nn.softmax(x), jax.nn.log_sigmoid(x), jnp.arctan(x), lax.lgamma(1 + square)]
    loops = [
        lax.scan(lambda c, v: (jnp.cos(c) + v, c * v), 1.0, bounded),
        lax.fori_loop(0, 3, lambda i, s: s * bounded + i, half),
        lax.cond(True, lambda: 1 - bounded, lambda: 2 + square),
    ]
    found = jax.tree.leaves([quotients, sums, roots, picked, special, loops])
    return [*found, *(1.5 * value - half for value in found), *(value * bounded for value in found)]


@pytest.mark.parametrize("positive", [False, True])
def test_no_value_leaves_its_interval(positive):
    closed = jax.make_jaxpr(chained)(jnp.ones(3))
    inputs = [Value(True, False, POSITIVE if positive else ANY)]
    spans = [value.span for value in Poles().walk(closed.jaxpr, inputs)]
    events = 2 * jax.random.normal(jax.random.key(0), (1000, 3))
    values = jax.jit(jax.vmap(chained))(jnp.abs(events) if positive else events)
    for i, (span, value) in enumerate(zip(spans, values, strict=True)):
        slack = 1e-5 * (1 + np.max(np.abs(value)))
        assert span.low[0] - slack <= np.min(value) and np.max(value) <= span.high[0] + slack, (i, span)
    assert sum(span.low[0] > -np.inf or span.high[0] < np.inf for span in spans) > 30  # or it would say nothing
