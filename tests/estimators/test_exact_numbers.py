"""A number that no draw reaches has an error of 0; one that has merely not varied, an infinite one, and is named."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi
from logpi.jaxprs.exactness import exact_numbers

KEY = jax.random.key(0)


def exact(f, *known):
    """Which numbers of f(*known, draw) are the same for every draw of three numbers."""
    draw = jnp.asarray([0.3, -0.2, 0.7])
    return np.asarray(exact_numbers(jax.make_jaxpr(f)(*known, draw), [*known, draw], [False] * len(known) + [True])[0])


OFF, TABLE = jnp.asarray([1.0, 0.0, 0.0]), jnp.arange(6.0).reshape(3, 2)
MASK = jnp.asarray([True, False, True])
CASES = {
    "times 0": (lambda a, x: a * x, [OFF], [0, 1, 1]),
    "over": (lambda a, x: a / (1 + x**2), [OFF], [0, 1, 1]),
    "a mask": (lambda a, x: jnp.where(a, x, 2.0), [MASK], [0, 1, 0]),
    "a mask that is drawn": (lambda a, x: jnp.where(x > 0, a, a + jnp.asarray([0.0, 0.0, 1.0])), [OFF], [1, 1, 0]),
    "a matrix": (lambda a, x: jnp.diag(a) @ x, [OFF], [0, 1, 1]),
    "in a jitted part": (lambda a, x: jax.jit(lambda a, x: jnp.tanh(a * x) + a)(a, x), [OFF], [0, 1, 1]),
    "a part": (lambda a, x: jnp.concatenate([a[:2], x[:1] * 2]), [OFF], [1, 1, 0]),
    "put at a place": (lambda a, x: a.at[1].set(x[0]), [OFF], [1, 0, 1]),
    "put over what is drawn": (lambda a, x: x.at[jnp.asarray([0, 2])].set(a[:2]), [OFF], [1, 0, 1]),
    "added at a place": (lambda a, x: jnp.zeros(3).at[2].add(jnp.sum(x)), [OFF], [1, 1, 0]),
    "a row": (lambda a, x: jax.grad(lambda t: jnp.sum(t[1]) * x[0])(a)[:, 0], [TABLE], [1, 0, 1]),
    "a row that is drawn": (lambda a, x: a[jnp.argmax(x)], [TABLE], [0, 0]),
    "sums": (lambda a, x: jnp.sum(jnp.outer(a, x), axis=1), [OFF], [0, 1, 1]),
    "a loop": (lambda a, x: jax.lax.scan(lambda c, y: (c + y, None), a, x)[0], [OFF], [0, 0, 0]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_no_draw_reaches(name):
    f, known, wanted = CASES[name]
    assert exact(f, *known).astype(int).tolist() == wanted


def normal(p):
    return dist.Normal(p, 1.0)


def policy(model):
    return dist.Categorical(logits=model(jnp.linspace(-1.0, 1.0, 8)))


REACHED = {
    "a linear f": (lambda x: 3 * x, normal, logpi.Pathwise(), 0.5),
    "an entry": (lambda x: x[0] ** 2, lambda p: normal(p).to_event(1), logpi.Pathwise(), jnp.ones(2)),
    "a ReLU policy": (lambda a: 1.0 * a, policy, logpi.Score(), eqx.nn.MLP(8, 4, 16, 1, key=jax.random.key(1))),
}


@pytest.mark.parametrize("name", REACHED)
def test_they_do_not_keep_a_precision_from_being_reached(name):
    f, of, estimator, params = REACHED[name]
    e = logpi.estimate(logpi.expectation(f, of, 64, estimator), params, KEY, rtol=0.1)
    assert e.converged and e.samples < 100_000 and not e.reason
    errors = np.concatenate([np.ravel(x) for x in jax.tree.leaves(e.gradient_error)])
    assert np.any(errors == 0) and np.all(np.isfinite(errors))


def test_what_has_merely_not_varied_is_named():
    def program(p, key):
        seen = jax.random.uniform(key) < 1e-6
        return p["a"] * jax.random.normal(key) + p["b"] @ jnp.asarray([0.0, 1e6]) * seen

    e = logpi.estimate(program, {"a": 1.0, "b": jnp.ones(2)}, KEY)
    assert not e.converged and e.gradient_error["b"].tolist() == [0, np.inf]
    assert e.reason.startswith("gradient['b'][1] did not vary in 128 replicates") and e.reason in str(e)


@pytest.mark.parametrize("size", [1e-30, 1e-25, 1e19, 1e30])
def test_sizes_whose_squares_leave_32_bits(size):
    one, other = (
        logpi.estimate(lambda p, key, by=by: by * p * (1 + jax.random.normal(key)), 1.0, KEY) for by in (1.0, size)
    )
    found = [other.value / size, other.value_error / size, other.gradient_error / size]
    np.testing.assert_allclose(found, [one.value, one.value_error, one.gradient_error], rtol=1e-5)
    assert other.converged


def test_the_precision_of_large_values():
    e = logpi.estimate(lambda p, key: 1e25 * p * (1 + jax.random.normal(key)), 1.0, KEY, rtol=0.1)
    assert e.converged and e.samples < 1000
