"""From an observation of any space to one vector, for the networks behind it."""

import abc
import functools
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .. import spaces
from ..errors import InputError
from .dense import Dense
from .initializers import orthogonal


class AbstractEncoder(eqx.Module):
    """Turns an observation into features."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """How many features."""

    @abc.abstractmethod
    def __call__(self, obs: PyTree[Array]) -> Float[Array, " size"]:
        """The features of one observation."""


class FlatEncoder(AbstractEncoder):
    """The observation as it is: raveled, integers one-hot, and bytes divided by their range if `scaled`.

    It has no parameters.
    """

    space: spaces.Space = eqx.field(static=True)
    scaled: bool = eqx.field(static=True, default=True)

    @property
    def size(self) -> int:
        """The length of the encoding."""
        return spaces.encoded_size(self.space)

    def __call__(self, obs: PyTree[Array]) -> Float[Array, " size"]:
        """`spaces.encode` of the observation."""
        features, scales = spaces.encode(self.space, obs), np.asarray(_scales(self.space), np.float32)
        return features / scales if self.scaled and (scales != 1).any() else features


def _scales(space: spaces.Space) -> list[float]:
    """What each number of the encoding is divided by."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = [part for _, part in space.parts] if isinstance(space, spaces.Dict) else space.parts
        return [each for part in parts for each in _scales(part)]
    return [spaces.scale(space)] * spaces.encoded_size(space)


class ImageEncoder(AbstractEncoder):
    """A small convolutional network for a picture, whichever way round its axes are: see `spaces.picture_axes`.

    From 36 pixels on, the three layers of Mnih et al. 2015 (Nature 518:529); below, one 3 x 3 layer of 16 channels, as
    Young & Tian 2019 (arXiv:1903.03176) use for MinAtar. Its numbers are divided by their greatest (bytes by 255) if
    `scaled`.
    """

    # A convolution is one matrix for all patches. XLA's own runs five times slower inside a loop on a CPU.
    layers: tuple[Dense, ...]
    dense: Dense
    plan: tuple[tuple[int, int], ...] = eqx.field(static=True)  # kernel and stride of each layer
    space: spaces.Box = eqx.field(static=True)
    scaled: bool = eqx.field(static=True)
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        space: spaces.Box,
        *,
        size: int | None = None,
        scaled: bool = True,
        activation: Callable[[Array], Array] = jax.nn.relu,
        key: PRNGKeyArray,
    ):
        height, width, channels = _picture_shape(space)
        large = min(height, width) >= 36
        plan = ((32, 8, 4), (64, 4, 2), (64, 3, 1)) if large else ((16, min(3, height, width), 1),)
        layers = []
        for out, kernel, stride in plan:
            layers.append(Dense(kernel * kernel * channels, out))
            channels, height, width = out, (height - kernel) // stride + 1, (width - kernel) // stride + 1
        dense = Dense(channels * height * width, size or (512 if large else 128))
        self.layers, self.dense = orthogonal((tuple(layers), dense), key)
        self.plan = tuple((kernel, stride) for _, kernel, stride in plan)
        self.space, self.scaled, self.activation = space, scaled, activation

    @property
    def size(self) -> int:
        """Units of the dense layer."""
        return self.dense.weight.shape[1]

    def __call__(self, obs: PyTree[Array]) -> Float[Array, " size"]:
        """Convolutions and one dense layer, each behind the activation."""
        image = obs.astype(jnp.float32) / (spaces.scale(self.space) if self.scaled else 1.0)
        image = image.transpose(spaces.picture_axes(self.space)).reshape(_picture_shape(self.space))
        for layer, (kernel, stride) in zip(self.layers, self.plan, strict=True):
            image = self.activation(jax.vmap(jax.vmap(layer))(_patches(image, kernel, stride)))
        return self.activation(self.dense(image.ravel()))


def _picture_shape(space: spaces.Box) -> tuple[int, int, int]:
    """Height, width and channels, of which stacked frames make more."""
    height, width, *channels = (space.shape[axis] for axis in spaces.picture_axes(space) or ())
    return height, width, math.prod(channels)


def _patches(
    image: Float[Array, "height width channels"], kernel: int, stride: int
) -> Float[Array, "rows columns patch"]:
    """Every square of `kernel` pixels, `stride` apart, as one vector."""
    rows, columns = ((n - kernel) // stride + 1 for n in image.shape[:2])
    shifted = [
        image[i : i + stride * (rows - 1) + 1 : stride, j : j + stride * (columns - 1) + 1 : stride]
        for i in range(kernel)
        for j in range(kernel)
    ]
    return jnp.concatenate(shifted, axis=-1)


class PartsEncoder(AbstractEncoder):
    """Features of the parts of a `Dict` or `Tuple`, one after the other."""

    names: tuple[str | int, ...] = eqx.field(static=True)
    encoders: tuple[AbstractEncoder, ...]

    @property
    def size(self) -> int:
        """The parts' together."""
        return sum(encoder.size for encoder in self.encoders)

    def __call__(self, obs: PyTree[Array]) -> Float[Array, " size"]:
        """Each part's features, concatenated."""
        features = [encoder(obs[name]) for name, encoder in zip(self.names, self.encoders, strict=True)]
        return jnp.concatenate(features)


def make_encoder(
    space: spaces.Space,
    *,
    scaled: bool = True,
    size: int | None = None,
    activation: Callable[[Array], Array] = jax.nn.relu,
    key: PRNGKeyArray,
) -> AbstractEncoder:
    """The encoder for an observation space: pictures by convolutions, everything else flat, part by part.

    Pictures and bytes are divided by their range, unless something else brings numbers to one scale (not `scaled`).
    `size` and `activation` are of the convolutional networks: the units of their last layer, 512 or 128 if not given.
    Raises `InputError` for a space without entries.
    """
    if spaces.encoded_size(space) == 0:
        raise InputError(f"The observation space {space} has no entries: a policy needs at least one number to see.")
    image_encoder = functools.partial(ImageEncoder, scaled=scaled, size=size, activation=activation)
    return _encoder(space, scaled, image_encoder, key)


def _encoder(
    space: spaces.Space, scaled: bool, image_encoder: Callable[..., ImageEncoder], key: PRNGKeyArray
) -> AbstractEncoder:
    if isinstance(space, spaces.Box) and spaces.is_image(space) and spaces.encoded_size(space):
        return image_encoder(space, key=key)
    if isinstance(space, (spaces.Dict, spaces.Tuple)) and _has_image(space):
        named = space.parts if isinstance(space, spaces.Dict) else tuple(enumerate(space.parts))
        keys = jax.random.split(key, len(named))
        encoders = tuple(_encoder(part, scaled, image_encoder, k) for (_, part), k in zip(named, keys, strict=True))
        return PartsEncoder(tuple(name for name, _ in named), encoders)
    return FlatEncoder(space, scaled)


def _has_image(space: spaces.Space) -> bool:
    match space:
        case spaces.Dict():
            return any(_has_image(part) for _, part in space.parts)
        case spaces.Tuple():
            return any(_has_image(part) for part in space.parts)
        case _:
            return spaces.is_image(space)
