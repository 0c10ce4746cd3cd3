"""Distributions where numbers are very large, very small or very many: values and gradients stay finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.distributions import Bernoulli, Categorical, Joint, Normal

HUGE = 1e4


def many(n: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=n) * 10, jnp.float32)


EXTREME = {
    "categorical, far apart": (Categorical(jnp.asarray([HUGE, -HUGE, 0.0])), jnp.asarray(1)),
    "categorical, all huge": (Categorical(jnp.asarray([HUGE, HUGE, HUGE + 1])), jnp.asarray(0)),
    "categorical, one left": (Categorical(jnp.asarray([-jnp.inf, 3.0, -jnp.inf])), jnp.asarray(1)),
    "categorical, some ruled out": (Categorical(jnp.asarray([-jnp.inf, -HUGE, HUGE])), jnp.asarray(1)),
    "categorical, large": (Categorical(many(20_000)), jnp.asarray(19_999)),
    "bernoulli, far apart": (Bernoulli(jnp.asarray([HUGE, -HUGE, HUGE, -HUGE])), jnp.asarray([1, 0, 0, 1])),
    "bernoulli, large": (Bernoulli(many(20_000)), jnp.ones(20_000, jnp.int32)),
    "joint": (
        Joint((Categorical(jnp.asarray([HUGE, -HUGE])), Categorical(jnp.asarray([0.0, -jnp.inf])))),
        jnp.asarray([1, 0]),
    ),
    "normal, narrow": (Normal(jnp.asarray([HUGE, 0.0]), jnp.asarray([-15.0, -15.0])), jnp.asarray([HUGE, 1e-6])),
    "normal, wide": (Normal(jnp.asarray([-HUGE]), jnp.asarray([30.0])), jnp.asarray([1e13])),
}


@pytest.mark.parametrize("case", EXTREME)
def test_values_and_gradients_are_finite(case):
    distribution, event = EXTREME[case]
    drawn, drawn_log_prob = distribution.sample_and_log_prob(jax.random.key(0))
    functions = {
        "log_prob": lambda d: d.log_prob(event),
        "log_prob of a draw": lambda d: d.log_prob(drawn),
        "entropy": lambda d: d.entropy(),
        "kl of itself": lambda d: d.kl(distribution),
        "kl to itself": lambda d: distribution.kl(d),
    }
    assert np.isfinite(drawn_log_prob)
    functions = {
        "log_prob": lambda d: d.log_prob(event),
        "log_prob of a draw": lambda d: d.log_prob(drawn),
        "entropy": lambda d: d.entropy(),
        "kl of itself": lambda d: d.kl(distribution),
        "kl to itself": lambda d: distribution.kl(d),
    }
    both = jax.jit(lambda d: {name: jax.value_and_grad(f)(d) for name, f in functions.items()})(distribution)
    for name, (value, gradient) in both.items():
        assert np.isfinite(value), name
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient)), name


def test_what_is_ruled_out_is_never_drawn_and_has_no_probability():
    masked = Categorical(jnp.asarray([-jnp.inf, 0.0, -jnp.inf, -30.0]))
    drawn = jax.vmap(masked.sample)(jax.random.split(jax.random.key(0), 10_000))
    assert set(np.unique(drawn)) <= {1, 3}
    assert float(masked.log_prob(jnp.asarray(0))) == -np.inf
    assert float(masked.kl(Categorical(jnp.zeros(4).at[3].set(-jnp.inf)))) == np.inf  # rules out what `masked` allows
    assert np.isfinite(Categorical(jnp.asarray([-jnp.inf, 0.0])).kl(Categorical(jnp.zeros(2))))


def test_known_extremes():
    far = Bernoulli(jnp.asarray([HUGE, -HUGE]))
    np.testing.assert_allclose(far.log_prob(jnp.asarray([0, 1])), -2 * HUGE, rtol=1e-6)
    assert float(far.entropy()) == 0
    even = Categorical(jnp.full(20_000, HUGE))
    np.testing.assert_allclose(even.entropy(), np.log(20_000), rtol=1e-5)
    np.testing.assert_allclose(even.log_prob(jnp.asarray(3)), -np.log(20_000), rtol=1e-5)


def test_a_large_joint_is_its_parts():
    logits = jnp.asarray(np.random.default_rng(1).normal(size=(40, 3)), jnp.float32)
    joint = Joint(tuple(Categorical(row) for row in logits))
    event, log_prob = joint.sample_and_log_prob(jax.random.key(0))
    assert event.shape == (40,)
    right = sum(float(jax.nn.log_softmax(row)[e]) for row, e in zip(logits, event, strict=True))
    np.testing.assert_allclose(log_prob, right, rtol=1e-5)


@pytest.mark.parametrize("event", [-1, 4, 1_000_000])
def test_an_integer_that_is_no_choice_has_no_probability(event):
    """JAX would take a negative index from the end, and one beyond it for the last."""
    value, gradient = jax.value_and_grad(lambda d: d.log_prob(jnp.asarray(event)))(Categorical(jnp.zeros(4)))
    assert float(value) == -np.inf and np.all(gradient.logits == 0)
    assert float(Bernoulli(jnp.zeros(2)).log_prob(jnp.asarray([1, event]))) == -np.inf
