"""From an action space to a distribution: the only place that asks what kind of action this is."""

# pyright: reportUnusedParameter=false
# `make_head` is asked alike for every kind of space, and few need all that it is given.

import abc
import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import spaces
from ..distributions import AbstractDistribution, Bernoulli, Categorical, Joint, Normal, Point, Product, TanhNormal
from ..errors import choice, InputError

ACTION_DISTRIBUTIONS = ("normal", "state_dependent_normal", "tanh_normal")  # to choose from
DETERMINISTIC = "deterministic"  # which some algorithms take, and none can be told to
FROM_NETWORK = ("state_dependent_normal", "tanh_normal")  # whose deviations come from the network, as their means do
BOUNDED = ("tanh_normal", DETERMINISTIC)  # whose events lie between -1 and 1
LOG_STDS = -5.0, 2.0  # between which a network gives them, as CleanRL's SAC does


class AbstractHead(eqx.Module):
    """Turns the last layer of a network into a distribution over one action."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """How many numbers it takes from the network."""

    @abc.abstractmethod
    def __call__(self, features: Float[Array, " size"]) -> AbstractDistribution:
        """The distribution that these numbers stand for."""


class CategoricalHead(AbstractHead):
    """Logits of one choice."""

    n: int = eqx.field(static=True)

    @property
    def size(self) -> int:
        """One logit a choice."""
        return self.n

    def __call__(self, features: Float[Array, " size"]) -> Categorical:
        """The features are the logits."""
        return Categorical(features)


class JointCategoricalHead(AbstractHead):
    """Logits of several independent choices, one after the other."""

    sizes: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """All logits together."""
        return sum(self.sizes)

    def __call__(self, features: Float[Array, " size"]) -> Joint:
        """The features are cut into the logits of each choice."""
        ends = np.cumsum(self.sizes)[:-1].tolist()
        return Joint(tuple(Categorical(logits) for logits in jnp.split(features, ends)))


class BernoulliHead(AbstractHead):
    """Logits of coins."""

    shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """One number a coin."""
        return math.prod(self.shape)

    def __call__(self, features: Float[Array, " size"]) -> Bernoulli:
        """The features are the logits, in row-major order."""
        return Bernoulli(features.reshape(self.shape))


class NormalHead(AbstractHead):
    """Means from the network; log standard deviations of the head's own, the same in every state."""

    log_std: Float[Array, "*shape"]

    @property
    def size(self) -> int:
        """One mean an entry."""
        return math.prod(self.log_std.shape)

    def __call__(self, features: Float[Array, " size"]) -> Normal:
        """The features are the means, in row-major order."""
        return Normal(features.reshape(self.log_std.shape), self.log_std)


class StateDependentNormalHead(AbstractHead):
    """Means and log standard deviations from the network, so that both are others in each state."""

    shape: tuple[int, ...] = eqx.field(static=True)
    initial_log_std: float = eqx.field(static=True, default=0.0)

    @property
    def size(self) -> int:
        """A mean and a deviation an entry."""
        return 2 * math.prod(self.shape)

    def __call__(self, features: Float[Array, " size"]) -> Normal:
        """The features are the means, in row-major order, and then what makes the deviations."""
        return Normal(*_means_and_log_stds(features, self.shape, self.initial_log_std))


class TanhNormalHead(AbstractHead):
    """Means and log standard deviations from the network, of what tanh brings between -1 and 1."""

    shape: tuple[int, ...] = eqx.field(static=True)
    initial_log_std: float = eqx.field(static=True, default=0.0)

    @property
    def size(self) -> int:
        """A mean and a deviation an entry."""
        return 2 * math.prod(self.shape)

    def __call__(self, features: Float[Array, " size"]) -> TanhNormal:
        """The features are the means, in row-major order, and then what makes the deviations."""
        return TanhNormal(*_means_and_log_stds(features, self.shape, self.initial_log_std))


class DeterministicHead(AbstractHead):
    """One action with certainty, between -1 and 1."""

    shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """One number an entry."""
        return math.prod(self.shape)

    def __call__(self, features: Float[Array, " size"]) -> Point:
        """The features are what tanh brings between -1 and 1, in row-major order."""
        return Point(jnp.tanh(features).reshape(self.shape))


def _means_and_log_stds(
    features: Float[Array, " size"], shape: tuple[int, ...], initial: float
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    r"""The first half; and of the second $l + (h - l) (\tanh(x + x_0) + 1) / 2$, which is `initial` at 0.

    Bounded by a smooth function, as in CleanRL's SAC with $x_0 = 0$: where it is clipped, no gradient leads back.
    """
    means, numbers = jnp.split(features, 2)
    low, high = LOG_STDS
    at_zero = math.atanh(2 * (initial - low) / (high - low) - 1)
    log_stds = low + 0.5 * (high - low) * (jnp.tanh(numbers + at_zero) + 1)
    return means.reshape(shape), log_stds.reshape(shape)


class ProductHead(AbstractHead):
    """The heads of several parts, each with its share of the numbers."""

    parts: dict[str, AbstractHead] | tuple[AbstractHead, ...]

    @property
    def size(self) -> int:
        """Those of all parts together."""
        return sum(head.size for head in self._heads())

    def __call__(self, features: Float[Array, " size"]) -> Product:
        """The features are cut into those of each part, in order."""
        pieces = iter(jnp.split(features, np.cumsum([head.size for head in self._heads()])[:-1].tolist()))
        return Product(jax.tree.map(lambda head: head(next(pieces)), self.parts, is_leaf=_is_head))

    def _heads(self) -> list[AbstractHead]:
        return jax.tree.leaves(self.parts, is_leaf=_is_head)


def _is_head(part: object) -> bool:
    return isinstance(part, AbstractHead)


@functools.singledispatch
def make_head(
    space: spaces.Space, *, initial_log_std: float = 0.0, action_distribution: str | None = None
) -> AbstractHead:
    """The head for an action space. Register your own kinds of space here.

    `initial_log_std` and `action_distribution` ("normal", "state_dependent_normal", "tanh_normal", "deterministic";
    `None` is "normal") are of continuous actions; of several parts, of each such. Raises `InputError` where a space has
    no head, and for another `action_distribution`.
    """
    raise InputError(
        f"No distribution is known for the action space {space}: logpi acts in Discrete, MultiDiscrete, MultiBinary, "
        "Box, and Dict and Tuple of these; register another with `logpi.models.heads.make_head.register`."
    )


@make_head.register
def _(space: spaces.Discrete, *, initial_log_std=0.0, action_distribution=None):
    return CategoricalHead(space.n)


@make_head.register
def _(space: spaces.MultiDiscrete, *, initial_log_std=0.0, action_distribution=None):
    return JointCategoricalHead(space.sizes)


@make_head.register
def _(space: spaces.MultiBinary, *, initial_log_std=0.0, action_distribution=None):
    return BernoulliHead(space.shape)


@make_head.register
def _(space: spaces.Dict, **of_boxes):
    return ProductHead({name: make_head(part, **of_boxes) for name, part in space.parts})


@make_head.register
def _(space: spaces.Tuple, **of_boxes):
    return ProductHead(tuple(make_head(part, **of_boxes) for part in space.parts))


@make_head.register
def _(space: spaces.Box, *, initial_log_std=0.0, action_distribution=None):
    if action_distribution == DETERMINISTIC:
        return DeterministicHead(space.shape)
    if action_distribution is not None:
        choice("action_distribution", action_distribution, ACTION_DISTRIBUTIONS)
    if action_distribution == "tanh_normal":
        return TanhNormalHead(space.shape, initial_log_std)
    if action_distribution == "state_dependent_normal":
        return StateDependentNormalHead(space.shape, initial_log_std)
    return NormalHead(jnp.full(space.shape, initial_log_std, jnp.float32))
