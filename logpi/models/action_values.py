"""Critics of actions: what an action is worth in a state, Q(s, a)."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..errors import InputError, shown
from ..spaces.actions import combination, num_combinations, num_reals, reals
from ..spaces.kinds import Space
from .build import encoder_in, Network
from .dense import MLP
from .encoders import AbstractEncoder
from .initializers import orthogonal

MOST_COMBINATIONS = 1024  # of choices, each with a number of its own


class ActionValue(eqx.Module):
    """A network from an observation and the continuous numbers of an action to a value of each combination of choices.

    So one network serves actions that are choices, that are numbers, and that are both.
    """

    encoder: AbstractEncoder
    net: MLP
    action_space: Space = eqx.field(static=True)

    def __init__(
        self,
        encoder: AbstractEncoder,
        action_space: Space,
        *,
        hidden: tuple[int, ...],
        activation: Callable[[Array], Array],
        key: PRNGKeyArray,
    ):
        size = encoder.size + num_reals(action_space)
        net = MLP(size, num_combinations(action_space), hidden, activation)
        self.encoder, self.action_space = encoder, action_space
        self.net = orthogonal(net, key, last_gain=1.0)

    def __call__(self, obs: PyTree[Array], action: PyTree[Array]) -> Float[Array, ""]:
        """The value of one action, as it was drawn, at one observation."""
        values = self.net(jnp.concatenate([self.encoder(obs), *reals(self.action_space, action)]))
        return values[combination(self.action_space, action)]


class AbstractActionValues(eqx.Module):
    """Several critics of actions."""

    @abc.abstractmethod
    def __call__(self, obs: PyTree[Array], action: PyTree[Array]) -> Float[Array, " critics"]:
        """What each of them says of one action, as it was drawn, at one observation."""


class Ensemble(AbstractActionValues):
    """Critics of one form that share nothing, side by side in one array for each of their weights."""

    members: ActionValue  # every leaf is (critics, ...)

    def __call__(self, obs: PyTree[Array], action: PyTree[Array]) -> Float[Array, " critics"]:
        return jax.vmap(lambda member: member(obs, action))(self.members)


def make_ensemble(
    obs_space: Space, action_space: Space, network: Network, number: int, *, key: PRNGKeyArray
) -> Ensemble:
    """Critics for observations as an actor sees them, and actions as they are drawn.

    Raises `InputError` where choices have more than 1,024 combinations.
    """
    if num_combinations(action_space) > MOST_COMBINATIONS:
        raise InputError(
            f"{shown(action_space, 200)} has {num_combinations(action_space):,} combinations of choices, but a critic "
            f"of actions has a number for each, of {MOST_COMBINATIONS:,} at most: take algorithm='ppo' (--algorithm "
            "ppo), which looks at the choices one by one."
        )

    def member(key):
        encoder_key, own_key = jax.random.split(key)
        encoder = encoder_in(network, obs_space, encoder_key)
        hidden, activation = network.units(obs_space), network.hidden_activation
        return ActionValue(encoder, action_space, hidden=hidden, activation=activation, key=own_key)

    # One by one: a batched decomposition of large matrices beside another one was seen to wait for ever.
    members = [member(one) for one in jax.random.split(key, number)]
    return Ensemble(jax.tree.map(lambda *leaves: jnp.stack(leaves), *members))
