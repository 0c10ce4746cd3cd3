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
    quantiles: int = eqx.field(static=True)  # of the return, each a number of its own; 1 is the mean

    def __init__(
        self,
        encoder: AbstractEncoder,
        action_space: Space,
        *,
        hidden: tuple[int, ...],
        activation: Callable[[Array], Array],
        quantiles: int = 1,
        layer_norm: bool = False,
        dropout: float = 0.0,
        key: PRNGKeyArray,
    ):
        size, outputs = encoder.size + num_reals(action_space), num_combinations(action_space) * quantiles
        net = MLP(size, outputs, hidden, activation, layer_norm=layer_norm, dropout=dropout)
        self.encoder, self.action_space, self.quantiles = encoder, action_space, quantiles
        self.net = orthogonal(net, key, last_gain=1.0)

    def __call__(
        self, obs: PyTree[Array], action: PyTree[Array], key: PRNGKeyArray | None = None
    ) -> Float[Array, "*quantiles"]:
        """The value of one action, as it was drawn, at one observation; without an axis where it is the mean alone."""
        values = self.net(jnp.concatenate([self.encoder(obs), *reals(self.action_space, action)]), key)
        its = values.reshape(-1, self.quantiles)[combination(self.action_space, action)]
        return its if self.quantiles > 1 else its[0]


class AbstractActionValues(eqx.Module):
    """Several critics of actions."""

    @abc.abstractmethod
    def __call__(
        self, obs: PyTree[Array], action: PyTree[Array], key: PRNGKeyArray | None = None
    ) -> Float[Array, "critics *quantiles"]:
        """What each of them says of one action, as it was drawn, at one observation.

        With a key as it learns, where units are left out at random; without one as it stands.
        """


class Ensemble(AbstractActionValues):
    """Critics of one form that share nothing, side by side in one array for each of their weights."""

    members: ActionValue  # every leaf is (critics, ...)

    def __call__(
        self, obs: PyTree[Array], action: PyTree[Array], key: PRNGKeyArray | None = None
    ) -> Float[Array, "critics *quantiles"]:
        if key is None:
            return jax.vmap(lambda member: member(obs, action))(self.members)
        number = jax.tree.leaves(eqx.filter(self.members, eqx.is_array))[0].shape[0]
        return jax.vmap(lambda member, key: member(obs, action, key))(self.members, jax.random.split(key, number))


def make_ensemble(
    obs_space: Space,
    action_space: Space,
    network: Network,
    number: int,
    *,
    quantiles: int = 1,
    layer_norm: bool = False,
    dropout: float = 0.0,
    key: PRNGKeyArray,
) -> Ensemble:
    """Critics for observations as an actor sees them, and actions as they are drawn.

    With `quantiles` above 1 each says so many quantiles of the return in place of its mean.

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
        return ActionValue(
            encoder, action_space, hidden=network.units(obs_space), activation=network.hidden_activation,
            quantiles=quantiles, layer_norm=layer_norm, dropout=dropout, key=own_key,
        )  # fmt: skip

    # One by one: a batched decomposition of large matrices beside another one was seen to wait for ever.
    members = [member(one) for one in jax.random.split(key, number)]
    return Ensemble(jax.tree.map(lambda *leaves: jnp.stack(leaves), *members))
