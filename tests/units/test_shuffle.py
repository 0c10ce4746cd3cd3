"""The random order: a permutation, with no row nearer to any place or to any other row than chance has it.

The statistical tests have fixed keys. Each states how often a true shuffle would fail it under fresh ones.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from logpi.learners.steps import random_order, SORTED_BELOW

RARE = 1e-6
KEYS = 6000
MINIBATCHES = 4
# Sorted; a power of two; just above one, where most numbers are walked over; in between; of an odd number of bits.
SIZES = (60, 256, 260, 400, 512)


@functools.cache
def orders(size: int) -> np.ndarray:
    """Many orders of a size: (KEYS, size)."""
    draw = jax.jit(jax.vmap(random_order, (0, None)), static_argnums=1)
    return np.asarray(draw(jax.random.split(jax.random.key(size), KEYS), size))


def is_permutation(size: int) -> bool:
    order = np.asarray(jax.jit(random_order, static_argnums=1)(jax.random.key(size), size))
    return order.dtype == np.int32 and np.array_equal(np.sort(order), np.arange(size))


def test_the_sizes_cover_both_ways():
    assert min(SIZES) < SORTED_BELOW <= sorted(SIZES)[1]


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 300, 511, 512, 513, 600, 1000, 4096, 5000, 65537, 300_000])
def test_it_is_a_permutation(size):
    assert is_permutation(size)


@pytest.mark.slow
def test_it_is_a_permutation_of_every_size():
    assert [size for size in range(1, 601) if not is_permutation(size)] == []


@pytest.mark.parametrize("size", SIZES)
def test_it_is_a_permutation_under_every_key(size):
    assert (np.sort(orders(size), axis=1) == np.arange(size)).all()
    assert len(np.unique(orders(size), axis=0)) == KEYS  # and another one under each


@pytest.mark.parametrize("size", SIZES)
def test_every_row_is_as_likely_at_every_place(size):
    """The sum over rows and places of (count - mean)^2 / mean, times (n - 1) / n, is chi-square with (n - 1)^2 degrees.

    (Of a uniform permutation matrix.) False-alarm rate: RARE for each size, too even counts included.
    """
    counts = np.zeros((size, size))
    np.add.at(counts, (np.broadcast_to(np.arange(size), orders(size).shape), orders(size)), 1)
    statistic = np.sum((counts - KEYS / size) ** 2) / (KEYS / size) * (size - 1) / size
    assert RARE / 2 < stats.chi2.sf(statistic, (size - 1) ** 2) < 1 - RARE / 2


@pytest.mark.parametrize("size", SIZES)
def test_pairs_are_uniform(size):
    """Rows at two places, and places of two rows: their difference is as likely to be any. So is their exclusive or.

    Chi-square; false-alarm rate: RARE for each size, over all pairs looked at.
    """
    drawn, places = orders(size).astype(np.int64), np.argsort(orders(size), axis=1)
    half = 1 << ((size - 1).bit_length() - 1)  # the highest bit: the other half of a Feistel network
    pairs = [(0, 1), (0, size // 2), (5, 7), (0, half), (size - 2, size - 1)]
    lowest = 1.0
    for first, second in pairs:
        for table in (drawn, places):
            differences = np.bincount((table[:, first] - table[:, second]) % size, minlength=size)[1:]
            lowest = min(lowest, stats.chisquare(differences).pvalue)
            if size & (size - 1) == 0:
                exclusive = np.bincount(table[:, first] ^ table[:, second], minlength=size)[1:]
                lowest = min(lowest, stats.chisquare(exclusive).pvalue)
    assert lowest > RARE / (4 * len(pairs))


@pytest.mark.parametrize("size", SIZES)
def test_any_two_rows_meet_in_a_minibatch_as_often(size):
    """The number of meetings of each pair of rows is binomial. False-alarm rate: RARE for each size, over all pairs."""
    minibatch = np.argsort(orders(size), axis=1) // (size // MINIBATCHES)
    members = jnp.asarray(minibatch[:, :, None] == np.arange(MINIBATCHES), jnp.float32)
    meetings = np.asarray(jnp.einsum("kim,kjm->ij", members, members))[np.triu_indices(size, 1)]
    chance = (size // MINIBATCHES - 1) / (size - 1)
    tails = np.minimum(stats.binom.sf(meetings - 1, KEYS, chance), stats.binom.cdf(meetings, KEYS, chance))
    assert tails.min() > RARE / (2 * len(meetings))
