"""A member of a space as one vector."""

import functools
import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..errors import InputError
from .kinds import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple


def is_image(space: Space) -> bool:
    """Whether a space is an image: a `Box` of three axes (height, width, channels) or two (height, width) of bytes."""
    return isinstance(space, Box) and (len(space.shape) == 3 or (len(space.shape) == 2 and space.dtype == "uint8"))


@functools.singledispatch
def encode(space: Space, member: PyTree[Array]) -> Float[Array, " size"]:  # pyright: ignore[reportUnusedParameter]
    """A member of a space as one vector of floats: one-hot for integers, raveled for the rest."""
    raise InputError(f"No encoding is known for {space!r}: give a space of `logpi.spaces`.")


@encode.register
def _(space: Discrete, member):
    return jax.nn.one_hot(member - space.start, space.n)


@encode.register
def _(space: MultiDiscrete, member):
    sizes = np.asarray(space.sizes)
    counted = member.reshape(-1) - np.asarray(space.starts or 0, np.int32)
    # One comparison, however many choices: which of them each entry is of, and which value it stands for.
    choice, value = np.repeat(np.arange(sizes.size), sizes), np.concatenate([np.arange(n) for n in space.sizes])
    return (counted[choice] == value).astype(jnp.float32)


@encode.register(Box)
@encode.register(MultiBinary)
def _(_space, member):
    return jnp.ravel(member).astype(jnp.float32)


@encode.register
def _(space: Dict, member):
    return _joined(encode(part, member[name]) for name, part in space.parts)


@encode.register
def _(space: Tuple, member):
    return _joined(encode(part, member[i]) for i, part in enumerate(space.parts))


def _joined(vectors: Iterable[Float[Array, " _"]]) -> Float[Array, " size"]:
    """One vector after the other; of none, none."""
    return jnp.concatenate([jnp.zeros(0), *vectors])


def encoded_size(space: Space) -> int:
    """The length of the vector that `encode` gives."""
    match space:
        case Discrete():
            return space.n
        case MultiDiscrete():
            return sum(space.sizes)
        case Box() | MultiBinary():
            return math.prod(space.shape)
        case Dict():
            return sum(encoded_size(part) for _, part in space.parts)
        case Tuple():
            return sum(encoded_size(part) for part in space.parts)
