"""Before it has moved, PPO goes up A2C's gradient: at a ratio of 1 the clipped surrogate has the score's gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from logpi import A2C, GAE, Optax, PPO, spaces
from logpi.advantages import Standardised
from logpi.algorithms import Spec
from logpi.batch import prepare, with_advantages
from logpi.learners.steps import gradient
from logpi.parameters import trainable
from tests.exactness.test_log_prob import collected, make
from tests.exactness.worlds import ACTION_SPACES

SAME = {"credit": GAE(0.95, 0.9), "value_coef": 0.7, "entropy_coef": 0.03}
RATE = 0.1  # of plain gradient descent, so that one update shows its gradient
PLAIN = Optax(optax.sgd(RATE))
ONE_STEP = PPO(PLAIN, clip=0.1, value_clip=0.2, num_epochs=1, num_minibatches=1, **SAME)


SPEC = Spec(spaces.Box((3,)), spaces.Box((2,)), 4, 16)  # of which nothing on policy makes any use


def same(first, second) -> None:
    """Equal up to the rounding of float32, in every leaf; and not all zero."""
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        size = np.abs(a).max()
        assert size > 0
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * size)


@eqx.filter_jit
def gradients(model, trajectory):
    """A2C's, plain and with standard advantages; PPO's, plain; and the model after one update of PPO."""
    batch = prepare(model, trajectory, SAME["credit"], None)
    both = jax.tree.map(lambda *x: jnp.stack(x), batch, with_advantages(batch, Standardised()))
    a2c = jax.vmap(lambda batch: gradient(A2C(PLAIN, **SAME).objective, model, batch)[0])(both)
    ppo, _ = gradient(ONE_STEP.objective, model, batch)
    state, _ = ONE_STEP.update(ONE_STEP.init(model, SPEC, 1, jax.random.key(0)), trajectory, jax.random.key(1))
    return *(jax.tree.map(lambda g, i=i: g[i], a2c) for i in (0, 1)), ppo, state.model


@pytest.mark.parametrize(("kind", "memory"), [*((kind, "none") for kind in ACTION_SPACES), ("Box", "gru")])
def test_the_first_gradient_is_that_of_a2c(kind, memory):
    model, trajectory = collected(make(kind, memory), kind)
    plain_a2c, standard_a2c, plain_ppo, updated = gradients(model, trajectory)
    same(plain_a2c, plain_ppo)
    # And it is what an update of PPO goes up, after advantages were standardised.
    numbers = eqx.filter(model, trainable(model)), eqx.filter(updated, trainable(updated))
    moved = jax.tree.map(lambda before, after: (after - before) / RATE, *numbers)
    for change, uphill in zip(jax.tree.leaves(moved), jax.tree.leaves(standard_a2c), strict=True):
        np.testing.assert_allclose(change, uphill, rtol=1e-3, atol=1e-4 * np.abs(uphill).max() + 1e-5)
