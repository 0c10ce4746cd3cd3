"""Second derivatives: right where an estimator is right at every order, refused where it is not."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi as le
from logpi import InputError
from logpi.distributions import Categorical

COINS = le.expectation(lambda x: jnp.sum(x) ** 2, lambda p: dist.Bernoulli(probs=jnp.full(3, p)).to_event(1)).problem
P = 0.3
VALUE, SLOPE, CURVATURE = 3 * P * (1 - P) + 9 * P**2, 3 * (1 - 2 * P) + 18 * P, 12.0
EVERY_ORDER = {
    "score, none": le.Score(le.NoBaseline()),
    "score, leave one out": le.Score(),
    "rao-blackwell": le.RaoBlackwell((1,)),
    "sum and sample": le.SumAndSample(3),
    "unordered set": le.UnorderedSet(2),
    "antithetic": le.Antithetic(le.Score()),
}
FIRST_ORDER = {
    "DisARM": le.DisARM(),
    "measure-valued": le.MeasureValued(),
    "REBAR": le.REBAR(),
    "RELAX": le.RELAX(jnp.sum),
    "SPSA": le.SPSA(),
    "finite differences": le.FiniteDifferences(),
}


def derivatives(program, params, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Value, gradient and Hessian of a program as one row, with errors."""

    def row(key):
        value = program(params, key)
        return jnp.concatenate([jnp.ravel(x) for x in (value, jax.grad(program)(params, key), hessian(params, key))])

    hessian = jax.hessian(program)
    keys = jax.random.split(jax.random.key(3), count)
    rows = np.asarray(jax.jit(lambda keys: jax.lax.map(row, keys, batch_size=1000))(keys), np.float64)
    return rows.mean(axis=0), rows.std(axis=0, ddof=1) / np.sqrt(count)


@pytest.mark.parametrize("name", EVERY_ORDER)
def test_three_coins(name):
    """Within 4.5 errors, of at most 2 % of the curvature: 2e-5 false alarms each, fixed keys."""
    mean, error = derivatives(le.Expectation(COINS, EVERY_ORDER[name], 8), jnp.asarray(P), 40_000)
    assert np.all(np.abs(mean - [VALUE, SLOPE, CURVATURE]) < 4.5 * error + 1e-4), (mean, error)
    assert error[2] < 0.02 * CURVATURE


def test_enumeration_is_exact():
    J = le.Expectation(COINS, le.Enumerate(), 1)
    orders = jax.jit(lambda *args: (J(*args), jax.grad(J)(*args), jax.hessian(J)(*args)))
    np.testing.assert_allclose(orders(jnp.asarray(P), jax.random.key(0)), [VALUE, SLOPE, CURVATURE], rtol=1e-5)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_a_second_derivative_is_refused(name):
    """For each the first one is let through."""
    J = le.Expectation(COINS, FIRST_ORDER[name], 8)
    jax.make_jaxpr(jax.grad(J))(jnp.asarray(P), jax.random.key(0))
    with pytest.raises(InputError, match=r"first derivatives only.*use Score\(\) or Enumerate\(\)"):
        jax.make_jaxpr(jax.hessian(J))(jnp.asarray(P), jax.random.key(0))


def test_a_second_derivative_of_lax_is_refused():
    J = le.expectation(jnp.sin, lambda t: dist.Normal(t, 1.0), estimator=le.LAX(jnp.cos))
    with pytest.raises(InputError, match="first derivatives only"):
        jax.make_jaxpr(jax.hessian(J))(jnp.asarray(0.3), jax.random.key(0))


def test_pathwise_has_second_derivatives():
    """E exp(x) = exp(t + 1/2) for N(t, 1): all its derivatives are the same."""
    J = le.expectation(jnp.exp, lambda t: dist.Normal(t, 1.0), 8, le.Pathwise())
    mean, error = derivatives(J, jnp.asarray(0.2), 40_000)
    assert np.all(np.abs(mean - np.exp(0.7)) < 4.5 * error) and error[2] < 0.01


@pytest.mark.parametrize("particles", [2, 3])
def test_vimco(particles):
    """Value, gradient and Hessian of the bound, of which f depends on the parameters, by enumeration of all sets."""
    target = jnp.asarray([0.5, -1.0, 0.7])
    logits = jnp.asarray([0.2, 0.1, -0.4])

    def log_weight(x, logits):
        return target[x] - jax.nn.log_softmax(logits)[x]

    def exactly(logits):
        sets = jnp.asarray(list(itertools.product(range(3), repeat=particles)))
        log_probs = jnp.sum(jax.nn.log_softmax(logits)[sets], axis=1)
        weights = jax.vmap(jax.vmap(lambda x: log_weight(x, logits)))(sets)
        return jnp.sum(jnp.exp(log_probs) * (jax.nn.logsumexp(weights, axis=1) - jnp.log(particles)))

    J = le.expectation(log_weight, Categorical, 12, le.VIMCO(particles))
    mean, error = derivatives(J, logits, 60_000)
    orders = jax.jit(lambda logits: (exactly(logits), jax.grad(exactly)(logits), jax.hessian(exactly)(logits)))
    exact = np.concatenate([np.ravel(x) for x in orders(logits)])
    assert np.all(np.abs(mean - exact) < 4.5 * error + 1e-5), (mean, exact, error)
    assert np.linalg.norm(error[4:]) < 0.03 * np.linalg.norm(exact[4:])
