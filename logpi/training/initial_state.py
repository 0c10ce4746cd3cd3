"""The first state of a training: its model, its optimiser, its environments."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Int, PRNGKeyArray

from ..models import AbstractActorCritic, as_actor_critic, make_actor_critic, Network, WithoutCritic
from ..rollout import AbstractRollout
from ..runs.settings import Settings
from .loop import Trainer, TrainingState


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
    made = as_actor_critic(model, rollout.obs_space, rollout.action_space, key)
    policy = made.policy if isinstance(made, WithoutCritic) else made
    return made, f"{type(policy).__module__}.{type(policy).__qualname__}"
