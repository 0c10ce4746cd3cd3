"""Networks with memory."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from .base import AbstractActorCritic, Memory, Output
from .dense import Dense
from .encoders import AbstractEncoder
from .heads import AbstractHead
from .initializers import orthogonal


class RecurrentActorCritic(AbstractActorCritic):
    """An encoder, one dense layer, a recurrent cell, and a linear actor and critic that read its hidden state."""

    encoder: AbstractEncoder
    dense: Dense
    cell: eqx.nn.GRUCell | eqx.nn.LSTMCell
    actor: Dense
    critic: Dense
    head: AbstractHead

    def __init__(
        self,
        encoder: AbstractEncoder,
        head: AbstractHead,
        *,
        cell: type[eqx.nn.GRUCell] | type[eqx.nn.LSTMCell] = eqx.nn.GRUCell,
        width: int = 64,
        key: PRNGKeyArray,
    ):
        keys = jax.random.split(key, 4)
        self.encoder, self.head = encoder, head
        self.dense = orthogonal(Dense(encoder.size, width), keys[0])
        self.cell = cell(width, width, key=keys[1])
        self.actor = orthogonal(Dense(width, head.size), keys[2], gain=0.01)
        self.critic = orthogonal(Dense(width, 1), keys[3], gain=1.0)

    def initial_memory(self) -> Memory:
        """Zeros: the hidden state, and an LSTM's cell state behind it."""
        hidden = jnp.zeros(self.cell.hidden_size)
        return (hidden, hidden) if isinstance(self.cell, eqx.nn.LSTMCell) else hidden

    def evaluate(self, obs: PyTree[Array], memory: Memory) -> tuple[Output, Memory]:
        """Policy and value of one observation after what is remembered, and the next memory."""
        memory = self.cell(jnp.tanh(self.dense(self.encoder(obs))), memory)
        hidden = jax.tree.leaves(memory)[0]
        return Output(self.head(self.actor(hidden)), self.critic(hidden)[0]), memory
