"""From an observation of any space to one vector, for the networks behind it."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
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
    """The observation as it is: raveled, integers one-hot. It has no parameters."""

    space: spaces.Space = eqx.field(static=True)

    @property
    def size(self) -> int:
        """The length of the encoding."""
        return spaces.encoded_size(self.space)

    def __call__(self, obs: PyTree[Array]) -> Float[Array, " size"]:
        """`spaces.encode` of the observation."""
        return spaces.encode(self.space, obs)


class ImageEncoder(AbstractEncoder):
    """A small convolutional network for an image of (height, width, channels) or (height, width).

    From 36 pixels on, the three layers of Mnih et al. 2015 (Nature 518:529); below, one 3 x 3 layer of 16 channels, as
    Young & Tian 2019 (arXiv:1903.03176) use for MinAtar. Bytes are divided by 255.
    """

    # A convolution is one matrix for all patches. XLA's own runs five times slower inside a loop on a CPU.
    layers: tuple[Dense, ...]
    dense: Dense
    plan: tuple[tuple[int, int], ...] = eqx.field(static=True)  # kernel and stride of each layer
    space: spaces.Box = eqx.field(static=True)

    def __init__(self, space: spaces.Box, *, size: int | None = None, key: PRNGKeyArray):
        height, width, channels = (*space.shape, 1)[:3]
        large = min(height, width) >= 36
        plan = ((32, 8, 4), (64, 4, 2), (64, 3, 1)) if large else ((16, min(3, height, width), 1),)
        layers = []
        for out, kernel, stride in plan:
            layers.append(Dense(kernel * kernel * channels, out))
            channels, height, width = out, (height - kernel) // stride + 1, (width - kernel) // stride + 1
        dense = Dense(channels * height * width, size or (512 if large else 128))
        self.layers, self.dense = orthogonal((tuple(layers), dense), key)
        self.plan = tuple((kernel, stride) for _, kernel, stride in plan)
        self.space = space

    @property
    def size(self) -> int:
        """Units of the dense layer."""
        return self.dense.weight.shape[1]

    def __call__(self, obs: PyTree[Array]) -> Float[Array, " size"]:
        """Convolutions and one dense layer, all with rectifiers."""
        scale = 255.0 if self.space.dtype == "uint8" else 1.0
        image = jnp.atleast_3d(obs.astype(jnp.float32) / scale)
        for layer, (kernel, stride) in zip(self.layers, self.plan, strict=True):
            image = jax.nn.relu(jax.vmap(jax.vmap(layer))(_patches(image, kernel, stride)))
        return jax.nn.relu(self.dense(image.ravel()))


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


def make_encoder(space: spaces.Space, *, key: PRNGKeyArray) -> AbstractEncoder:
    """The encoder for an observation space: images by convolutions, everything else flat, part by part.

    Raises `InputError` for a space without entries.
    """
    if spaces.encoded_size(space) == 0:
        raise InputError(f"The observation space {space} has no entries: a policy needs at least one number to see.")
    if isinstance(space, spaces.Box) and spaces.is_image(space):
        return ImageEncoder(space, key=key)
    if isinstance(space, (spaces.Dict, spaces.Tuple)) and _has_image(space):
        named = space.parts if isinstance(space, spaces.Dict) else tuple(enumerate(space.parts))
        keys = jax.random.split(key, len(named))
        encoders = tuple(make_encoder(part, key=k) for (_, part), k in zip(named, keys, strict=True))
        return PartsEncoder(tuple(name for name, _ in named), encoders)
    return FlatEncoder(space)


def _has_image(space: spaces.Space) -> bool:
    match space:
        case spaces.Dict():
            return any(_has_image(part) for _, part in space.parts)
        case spaces.Tuple():
            return any(_has_image(part) for part in space.parts)
        case _:
            return spaces.is_image(space)
