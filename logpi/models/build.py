"""A model for a pair of spaces, from a few words."""

import contextlib
import dataclasses
from typing import Any, cast, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..distributions.forbidden import values_of
from ..errors import check_between, check_fields, check_flag, check_whole, choice, InputError, said, shown, takes
from ..spaces.actions import boxes, can_rescale
from ..spaces.encoding import is_image
from ..spaces.kinds import MultiDiscrete, Space
from ..spaces.masks import groups, split_mask
from ..spaces.membership import caster, draw, mapped, reader, shape_of
from .base import AbstractActorCritic, AbstractPolicy, WithoutCritic
from .encoders import AbstractEncoder, make_encoder
from .feedforward import FeedForwardActorCritic, FeedForwardPolicy
from .heads import ACTION_DISTRIBUTIONS, BOUNDED, DETERMINISTIC, FROM_NETWORK, LOG_STDS, make_head
from .masked import Masked
from .networks import is_network, network_actor_critic
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
    """Logarithm of the standard deviation of continuous actions at the start, before any tanh; 0 where there are none.
    """
    normalize_observations: bool = False
    """Bring every number of an observation to mean 0 and variance 1, by running statistics inside the policy."""
    action_distribution: Literal["normal", "state_dependent_normal", "tanh_normal"] | None = None
    """Of continuous actions: a Gaussian, usually with one deviation for all states; one whose deviation comes from the
    network too; or that squashed by tanh, so that actions never lie beyond their bounds."""

    def __post_init__(self):
        choice("memory", self.memory, ("none", "gru", "lstm"))
        if self.activation is not None:
            choice("activation", self.activation, tuple(ACTIVATIONS))
        check_fields(self, check_flag, "normalize_observations")
        check_fields(self, check_whole, "depth", low=0, high=MOST_LAYERS, optional=True)
        check_fields(self, _check_width, "width")
        _check_depth(self)
        check_fields(self, check_between, "initial_log_std", low=-20, high=20)
        if self.action_distribution is not None:
            choice("action_distribution", self.action_distribution, ACTION_DISTRIBUTIONS)
        _check_log_std(self.initial_log_std, self.action_distribution)

    @property
    def remembers(self) -> bool:
        """Whether there is a memory."""
        return self.memory != "none"

    @property
    def hidden_activation(self) -> Activation:
        """Of the hidden layers."""
        return ACTIVATIONS[self.activation or "tanh"]

    def units(self, obs_space: Space) -> tuple[int, ...]:
        """Of each hidden layer behind what encodes observations of a space, and of the memory, if there is one."""
        if isinstance(self.width, tuple):
            return self.width
        usual = 1 if self.remembers else 0 if is_image(obs_space) else 2
        return (self.width or USUAL_WIDTH,) * ((usual if self.depth is None else self.depth) + self.remembers)


def _check_log_std(initial: float, distribution: str | None) -> None:
    """Raises `InputError` for a first standard deviation that a distribution cannot have."""
    if distribution == DETERMINISTIC and initial != 0:
        raise InputError(
            f"initial_log_std is {initial}, but the policy is without chance, and has no standard deviation: leave it "
            "at 0, and say the noise instead."
        )
    if distribution in FROM_NETWORK and not LOG_STDS[0] < initial < LOG_STDS[1]:
        raise InputError(
            f"initial_log_std is {initial}, but with action_distribution={distribution!r} deviations come from the "
            f"network, which keeps their logarithms between {LOG_STDS[0]:g} and {LOG_STDS[1]:g}: give a number between "
            "these."
        )


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
    obs_space: Space,
    action_space: Space,
    network: Network | None = None,
    *,
    action_distribution: str = "normal",
    critic: bool = True,
    key: PRNGKeyArray,
) -> AbstractActorCritic:
    """An actor-critic that reads observations of one space and acts in another; `Masked` where there is a mask.

    `action_distribution` is that of continuous actions where the network does not say, as `make_head` takes it.
    Without `critic` a model without memory says 0 for the value, and has no parameters for it. Raises `InputError` for
    a space that no head or encoder knows, or without entries, for an `initial_log_std` or an `action_distribution` of
    actions that have none, or are not bounded as it is, and for a mask that does not fit.
    """
    network = network or Network()
    obs_space, has_mask = split_mask(obs_space, action_space)
    distribution = network.action_distribution or (action_distribution if boxes(action_space) else None)
    _check_boxes(network, distribution, action_space)
    encoder_key, model_key = jax.random.split(key)
    encoder = encoder_in(network, obs_space, encoder_key)
    units, activation = network.units(obs_space), network.hidden_activation
    # What is usual is left out: a space of one's own need not know of it.
    said = {} if distribution in (None, "normal") else {"action_distribution": distribution}
    head = make_head(action_space, initial_log_std=network.initial_log_std, **said)
    if head.size == 0:
        raise InputError(f"The action space {action_space} has no entries: a policy needs at least one to choose.")
    if network.remembers:
        *hidden, size = units
        cell = {"gru": eqx.nn.GRUCell, "lstm": eqx.nn.LSTMCell}[network.memory]
        model = RecurrentActorCritic(
            encoder, head, cell=cell, hidden=tuple(hidden), units=size, activation=activation, key=model_key
        )
    elif critic:
        model = FeedForwardActorCritic(encoder, head, hidden=units, activation=activation, key=model_key)
    else:
        model = WithoutCritic(FeedForwardPolicy(encoder, head, hidden=units, activation=activation, key=model_key))
    if network.normalize_observations:
        model = Normalized(model, Normalizer(obs_space))
    return Masked(model, action_space) if has_mask else model


def encoder_in(network: Network, obs_space: Space, key: PRNGKeyArray) -> AbstractEncoder:
    """What encodes observations of a space in front of the layers of a network."""
    return make_encoder(
        obs_space,
        scaled=not network.normalize_observations,
        size=network.width if not network.units(obs_space) and isinstance(network.width, int) else None,
        activation=ACTIVATIONS[network.activation or "relu"],
        key=key,
    )


def _check_boxes(network: Network, distribution: str | None, action_space: Space) -> None:
    """Raises `InputError` for what is said of continuous actions where there are none, or cannot be."""
    if network.initial_log_std != 0 and not boxes(action_space):
        raise InputError(
            f"initial_log_std is {network.initial_log_std}, but actions in {action_space} have no standard deviation: "
            "leave it at 0."
        )
    if network.action_distribution is not None and not boxes(action_space):
        raise InputError(
            f"action_distribution is {network.action_distribution}, but actions in {action_space} are choices, of "
            "which there is one distribution: leave it out."
        )
    if distribution in BOUNDED and not can_rescale(action_space):
        others = "" if distribution == DETERMINISTIC else "take normal or state_dependent_normal, or "
        raise InputError(
            f"action_distribution is {distribution}, which acts between bounds, but the action space {action_space} is "
            f"not bounded on both sides: {others}bound the space."
        )
    _check_log_std(network.initial_log_std, distribution)


def as_actor_critic(
    model: Any, obs_space: Space, action_space: Space, key: PRNGKeyArray, *, action_distribution: str = "normal"
) -> AbstractActorCritic:
    """An actor-critic from what a user gives.

    That is a policy, or the agent of one; a network of Equinox or Flax, called on one observation, whose outputs are
    the numbers of the action's distribution, and which gets the usual critic; or a function `(obs_space, action_space,
    key)` that makes one of these. A policy without a critic gets one that is 0 everywhere. Raises `InputError` for
    anything else, and for a policy that does not act in the one space on what the other holds.
    """
    if not isinstance(model, AbstractPolicy) and isinstance(policy := getattr(model, "model", None), AbstractPolicy):
        model = policy  # that of an agent
    makes = not isinstance(model, AbstractPolicy) and not is_network(model) and _is_maker(model)
    made: Any = cast(Any, model)(obs_space, action_space, key) if makes else model
    seen, has_mask = split_mask(obs_space, action_space)
    if is_network(made):
        own_key, usual_key = jax.random.split(key)
        usual: Any = make_actor_critic(seen, action_space, action_distribution=action_distribution, key=usual_key)
        made = network_actor_critic(made, usual, seen, action_space, own_key)
    if not isinstance(made, AbstractPolicy):
        raise InputError(
            f"model {'gave' if makes else 'is'} {shown(made)}, but it must be a logpi.AbstractPolicy, a network of "
            "Equinox or Flax, or a function (obs_space, action_space, key) that makes one: give one."
        )
    if has_mask:
        made = _with_masks(made, seen, obs_space, action_space)
    _check_acts(made, obs_space, action_space)
    return _critical(made)


def _critical(policy: AbstractPolicy) -> AbstractActorCritic:
    return policy if isinstance(policy, AbstractActorCritic) else WithoutCritic(policy)


def _with_masks(policy: AbstractPolicy, seen: Space, obs_space: Space, action_space: Space) -> AbstractPolicy:
    """A policy whose choices are masked. It sees the observation without the mask; where it cannot act on that, all.

    One that sees the mask, and whose distribution is not known to have values that can be forbidden, masks by itself.
    """
    if isinstance(policy, Masked):
        return policy
    made = Masked(_critical(policy), action_space, whole=not _acts(policy, seen, action_space))
    if made.whole and not _acts(policy, obs_space, action_space):
        _check_acts(policy, seen, action_space)  # which says why not
    return policy if made.whole and not _acts(made, obs_space, action_space) else made


def _event_shape(space: Space) -> tuple[int, ...]:
    """Of an action as it is drawn: choices are one row, however the environment arranges them."""
    return (len(space.sizes),) if isinstance(space, MultiDiscrete) else shape_of(space)


def _acts(policy: AbstractPolicy, obs_space: Space, action_space: Space) -> bool:
    try:
        _check_acts(policy, obs_space, action_space)
    except InputError:
        return False
    return True


def _is_maker(model: Any) -> bool:
    """Whether it is a function of an observation space, an action space and a key, or a class of policies."""
    return issubclass(model, AbstractPolicy) if isinstance(model, type) else callable(model) and takes(model, 3)


def _check_acts(policy: AbstractPolicy, obs_space: Space, action_space: Space) -> None:
    """Raises `InputError` for a policy that does not act in the one space on what the other holds."""
    chosen: list[np.ndarray] = []

    def act(policy, obs, key):
        distribution, _ = policy(obs, policy.initial_memory())
        with contextlib.suppress(Exception):  # foreign kinds may ask for numbers to tell
            chosen.extend(values_of(distribution))
        return distribution.sample_and_log_prob(key)[0]

    seen = caster(obs_space)(reader(obs_space)(draw(obs_space, np.random.default_rng(0))))
    try:
        event = eqx.filter_eval_shape(act, policy, seen, jax.random.key(0))
    except Exception as error:  # of anybody's code
        raise InputError(
            f"model cannot act on an observation of {shown(obs_space)} ({said(error, 300)}): give a policy of this "
            "environment."
        ) from error
    given, wanted = jax.tree.map(jnp.shape, event), mapped(action_space, _event_shape)
    if given != wanted:
        raise InputError(
            f"model gives actions of shape {given}, but those of {action_space} have {wanted}: give a distribution of "
            "these."
        )
    for values, size in zip(chosen, groups(action_space), strict=False):
        if np.max(values, initial=0) >= size or np.min(values, initial=0) < 0:
            raise InputError(
                f"model chooses among {np.min(values)} to {np.max(values)}, but {action_space} has 0 to {size - 1}: "
                "give a logit for each."
            )
