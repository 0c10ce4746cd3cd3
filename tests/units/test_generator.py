"""The generator written out: JAX's numbers, bit for bit, in every form that a key has."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.audit import program as audit_program
from logpi.distributions import Normal
from logpi.generator import fold_in, quick, split, STORED_FROM

KEYS = {
    "new": lambda: jax.random.key(3),
    "old": lambda: jax.random.PRNGKey(3),
    "all bits set": lambda: jax.random.wrap_key_data(jnp.full(2, 2**32 - 1, jnp.uint32)),
    "another generator": lambda: jax.random.key(3, impl="rbg"),
}
SHAPES = ((), (0,), (3,), (7, 331), (STORED_FROM - 1,), (STORED_FROM,), (100_003,))


def same(ours, theirs) -> None:
    """The same bits, in the same form."""
    assert ours.dtype == theirs.dtype
    if jnp.issubdtype(ours.dtype, jax.dtypes.prng_key):
        ours, theirs = jax.random.key_data(ours), jax.random.key_data(theirs)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", KEYS)
def test_keys_are_jax_s(kind):
    key = KEYS[kind]()
    for num in (1, 2, 5, (3, 4), 0):
        same(split(key, num), jax.random.split(key, num))
    for data in (0, 7, 2**32 - 1, jnp.int32(-5), jnp.uint32(9)):
        same(fold_in(key, data), jax.random.fold_in(key, data))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KEYS)
def test_numbers_are_jax_s(kind, shape):
    key = KEYS[kind]()
    for dtype in (jnp.uint8, jnp.uint16, jnp.uint32):
        same(jax.random.bits(quick(key), shape, dtype), jax.random.bits(key, shape, dtype))
    with jax.enable_x64(True):
        same(jax.random.bits(quick(key), shape, jnp.uint64), jax.random.bits(key, shape, jnp.uint64))


def test_numbers_are_jax_s_for_many_keys_at_once():
    keys = jax.random.split(jax.random.key(1), 6)

    def draws(prepared):
        return lambda key: (jax.random.bits(prepared(key), (2000,)), jax.random.permutation(prepared(key), 3000))

    ours, theirs = (jax.jit(jax.vmap(draws(prepared)))(keys) for prepared in (quick, lambda key: key))
    jax.tree.map(same, ours, theirs)


def test_jax_s_older_way_of_counting_is_kept():
    key = jax.random.key(3)
    with jax.threefry_partitionable(False):
        same(jax.random.bits(quick(key), (5000,)), jax.random.bits(key, (5000,)))
        same(split(key, 3), jax.random.split(key, 3))


@pytest.mark.parametrize("reused", [False, True])
def test_a_key_used_twice_is_still_seen(reused):
    """By JAX's check, which takes a key that is wrapped anew for another one."""

    def program(params, key):
        first, second = (key, key) if reused else split(key)
        return Normal(params, jnp.zeros(())).sample(first) * Normal(params, jnp.zeros(())).sample(second)

    report = audit_program(program, jnp.asarray(0.5), jax.random.key(0), exact=1.0, replicates=200, intervals=20)
    (check,) = [check for check in report.checks if "twice" in check.name]
    assert check.passed is not reused
