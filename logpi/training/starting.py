"""The first state of a training: its model, its optimiser, its environments."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Int, PRNGKeyArray

from ..errors import InputError, shown
from ..models import AbstractActorCritic, AbstractPolicy, make_actor_critic, Network, WithoutCritic
from ..rollout import AbstractRollout
from .loop import Trainer, TrainingState
from .settings import Settings


@eqx.filter_jit
def _make_network(obs_space, action_space, network: Network, key) -> AbstractActorCritic:
    return make_actor_critic(obs_space, action_space, network, key=key)


@eqx.filter_jit
def start_compiled(trainer: Trainer, network: Network, num_updates: Int[Array, ""], key: PRNGKeyArray) -> TrainingState:
    """With a network of logpi's, in compiled environments, in one compiled program."""
    # As a program of its own: one operation after the other, XLA would compile each for itself.
    model_key, key = jax.random.split(key)
    rollout = trainer.rollout
    return trainer.init(_make_network(rollout.obs_space, rollout.action_space, network, model_key), num_updates, key)


def make_model(model: Any, settings: Settings, rollout: AbstractRollout, key) -> tuple[AbstractActorCritic, str]:
    """The model to train, and where it came from."""
    if model is None:
        return _make_network(rollout.obs_space, rollout.action_space, settings.network, key), "network"
    if not isinstance(model, AbstractPolicy) and not callable(model):
        raise InputError(
            f"model is {shown(model)}, but it must be a logpi.AbstractPolicy or a function that makes one: give one."
        )
    made = model if isinstance(model, AbstractPolicy) else model(rollout.obs_space, rollout.action_space, key)
    if not isinstance(made, AbstractPolicy):
        raise InputError(f"model gave {shown(made)}, but it must be a logpi.AbstractPolicy: derive your class from it.")
    name = f"{type(made).__module__}.{type(made).__qualname__}"
    return (made if isinstance(made, AbstractActorCritic) else WithoutCritic(made)), name
