"""TRPO and NPG: the trust region holds, the critic leaves the policy alone, and the page's TRPO steps alike."""

import dataclasses
import functools

import equinox as eqx
import jax
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import logpi
from logpi import audit, GAE, Network, NPG, Optax, TRPO
from logpi.algorithms import Spec
from logpi.audit.problems import bandit
from logpi.envs import resolve
from logpi.models import unroll
from logpi.rollout import CompiledRollout
from tests.algorithms import own_page

KEY = jax.random.key(3)
DECAYING = Optax(optax.adamw(1e-2, weight_decay=0.1))  # moves whatever it is given, gradient or not


def updated(*algorithms, env="CartPole-v1", memory="none", length=64):
    """The model and the rollout before an update, and for each algorithm the learner after it and what it showed.

    By one program, as all start with the same model.
    """
    rollout = CompiledRollout(resolve(env).env, num_envs=4, length=length)
    spec = Spec.of(rollout)

    @eqx.filter_jit
    def once(key):
        model = algorithms[0].build(spec, Network(memory=memory, width=16), key)
        trajectory, _ = rollout.collect(model, rollout.init(model, key), key)
        return model, trajectory, *(one.update(one.init(model, spec, 10, key), trajectory, key) for one in algorithms)

    return once(KEY)


@eqx.filter_jit
def unrolled(model, trajectory):
    """The numbers of the distributions in every row, and the values."""
    output = unroll(model, trajectory.obs, trajectory.start, trajectory.memory)[0]
    return jax.tree.leaves(output.policy), output.value


def distance(first, second):
    """The largest difference between numbers."""
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in zip(first, second, strict=True))


def fits(kind):
    """By an optimiser that leaves the critic where it is, and by one that moves it."""
    return (kind(optimiser=o, num_epochs=n) for o, n in ((Optax(optax.sgd(0.0)), 1), (DECAYING, 5)))


@functools.cache
def fitted_by_both(memory):
    """`updated` by `fits` of each kind."""
    _, trajectory, *learned = updated(*fits(TRPO), *fits(NPG), memory=memory)
    return trajectory, {TRPO: learned[:2], NPG: learned[2:]}


@pytest.mark.parametrize("memory", ["none", "gru"])
@pytest.mark.parametrize("kind", [TRPO, NPG])
def test_fitting_the_critic_does_not_move_the_policy(kind, memory):
    """Where they share a memory too, and whatever the optimiser does: as far as without a fit, but for the critic."""
    trajectory, learned = fitted_by_both(memory)
    (still, shown), (fitted, _) = learned[kind]
    (before, value), (after, fitted_value) = (unrolled(learner.model, trajectory) for learner in (still, fitted))
    assert distance(before, after) < 1e-6 < float(shown["kl"])
    assert distance([value], [fitted_value]) > 1e-3


def test_the_page_moves_the_policy_by_its_critic():
    """What the test above would find: the algorithm of the page, whose critic fits what it shares."""
    own = own_page.load("OwnTRPO").OwnTRPO
    _, trajectory, (still, _), (fitted, _) = updated(*fits(own), memory="gru")
    assert distance(*(unrolled(learner.model, trajectory)[0] for learner in (still, fitted))) > 1e-3


def test_the_page_steps_alike():
    """By the Hessian of the KL and JAX's own conjugate gradients, from the same rollout."""
    own = own_page.load("OwnTRPO").OwnTRPO
    with jax.enable_x64(True):
        before, _, (after, shown), (by_hand, told) = updated(TRPO(iterations=10, num_epochs=1), own(num_epochs=1))
        models = (before, after.model, by_hand.model)
        start, ours, theirs = (np.asarray(ravel_pytree(eqx.filter(x.actor, eqx.is_array))[0]) for x in models)
    first, second = ({name: float(x) for name, x in numbers.items()} for numbers in (shown, told))
    moved = ours - start
    assert first["step"] == second["step"] == 1 and np.linalg.norm(moved) > 1e-2
    np.testing.assert_allclose(moved, theirs - start, rtol=0, atol=1e-4 * np.abs(moved).max())
    assert first["kl"] == pytest.approx(second["kl"], rel=1e-3)


class WithoutKL(TRPO):
    """Planted: a line search that looks at the surrogate alone."""

    def accepts(self, gain, kl):
        return gain > 0


def test_every_update_keeps_to_the_trust_region():
    """Also where the radius is so large that the second order says little. NPG and the planted fault do not."""
    size = {"steps": 4096, "num_envs": 4, "rollout_length": 64, "progress": False}
    far = {}
    for kind in (TRPO, WithoutKL, NPG):
        algorithm = kind(credit=GAE(0.99, 0.95), radius=0.3, damping=1e-3, num_epochs=4)
        rows = logpi.train("CartPole-v1", algorithm, **size).history
        far[kind] = max(row["kl"] for row in rows)
        assert kind is NPG or min(row["surrogate"] for row in rows) >= 0
        assert max(row["residual"] for row in rows) < 1
    assert far[TRPO] <= 1.5 * 0.3 + 1e-6 < min(far[WithoutKL], far[NPG])


@pytest.mark.parametrize("space", ["box", "multidiscrete", "multibinary"])
@pytest.mark.parametrize("memory", ["none", "gru"])
def test_every_kind_of_action(space, memory):
    _, _, (learner, shown) = updated(TRPO(num_epochs=2), env=f"probe:recall-{space}", memory=memory, length=32)
    assert shown["step"] > 0 and 0.001 < shown["kl"] <= 0.015 and shown["residual"] < 0.1
    assert all(np.isfinite(np.asarray(x)).all() for x in jax.tree.leaves(eqx.filter(learner, eqx.is_inexact_array)))


@pytest.mark.parametrize("kind", [TRPO, NPG])
def test_the_objective_is_the_policy_gradient(kind):
    found = audit.objective(kind(), key=KEY)
    assert found.passed, str(found)
    assert "uphill_step" in [check.key for check in found.checks]


def test_a_run_is_audited(tmp_path):
    run = logpi.train("CartPole-v1", TRPO(), steps=8192, num_envs=8, rollout_length=128, out=tmp_path / "run")
    found = audit.run(tmp_path / "run", KEY, batches=4, updates=2, episodes=16)
    assert found.passed, str(found)
    assert logpi.load(tmp_path / "run").settings.algorithm == run.settings.algorithm == TRPO()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("radius", -1),
        ("damping", -0.1),
        ("iterations", 0),
        ("backtracks", -1),
        ("num_epochs", 0),
        ("num_minibatches", 0),
    ],
)
def test_settings_out_of_range_are_refused(field, value):
    for kind in (TRPO, NPG):
        if field in {f.name for f in dataclasses.fields(kind)}:
            with pytest.raises(logpi.InputError, match=f"{field} is {value}"):
                kind(**{field: value})


def test_a_wrong_way_is_found():
    """Planted: down the natural gradient."""

    class Down(NPG):
        def update(self, state, view, key):
            after, shown = super().update(state, view, key)
            back = jax.tree.map(lambda a, b: 2 * a - b if eqx.is_inexact_array(a) else b, state.model, after.model)
            return eqx.tree_at(lambda s: s.model, after, back), shown

    assert [check.key for check in audit.objective(Down(), bandit(), key=KEY).findings] == ["uphill_step"]
