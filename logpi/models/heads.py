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
from ..distributions import AbstractDistribution, Bernoulli, Categorical, Joint, Normal, Product
from ..errors import InputError


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
def make_head(space: spaces.Space, *, initial_log_std: float = 0.0) -> AbstractHead:
    """The head for an action space; `initial_log_std` is of continuous actions. Register your own kinds of space here.

    Raises `InputError` where a space has no head.
    """
    raise InputError(
        f"No distribution is known for the action space {space}: logpi acts in Discrete, MultiDiscrete, MultiBinary, "
        "Box, and Dict and Tuple of these; register another with `logpi.models.heads.make_head.register`."
    )


@make_head.register
def _(space: spaces.Discrete, *, initial_log_std=0.0):
    return CategoricalHead(space.n)


@make_head.register
def _(space: spaces.MultiDiscrete, *, initial_log_std=0.0):
    return JointCategoricalHead(space.sizes)


@make_head.register
def _(space: spaces.MultiBinary, *, initial_log_std=0.0):
    return BernoulliHead(space.shape)


@make_head.register
def _(space: spaces.Dict, *, initial_log_std=0.0):
    return ProductHead({name: make_head(part, initial_log_std=initial_log_std) for name, part in space.parts})


@make_head.register
def _(space: spaces.Tuple, *, initial_log_std=0.0):
    return ProductHead(tuple(make_head(part, initial_log_std=initial_log_std) for part in space.parts))


@make_head.register
def _(space: spaces.Box, *, initial_log_std=0.0):
    return NormalHead(jnp.full(space.shape, initial_log_std, jnp.float32))
