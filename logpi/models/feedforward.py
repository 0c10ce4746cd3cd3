"""Networks without memory."""

from collections.abc import Callable

import jax
from jaxtyping import Array, PRNGKeyArray, PyTree

from ..distributions import AbstractDistribution
from .base import AbstractActorCritic, AbstractPolicy, Memory, Output
from .dense import MLP
from .encoders import AbstractEncoder
from .heads import AbstractHead
from .initializers import orthogonal


class FeedForwardPolicy(AbstractPolicy):
    """A network behind an encoder, to the numbers of the head: how to act, and nothing else."""

    encoder: AbstractEncoder
    actor: MLP
    head: AbstractHead

    def __init__(
        self,
        encoder: AbstractEncoder,
        head: AbstractHead,
        *,
        hidden: tuple[int, ...] = (64, 64),
        activation: Callable[[Array], Array] = jax.nn.tanh,
        key: PRNGKeyArray,
    ):
        self.encoder, self.head = encoder, head
        self.actor = orthogonal(MLP(encoder.size, head.size, hidden, activation), key, last_gain=0.01)

    def initial_memory(self) -> Memory:
        return ()

    def __call__(self, obs: PyTree[Array], memory: Memory) -> tuple[AbstractDistribution, Memory]:
        return self.head(self.actor(self.encoder(obs))), memory


class FeedForwardActorCritic(AbstractActorCritic):
    """Two networks behind one encoder: `actor` to the numbers of the head, `critic` to the value.

    With a `FlatEncoder`, which has no parameters, they share nothing; with an `ImageEncoder` they share the
    convolutions.
    """

    encoder: AbstractEncoder
    actor: MLP
    critic: MLP
    head: AbstractHead

    def __init__(
        self,
        encoder: AbstractEncoder,
        head: AbstractHead,
        *,
        hidden: tuple[int, ...] = (64, 64),
        activation: Callable[[Array], Array] = jax.nn.tanh,
        key: PRNGKeyArray,
    ):
        actor_key, critic_key = jax.random.split(key)
        actor = MLP(encoder.size, head.size, hidden, activation)
        critic = MLP(encoder.size, 1, hidden, activation)
        self.encoder, self.head = encoder, head
        self.actor = orthogonal(actor, actor_key, last_gain=0.01)
        self.critic = orthogonal(critic, critic_key, last_gain=1.0)

    def initial_memory(self) -> Memory:
        return ()

    def evaluate(self, obs: PyTree[Array], memory: Memory) -> tuple[Output, Memory]:
        features = self.encoder(obs)
        return Output(self.head(self.actor(features)), self.critic(features)[0]), memory
