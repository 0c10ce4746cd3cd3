"""Networks of other libraries as models: with a head behind, and a critic beside them."""

import math
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .. import spaces
from ..errors import InputError, said, shown
from ..spaces.kinds import Dict, Space, Tuple
from ..spaces.membership import shape_of
from .base import AbstractActorCritic, AbstractPolicy, Memory, Output
from .dense import MLP
from .encoders import AbstractEncoder, FlatEncoder
from .feedforward import FeedForwardActorCritic
from .heads import AbstractHead


class NetworkActorCritic(AbstractActorCritic):
    """A network that gives the numbers of a head (logits, means) for an observation, and the usual critic beside it.

    The network gets what logpi's own get: numbers in the shape that the environment gives them, those of a picture
    between 0 and 1, choices one-hot, several parts in one vector. It starts as it is given, for every seed.
    """

    actor: PyTree  # called on one observation
    encoder: AbstractEncoder  # of the critic
    critic: MLP
    head: AbstractHead
    space: Space = eqx.field(static=True)

    def initial_memory(self) -> Memory:
        return ()

    def evaluate(self, obs: PyTree[Array], memory: Memory) -> tuple[Output, Memory]:
        numbers = jnp.ravel(self.actor(_seen(self.space, obs))).astype(jnp.float32)
        return Output(self.head(numbers), self.critic(self.encoder(obs))[0]), memory


class _Linen(eqx.Module):
    """A Flax module whose parameters stand outside of it."""

    params: PyTree
    module: Any = eqx.field(static=True)

    def __call__(self, x: Float[Array, "..."]) -> Any:
        return self.module.apply({"params": self.params}, x)


class _NNX(eqx.Module):
    """A Flax module whose parameters stand in it, taken apart."""

    params: PyTree
    graph: Any = eqx.field(static=True)

    def __call__(self, x: Float[Array, "..."]) -> Any:
        from flax import nnx

        return nnx.merge(self.graph, self.params)(x)


def is_network(model: object) -> bool:
    """Whether it is a network: an Equinox module that can be called, or a Flax one."""
    is_own = isinstance(model, AbstractPolicy)
    return (isinstance(model, eqx.Module) and callable(model) and not is_own) or _flax(model) != ""


def network_actor_critic(
    model: Any, usual: FeedForwardActorCritic, obs_space: Space, action_space: Space, key: PRNGKeyArray
) -> NetworkActorCritic:
    """An actor-critic around a network, in place of the actor of the usual one.

    Raises `InputError` for a network without parameters, one that keeps state beside its parameters, and one that
    cannot be called on an observation or does not give as many numbers as the head takes.
    """
    like, head = jnp.zeros(_shape(obs_space)), usual.head
    network = _as_module(model, like, key)
    if not any(map(eqx.is_inexact_array, jax.tree.leaves(network))):
        raise InputError(f"model is {shown(model)}, which has no parameters to train: give a network that has some.")
    given = _checked(lambda: jax.eval_shape(lambda x: network(x), like), like)
    sizes = [leaf.size for leaf in jax.tree.leaves(given)]
    if sizes != [head.size]:
        raise InputError(
            f"model gives {' and '.join(map(str, sizes)) or 'no'} numbers for an observation, but actions in "
            f"{action_space} take {head.size}: give its last layer {head.size} outputs."
        )
    return NetworkActorCritic(network, usual.encoder, usual.critic, head, obs_space)


def _seen(space: Space, obs: PyTree[Array]) -> Float[Array, "..."]:
    """An observation as a network gets it."""
    return FlatEncoder(space)(obs).reshape(_shape(space))


def _shape(space: Space) -> tuple[int, ...]:
    size = spaces.encoded_size(space)
    shape = (size,) if isinstance(space, Dict | Tuple) else shape_of(space)
    return shape if math.prod(shape) == size else (size,)  # choices become one number for each


def _as_module(model: Any, like: Float[Array, "..."], key: PRNGKeyArray) -> Any:
    kind = _flax(model)
    if kind == "linen":
        variables = dict(_checked(lambda: model.init(key, like), like))
        params = variables.pop("params", {})
        _check_stateless(model, variables)
        return _Linen(params, model)
    if kind == "nnx":
        from flax import nnx

        graph, params, rest = nnx.split(model, nnx.Param, ...)
        _check_stateless(model, rest)
        return _NNX(params, graph)
    return model


def _flax(model: object) -> str:
    """Which of Flax's two kinds of module it is. Whoever has made one has imported them."""
    for kind in ("linen", "nnx"):
        module = sys.modules.get(f"flax.{kind}")
        if module is not None and isinstance(model, module.Module):
            return kind
    return ""


def _check_stateless(model: Any, rest: PyTree) -> None:
    if leaves := jax.tree.leaves(rest):
        raise InputError(
            f"model is {shown(model)}, which keeps {len(leaves)} arrays beside its parameters (statistics of batches, "
            "random states), but a policy is a function of the observation: leave out the layers that do."
        )


def _checked(call: Any, like: Float[Array, "..."]) -> Any:
    """What a call of a network gives. Raises `InputError` where it cannot be called."""
    try:
        return call()
    except Exception as error:  # of anybody's code
        raise InputError(
            f"model cannot be called on one observation, of shape {like.shape} and without an axis for a batch "
            f"({said(error, 200)}): give a network of one."
        ) from None
