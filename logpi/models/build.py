"""A model for a pair of spaces, from a few words."""

import dataclasses
from typing import Any, Literal

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import check_between, check_fields, check_flag, check_whole, choice, InputError, shown
from ..spaces.encoding import is_image
from ..spaces.kinds import Discrete, MultiBinary, MultiDiscrete, Space
from .base import AbstractActorCritic, AbstractPolicy, WithoutCritic
from .encoders import make_encoder
from .feedforward import FeedForwardActorCritic
from .heads import make_head
from .normalizer import Normalized, Normalizer
from .recurrent import RecurrentActorCritic

USUAL_WIDTH = 64
MOST_UNITS, MOST_LAYERS = 65536, 128


@dataclasses.dataclass(frozen=True)
class Activation:
    """A function of JAX's by its name, so that a model can be sent to another process: JAX's own cannot."""

    name: str

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The function of each number."""
        return getattr(jax.nn, self.name)(x)


ACTIVATIONS = {name: Activation(name) for name in ("tanh", "relu", "silu", "gelu")}


@dataclasses.dataclass(frozen=True)
class Network:
    """What a policy looks like inside. `None` is what is usual for the observation and the memory."""

    memory: Literal["none", "gru", "lstm"] = "none"
    """What it remembers with."""
    width: int | tuple[int, ...] | None = None
    """Units in each hidden layer and of the memory, or one number for each of them; usually 64. Where there is neither,
    as usually behind the convolutions of a picture, units of their own last layer; usually 512, of a small picture
    128."""
    depth: int | None = None
    """Hidden layers: two networks of 2, usually; in front of a memory 1; behind the convolutions of a picture 0."""
    activation: Literal["tanh", "relu", "silu", "gelu"] | None = None
    """Of the hidden layers and of the convolutions; usually tanh, and relu in convolutions."""
    initial_log_std: float = 0.0
    """Logarithm of the standard deviation of continuous actions at the start; 0 where there are none."""
    normalize_observations: bool = False
    """Bring every number of an observation to mean 0 and variance 1, by running statistics inside the policy."""

    def __post_init__(self):
        choice("memory", self.memory, ("none", "gru", "lstm"))
        if self.activation is not None:
            choice("activation", self.activation, tuple(ACTIVATIONS))
        check_fields(self, check_flag, "normalize_observations")
        check_fields(self, check_whole, "depth", low=0, high=MOST_LAYERS, optional=True)
        check_fields(self, _check_width, "width")
        _check_depth(self)
        check_fields(self, check_between, "initial_log_std", low=-20, high=20)

    @property
    def remembers(self) -> bool:
        """Whether there is a memory."""
        return self.memory != "none"

    def units(self, obs_space: Space) -> tuple[int, ...]:
        """Of each hidden layer behind what encodes observations of a space, and of the memory, if there is one."""
        if isinstance(self.width, tuple):
            return self.width
        usual = 1 if self.remembers else 0 if is_image(obs_space) else 2
        return (self.width or USUAL_WIDTH,) * ((usual if self.depth is None else self.depth) + self.remembers)


def _check_width(name: str, width: Any) -> int | tuple[int, ...] | None:
    """The width. Raises `InputError` for what is neither a number of units nor several of them."""
    if not isinstance(width, tuple | list):
        return check_whole(name, width, 1, MOST_UNITS, optional=True)
    if len(width) > MOST_LAYERS:
        raise InputError(f"{name} has {len(width):,} numbers, but there are at most {MOST_LAYERS} layers: give fewer.")
    return tuple(check_whole(f"a number in {name}", each, 1, MOST_UNITS) for each in width)


def _check_depth(network: Network) -> None:
    """Raises `InputError` where a number of units for each layer goes with another number of layers, or with none."""
    if not isinstance(network.width, tuple):
        return
    if network.remembers and not network.width:
        raise InputError("width is (), but a memory has units: give their number, as in (64,).")
    layers = len(network.width) - network.remembers
    if network.depth not in (None, layers):
        memory = " and a memory" if network.remembers else ""
        raise InputError(
            f"depth is {network.depth}, but width is {network.width}, which says the units of {layers} hidden layers"
            f"{memory}: leave depth out, or give one width for all layers."
        )


def make_actor_critic(
    obs_space: Space, action_space: Space, network: Network | None = None, *, key: PRNGKeyArray
) -> AbstractActorCritic:
    """An actor-critic that reads observations of one space and acts in another.

    Raises `InputError` for a space that no head or encoder knows, or without entries, and for an `initial_log_std` of
    actions that have none.
    """
    network = network or Network()
    _check_spread(network, action_space)
    encoder_key, model_key = jax.random.split(key)
    units = network.units(obs_space)
    activation = ACTIVATIONS[network.activation or "tanh"]
    encoder = make_encoder(
        obs_space,
        scaled=not network.normalize_observations,
        size=network.width if not units and isinstance(network.width, int) else None,
        activation=ACTIVATIONS[network.activation or "relu"],
        key=encoder_key,
    )
    head = make_head(action_space, initial_log_std=network.initial_log_std)
    if head.size == 0:
        raise InputError(f"The action space {action_space} has no entries: a policy needs at least one to choose.")
    if network.remembers:
        *hidden, size = units
        cell = {"gru": eqx.nn.GRUCell, "lstm": eqx.nn.LSTMCell}[network.memory]
        model = RecurrentActorCritic(
            encoder, head, cell=cell, hidden=tuple(hidden), units=size, activation=activation, key=model_key
        )
    else:
        model = FeedForwardActorCritic(encoder, head, hidden=units, activation=activation, key=model_key)
    return Normalized(model, Normalizer(obs_space)) if network.normalize_observations else model


def _check_spread(network: Network, action_space: Space) -> None:
    """Raises `InputError` for a standard deviation where actions have none."""
    if network.initial_log_std != 0 and isinstance(action_space, Discrete | MultiDiscrete | MultiBinary):
        raise InputError(
            f"initial_log_std is {network.initial_log_std}, but actions in {action_space} have no standard deviation: "
            "leave it at 0."
        )


def _is_or_makes_one(model: object) -> bool:
    """Whether it is a policy, a function, or a class of policies."""
    if isinstance(model, type):
        return issubclass(model, AbstractPolicy)
    return isinstance(model, AbstractPolicy) or callable(model)


def as_actor_critic(model: Any, obs_space: Space, action_space: Space, key: PRNGKeyArray) -> AbstractActorCritic:
    """An actor-critic from what a user gives: a policy, or a function `(obs_space, action_space, key)` that makes one.

    A policy without a critic gets one that is 0 everywhere. Raises `InputError` for anything else.
    """
    if not _is_or_makes_one(model):
        raise InputError(
            f"model is {shown(model)}, but it must be a logpi.AbstractPolicy or a function that makes one: give one."
        )
    made = model if isinstance(model, AbstractPolicy) else model(obs_space, action_space, key)
    if not isinstance(made, AbstractPolicy):
        raise InputError(f"model gave {shown(made)}, but it must be a logpi.AbstractPolicy: derive your class from it.")
    return made if isinstance(made, AbstractActorCritic) else WithoutCritic(made)
