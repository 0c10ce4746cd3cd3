"""Distributions of other libraries are parameters like any: nothing rebuilds them of what they do not take."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import logpi
from logpi.parameters import apart, holds_anything
from tests.estimators.foreign import CASES, Counted, Normalised, OneOfTwo, square, Switched, Validated

KEY = jax.random.key(0)


@pytest.mark.parametrize("name", CASES)
def test_estimates_of_a_foreign_distribution_as_the_parameters(name):
    subject, value, gradient = CASES[name]
    found = logpi.estimate(logpi.expectation(square), subject, KEY, replicates=512)
    np.testing.assert_allclose(found.value, value, atol=5 * float(found.value_error))
    errors = np.asarray(jax.tree.leaves(found.gradient_error))
    np.testing.assert_array_less(np.abs(np.asarray(jax.tree.leaves(found.gradient)) - gradient), 5 * errors)
    low, high = found.gradient_interval()
    assert all(a < b for a, b in zip(jax.tree.leaves(low), jax.tree.leaves(high), strict=True))


def test_gradients_have_the_structure_of_what_can_hold_them():
    """A scale below 0, or no count, is no such distribution; a list always holds the numbers."""
    J = logpi.expectation(square)
    found = logpi.estimate(J, Switched(0.5, 1.2), KEY, replicates=32).gradient
    assert isinstance(found, Switched) and isinstance(jax.grad(J)(Switched(0.5, 1.2), KEY), Switched)
    for subject in (Validated(2.0, 0.5), Counted(0.5, 3)):
        assert isinstance(logpi.estimate(J, subject, KEY, replicates=32).gradient, list)
    both = logpi.estimate(
        logpi.expectation(square, of=lambda p: p["of"]), {"of": Switched(0.5, 1.2), "n": 3}, KEY, replicates=32
    ).gradient
    assert both["n"] is None and isinstance(both["of"], Switched)


def test_scores_of_foreign_distributions():
    np.testing.assert_allclose(logpi.score(Switched(0.5, 1.2), 1.7).loc, 1.2 / 1.44, rtol=1e-5)
    np.testing.assert_allclose(logpi.score(OneOfTwo(2.0, 1.6), 0.5).rate, 2 / 1.6 - 0.5, rtol=1e-5)
    np.testing.assert_allclose(logpi.score(Validated(2.0, 0.5), 2.5), [2.0, 0.0], atol=1e-5)
    # Its constructor would take the log-sum off the score.
    (found,) = logpi.score(Normalised(jnp.array([0.3, -0.2, 0.1])), 1)
    np.testing.assert_allclose(found, np.eye(3)[1] - jax.nn.softmax(jnp.array([0.3, -0.2, 0.1])), rtol=1e-5)


def test_foreign_distributions_climb():
    J = logpi.expectation(lambda x: -square(x), samples=16)
    for subject, optimiser in ((Switched(0.2, 1.2), None), (OneOfTwo(2.0, 1.6), optax.sgd(0.01, momentum=0.9))):
        found, history = logpi.maximize(J, subject, KEY, steps=60, optimiser=optimiser)
        assert type(found) is type(subject) and len(history) == 60
        assert np.mean(history.value[-20:]) > np.mean(history.value[:20])


def test_steps_to_what_a_constructor_does_not_take_are_told():
    J = logpi.expectation(lambda x: -square(x), samples=16)
    with pytest.raises(logpi.InputError, match=r"led to parameters of which no Validated can be made.*of="):
        logpi.maximize(J, Validated(2.0, 0.05), KEY, steps=20, optimiser=optax.sgd(0.1))


def test_a_foreign_distribution_within_f():
    """A bound against a prior of another library, held by a function that is a pytree."""

    class Bound(eqx.Module):
        prior: OneOfTwo

        def __call__(self, x, params):
            return self.prior.log_prob(x) - OneOfTwo(params, 1.0).log_prob(x)

    J = logpi.expectation(Bound(OneOfTwo(2.0, 1.0)), lambda p: OneOfTwo(p, 1.0), 64)
    found = logpi.estimate(J, 2.0, KEY)
    assert abs(found.value) < 1e-5 and abs(found.gradient) < 5 * found.gradient_error
    climbed, _ = logpi.maximize(J, 3.0, KEY, steps=100, optimiser=optax.adam(0.05))
    assert abs(climbed - 2.0) < 0.3


def test_whatever_is_taken_comes_back():
    """Of any pytree, and without a hole."""
    for subject, *_ in CASES.values():
        taken, rest = apart({"a": subject, "b": [1, 2.0]}, eqx.is_array)
        again = rest.filled(taken)
        assert jax.tree.structure(again) == jax.tree.structure({"a": subject, "b": [1, 2.0]})
        assert jax.tree.leaves(again) == jax.tree.leaves({"a": subject, "b": [1, 2.0]})
    plain = [{"a": (1, None)}, eqx.nn.Linear(2, 3, use_bias=False, key=KEY)]
    assert all(holds_anything(jax.tree.structure(tree)) for tree in plain)
    assert not any(holds_anything(jax.tree.structure(subject)) for subject, *_ in CASES.values())
