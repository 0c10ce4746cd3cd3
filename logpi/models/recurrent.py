"""Networks with memory."""

import itertools
from collections.abc import Callable

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
    """An encoder, `hidden` layers, a recurrent cell of `units`, and a linear actor and critic that read its state."""

    encoder: AbstractEncoder
    dense: Dense | None  # the first of the layers; without any, the cell reads what the encoder gives
    deeper: tuple[Dense, ...]
    cell: eqx.nn.GRUCell | eqx.nn.LSTMCell
    actor: Dense
    critic: Dense
    head: AbstractHead
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        encoder: AbstractEncoder,
        head: AbstractHead,
        *,
        cell: type[eqx.nn.GRUCell] | type[eqx.nn.LSTMCell] = eqx.nn.GRUCell,
        hidden: tuple[int, ...] = (64,),
        units: int = 64,
        activation: Callable[[Array], Array] = jnp.tanh,
        key: PRNGKeyArray,
    ):
        keys = jax.random.split(key, 4)
        self.encoder, self.head, self.activation = encoder, head, activation
        self.dense = orthogonal(Dense(encoder.size, hidden[0]), keys[0]) if hidden else None
        deeper = tuple(Dense(*pair) for pair in itertools.pairwise(hidden))
        self.deeper = orthogonal(deeper, jax.random.fold_in(keys[0], 1)) if deeper else ()
        self.cell = cell((encoder.size, *hidden)[-1], units, key=keys[1])
        self.actor = orthogonal(Dense(units, head.size), keys[2], gain=0.01)
        self.critic = orthogonal(Dense(units, 1), keys[3], gain=1.0)

    def initial_memory(self) -> Memory:
        """Zeros: the hidden state, and an LSTM's cell state behind it."""
        hidden = jnp.zeros(self.cell.hidden_size)
        return (hidden, hidden) if isinstance(self.cell, eqx.nn.LSTMCell) else hidden

    def evaluate(self, obs: PyTree[Array], memory: Memory) -> tuple[Output, Memory]:
        """Policy and value of one observation after what is remembered, and the next memory."""
        features = self.encoder(obs)
        for layer in (self.dense, *self.deeper):
            features = features if layer is None else self.activation(layer(features))
        memory = self.cell(features, memory)
        hidden = jax.tree.leaves(memory)[0]
        return Output(self.head(self.actor(hidden)), self.critic(hidden)[0]), memory
