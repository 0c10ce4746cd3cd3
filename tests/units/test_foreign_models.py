"""Networks of Equinox and Flax, and other runs' policies, as models."""

from pathlib import Path
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import logpi
from logpi import InputError, spaces
from logpi.distributions import Categorical, Normal
from logpi.models import as_actor_critic
from logpi.parameters import trainable
from logpi.spaces.membership import caster, draw, reader

KEY = jax.random.key(0)
LINE, PICTURE, CELLS = spaces.Box((4,)), spaces.Box((6, 6, 2), 0.0, 255.0, "uint8"), spaces.Discrete(5)
TWO = spaces.Discrete(2)
SMALL = {"steps": 128, "num_envs": 2, "rollout_length": 32, "progress": False}


class Linen(nn.Module):
    """Two layers of Flax's older kind."""

    outputs: int = 2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(self.outputs)(nn.tanh(nn.Dense(8)(jnp.ravel(x))))


def layers(inputs: int, outputs: int = 2) -> nnx.Sequential:
    """Two layers of Flax's newer kind."""
    rngs = nnx.Rngs(0)
    return nnx.Sequential(nnx.Linear(inputs, 8, rngs=rngs), nnx.tanh, nnx.Linear(8, outputs, rngs=rngs))


def mlp(inputs: int, outputs: Any = 2) -> eqx.nn.MLP:
    return eqx.nn.MLP(inputs, outputs, 8, 1, key=KEY)


def made(model: Any, obs_space: spaces.Space = LINE, action_space: spaces.Space = TWO) -> Any:
    return as_actor_critic(model, obs_space, action_space, KEY)


@pytest.mark.parametrize("network", [mlp(4), Linen(), layers(4)], ids=["Equinox", "linen", "nnx"])
def test_a_network_gives_the_logits(network: Any) -> None:
    """As it does alone; beside it there is a critic; and all parameters are learned."""
    model, seen = made(network), jnp.asarray([0.1, -0.2, 0.3, 0.4])
    output, memory = model.evaluate(seen, model.initial_memory())
    alone = model.actor(seen) if isinstance(network, Linen) else network(seen)
    assert memory == () and isinstance(output.policy, Categorical) and output.value.shape == ()
    np.testing.assert_array_equal(output.policy.logits, alone)
    learned = eqx.filter(model, trainable(model))
    gradient = eqx.filter_grad(lambda m: m.evaluate(seen, ())[0].policy.log_prob(jnp.int32(0)))(model)
    assert len(jax.tree.leaves(learned)) == 4 + 6
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradient.actor))


@pytest.mark.parametrize(
    ("network", "obs_space", "action_space", "kind"),
    [
        (mlp(5), CELLS, TWO, Categorical),  # one-hot
        (Linen(), PICTURE, TWO, Categorical),
        (mlp(9), spaces.Dict((("at", CELLS), ("line", LINE))), TWO, Categorical),
        (mlp(4, "scalar"), LINE, spaces.Box((1,), -1.0, 1.0), Normal),
        (lambda obs_space, action_space, key: layers(4, 3), LINE, spaces.Box((3,), -1.0, 1.0), Normal),
    ],
)
def test_for_any_space(network: Any, obs_space: Any, action_space: Any, kind: type) -> None:
    model = made(network, obs_space, action_space)
    member = jax.tree.map(jnp.asarray, caster(obs_space)(reader(obs_space)(draw(obs_space, np.random.default_rng(0)))))
    assert isinstance(model.evaluate(member, ())[0].policy, kind)


def test_a_picture_comes_in_its_shape_and_scaled() -> None:
    """Between 0 and 1, as logpi's own networks get it."""

    class Brightest(eqx.Module):
        weight: jax.Array

        def __call__(self, x: jax.Array) -> jax.Array:
            assert x.shape == (6, 6, 2)
            return self.weight * jnp.max(x)

    output, _ = made(Brightest(jnp.ones(2)), PICTURE).evaluate(jnp.full((6, 6, 2), 51, jnp.uint8), ())
    np.testing.assert_allclose(output.policy.logits, 0.2, rtol=1e-6)


@pytest.mark.parametrize("network", [mlp(4), Linen(), layers(4)], ids=["Equinox", "linen", "nnx"])
def test_it_is_trained_saved_and_read_again(network: Any, tmp_path: Path) -> None:
    run = logpi.train("CartPole-v1", model=network, out=tmp_path / "run", **SMALL)
    with pytest.raises(InputError, match="holds a model of your own"):
        logpi.load(tmp_path / "run")
    again = logpi.load(tmp_path / "run", model=network)
    assert eqx.tree_equal(again.models[0], run.models[0])
    assert not eqx.tree_equal(made(network).actor, run.models[0].actor)


def test_another_runs_policy_is_trained_on() -> None:
    first = logpi.train("CartPole-v1", **SMALL)
    for model in (first.policy, first.models[0]):
        assert eqx.tree_equal(made(model), first.models[0])
    with pytest.raises(
        InputError, match=r"model cannot act on an observation of .*\(6,\).*: give a policy of this env"
    ):
        logpi.train("Acrobot-v1", model=first.policy, **SMALL)


class Own(logpi.AbstractPolicy):
    """A policy of as many choices, or lines, as it has rows of weights."""

    weights: jax.Array
    kind: Any = eqx.field(static=True)

    def initial_memory(self) -> tuple[()]:
        return ()

    def __call__(self, obs: Any, memory: Any) -> Any:
        numbers = self.weights @ obs
        return (Categorical(numbers) if self.kind == "choice" else Normal(numbers, jnp.zeros_like(numbers))), memory


@pytest.mark.parametrize(
    ("model", "action_space", "said"),
    [
        (mlp(4, 3), TWO, r"model gives 3 numbers .* take 2: give its last layer 2 outputs"),
        (mlp(5), TWO, r"model cannot be called on one observation, of shape \(4,\) .*: give a network of one"),
        (eqx.nn.Lambda(jnp.tanh), TWO, "which has no parameters to train"),
        (lambda obs: 0, TWO, r"or a function \(obs_space, action_space, key\)"),
        (eqx.nn.MLP, TWO, "but it must be a logpi.AbstractPolicy"),
        (lambda obs_space, action_space, key: "mlp", TWO, "model gave 'mlp', but it must be a logpi.AbstractPolicy"),
        ("mlp", TWO, "model is 'mlp', but it must be a logpi.AbstractPolicy"),
        (
            nn.Sequential([nn.Dense(8), nn.BatchNorm(use_running_average=True), nn.Dense(2)]),
            TWO,
            "keeps 2 arrays beside",
        ),
        (nnx.Sequential(layers(4), nnx.Dropout(0.1, rngs=nnx.Rngs(0))), TWO, "keeps 2 arrays beside its parameters"),
        (
            Own(jnp.zeros((3, 4)), "choice"),
            TWO,
            "among 0 to 2, but Discrete.* has 0 to 1: give a logit",
        ),
        (Own(jnp.zeros((2, 5)), "choice"), TWO, "model cannot act on an observation of Box"),
        (Own(jnp.zeros((2, 4)), "line"), spaces.Box((3,)), r"actions of shape \(2,\), but those of Box.* have \(3,\)"),
        (Own(jnp.zeros((2, 4)), "line"), TWO, r"actions of shape \(2,\), but those of Discrete.* have \(\)"),
    ],
)
def test_what_cannot_be_a_model_is_told(model: Any, action_space: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        made(model, action_space=action_space)


def test_a_policy_may_leave_choices_out() -> None:
    """One that never takes the last of them, say."""
    assert made(Own(jnp.zeros((1, 4)), "choice")).policy.kind == "choice"


def test_the_critic_of_a_network_is_the_usual_one() -> None:
    """Behind the convolutions of a picture it has no hidden layers."""
    for obs_space in (PICTURE, LINE):
        usual: Any = logpi.models.make_actor_critic(obs_space, TWO, key=KEY)
        model = made(Linen(), obs_space)
        assert jax.tree.structure(model.critic) == jax.tree.structure(usual.critic)
        assert model.encoder.size == usual.encoder.size
