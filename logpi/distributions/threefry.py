"""JAX's random numbers, bit for bit, in a third of the time on a CPU.

JAX's default generator, Threefry-2x32 of 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
is compiled for CPUs as a loop over its rounds: XLA builds it quickly, but writes both words of every block to memory in
each round. Written out, all rounds of a number stay in registers.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl, threefry_prng_impl
from jaxtyping import Array, Float, Integer, PRNGKeyArray, UInt


def in_one_row(
    draw: Callable[[PRNGKeyArray, tuple[int, ...]], Array], key: PRNGKeyArray, shape: tuple[int, ...]
) -> Float[Array, "..."]:
    """`draw(key, shape)` from a row that is as long as the shape is large: JAX's generators give the same numbers.

    XLA vectorises along the last axis, and where that is a short one (the six coins of an event) it takes three times
    as long on a CPU.
    """
    return draw(key, (math.prod(shape),)).reshape(shape)


ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))  # by bits, of four rounds in turn
PARITY = 0x1BD11BDA  # makes a third word of a key's two, after Skein's key schedule
_CONFIG: Any = jax.config
STORED_FROM = 1024  # numbers; fewer are sooner worked out again than put into memory


def fast_key(key: PRNGKeyArray) -> PRNGKeyArray:
    """A key that draws the same numbers as `key`, and sooner if it is one of JAX's default generator.

    For draws alone: what is split off it goes on being fast, which users have no use for.
    """
    if not _is_slow(key):
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=_FAST)


def split(key: PRNGKeyArray, num: int | tuple[int, ...] = 2) -> Array:
    """`jax.random.split`."""
    return _as_given(jax.random.split(fast_key(key), num), key)


def fold_in(key: PRNGKeyArray, data: int | Integer[Array, ""]) -> PRNGKeyArray:
    """`jax.random.fold_in`."""
    return _as_given(jax.random.fold_in(fast_key(key), data), key)


def stored(draw: Callable[[PRNGKeyArray], Array], key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
    """`draw(key)`, of this shape and type, put into memory where it is worth it.

    XLA would fuse it into all that uses the numbers, and work it out again in each. It fuses no branch, but does away
    with one whose condition it knows. In a loop of two rounds it knows none: the first draws, the second lets it be.
    """
    # JAX's check of keys that are used twice takes a loop for many uses.
    if not _is_known(shape) or math.prod(shape) < STORED_FROM or _CONFIG.jax_debug_key_reuse:
        return draw(key)

    def body(carry):
        i, numbers = carry
        return i + 1, jax.lax.cond(i == 0, lambda numbers: draw(key), lambda numbers: numbers, numbers)

    nothing = jax.random.key_data(key).reshape(-1)[0] & 0  # made of the key: in `shard_map`, it varies where that does
    start = jnp.broadcast_to(nothing.astype(dtype), shape)
    return jax.lax.while_loop(lambda carry: carry[0] < 2, body, (jnp.int32(0), start))[1]


def _is_known(shape: tuple[int, ...]) -> bool:
    """Whether its numbers are known, which those that `jax.export` takes by name are not."""
    return all(isinstance(size, int) for size in shape)


def _is_slow(key: PRNGKeyArray) -> bool:
    """Whether it is a key of Threefry on a CPU, of which number i comes from block i: JAX had another way before."""
    # JAX's check of keys that are used twice takes one that is wrapped anew for another key.
    if not _CONFIG.jax_threefry_partitionable or _CONFIG.jax_debug_key_reuse or jax.default_backend() != "cpu":
        return False
    return str(jax.random.key_impl(key)) == "threefry2x32"


def _as_given(new: Array, key: PRNGKeyArray) -> Array:
    """The new keys in the form of the one given: of its generator, or in the older form without any."""
    data = jax.random.key_data(new)
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return jax.random.wrap_key_data(data, impl=jax.random.key_impl(key)) if typed else data


def _block(key: UInt[Array, "2"], high: UInt[Array, "*n"], low: UInt[Array, "*n"]) -> tuple[Array, Array]:
    """Both words of the blocks of Threefry-2x32 with 20 rounds, for counters of two words."""
    words = key[0], key[1], key[0] ^ key[1] ^ np.uint32(PARITY)
    x, y = high + words[0], low + words[1]
    for i in range(5):
        for bits in ROTATIONS[i % 2]:
            x = x + y
            y = ((y << np.uint32(bits)) | (y >> np.uint32(32 - bits))) ^ x
        x, y = x + words[(i + 1) % 3], y + words[(i + 2) % 3] + np.uint32(i + 1)
    return x, y


def _blocks(key: UInt[Array, "2"], count: int) -> tuple[Array, Array]:
    low = jnp.arange(count, dtype=jnp.uint32)
    return _block(key, jnp.zeros_like(low), low)


# Jitted, and so traced once for each shape, for draws outside of any jit.
@functools.partial(jax.jit, static_argnums=1, inline=True)
def _split(key, shape):
    return jnp.stack(_blocks(key, math.prod(shape)), axis=1).reshape(*shape, 2)


@functools.partial(jax.jit, inline=True)
def _fold_in(key, data):
    return jnp.stack(_block(key, jnp.uint32(0), jnp.asarray(data).astype(jnp.uint32)))


@functools.partial(jax.jit, static_argnums=(1, 2), inline=True)
def _random_bits(key, width, shape):
    # Of so many numbers, the counters' first word would count too.
    if not _is_known(shape) or math.prod(shape) >= 2**32:
        return threefry_prng_impl.random_bits(key, width, shape)
    count, dtype = math.prod(shape), jnp.dtype(f"uint{width}")

    def draw(key):
        first, second = _blocks(key, count)
        return (first.astype(dtype) << 32) | second.astype(dtype) if width == 64 else (first ^ second).astype(dtype)

    return stored(draw, key, (count,), dtype).reshape(shape)


_FAST = define_prng_impl(
    key_shape=threefry_prng_impl.key_shape,
    seed=threefry_prng_impl.seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="threefry2x32 written out",
    tag="out",
)
