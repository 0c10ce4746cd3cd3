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

    layers: tuple[Dense, ...]  # the weights of a patch in the order of rows, columns, channels
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
            image = self.activation(_convolved(image, layer.weight, kernel, stride) + layer.bias[None, None])
        return self.activation(self.dense(image.ravel()))


def _picture_shape(space: spaces.Box) -> tuple[int, int, int]:
    """Height, width and channels, of which stacked frames make more."""
    height, width, *channels = (space.shape[axis] for axis in spaces.picture_axes(space) or ())
    return height, width, math.prod(channels)


def _convolved(
    image: Float[Array, "height width channels"], weight: Float[Array, "patch out"], kernel: int, stride: int
) -> Float[Array, "rows columns out"]:
    """The product of every square of `kernel` pixels, `stride` apart, with the weights; `stride` divides `kernel`.

    Squares of `stride` pixels become one pixel of so many more channels first: what is left is a convolution of stride
    1, whose derivatives are convolutions of stride 1 too.
    """
    reach, out = kernel // stride, weight.shape[1]  # of such pixels
    height, width = (n // stride for n in image.shape[:2])
    pixels = image[: height * stride, : width * stride].reshape(height, stride, width, -1).swapaxes(1, 2)
    kernels = weight.reshape(reach, stride, reach, -1, out).swapaxes(1, 2)
    return _slid(pixels.reshape(height, width, -1), kernels.reshape(reach, reach, -1, out))


@jax.custom_jvp
def _slid(
    image: Float[Array, "height width channels"], kernels: Float[Array, "kernel kernel channels out"]
) -> Float[Array, "rows columns out"]:
    """A convolution of stride 1.

    XLA computes one inside a loop on a CPU quickly only where the axes are named in the usual order, and turns those of
    JAX's derivatives round only outside of loops: the gradient of the kernels takes 30 times as long inside. So the
    tangents are written in such an order that their transposes have the usual one.
    """
    return _with_axes(image[None], kernels, ("NHWC", "HWIO", "NHWC"))[0]


@_slid.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (image, kernels), (image_change, kernels_change) = primals, tangents
    by_image = _with_axes(image_change[None], kernels.swapaxes(2, 3), ("NHWC", "HWOI", "NHWC"))[0]
    channels_first = image.transpose(2, 0, 1)[..., None], kernels_change.transpose(2, 0, 1, 3)
    by_kernels = _with_axes(*channels_first, ("CHWN", "IHWO", "HWNC"))[:, :, 0]
    return _slid(image, kernels), by_image + by_kernels


def _with_axes(image: Array, kernels: Array, axes: tuple[str, str, str]) -> Array:
    return jax.lax.conv_general_dilated(image, kernels, (1, 1), "VALID", dimension_numbers=axes)


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
