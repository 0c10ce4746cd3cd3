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
from .membership import flattened


def is_image(space: Space) -> bool:
    """Whether a space is a picture: see `picture_axes`."""
    return picture_axes(space) is not None


def picture_axes(space: Space) -> tuple[int, ...] | None:
    """The axes of a picture: height, width, and then those that are channels. `None` for what is no picture.

    Bytes of two axes (height, width), of three, or of four, the first of which counts frames. Of other numbers only
    three axes from 0 to 1 or 0 to 255: 3-axis arrays with other bounds are just numbers. Three axes are (height, width,
    channels), or with the channels in front, where these are fewer than either side.
    """
    if not isinstance(space, Box):
        return None
    axes, is_bytes = len(space.shape), space.dtype == "uint8"
    if is_bytes and axes == 4:
        height, width, *rest = _three_axes(space.shape[1:])
        return (height + 1, width + 1, 0, *(axis + 1 for axis in rest))
    if axes == 3 and (is_bytes or (space.low == 0 and space.high in (1, 255))):
        return _three_axes(space.shape)
    return (0, 1) if is_bytes and axes == 2 else None


def _three_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    first, height, width = shape
    return (1, 2, 0) if first < height and first < width and width > 4 else (0, 1, 2)


def layout_note(space: Space) -> str:
    """Which way round the pictures in an observation are taken to be, in a sentence, where they could be another."""
    if isinstance(space, Dict | Tuple):
        return " ".join(filter(None, (layout_note(part) for (part,) in flattened(space))))
    axes = picture_axes(space)
    if axes is None or not isinstance(space, Box) or axes == tuple(range(len(axes))):
        return ""
    height, width = (space.shape[axis] for axis in axes[:2])
    channels = " x ".join(str(space.shape[axis]) for axis in axes[2:])
    return (
        f"An observation of shape {space.shape} is seen as a picture of {height} x {width}, with {channels} channels."
    )


def scale(space: Space) -> float:
    """What the numbers of a space are divided by to lie within -1 and 1: the greatest, for pictures and for bytes."""
    if not isinstance(space, Box) or not (space.dtype == "uint8" or is_image(space)):
        return 1.0
    return max(1.0, float(np.max(space.high)))


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
        case _:
            return sum(encoded_size(part) for (part,) in flattened(space))
