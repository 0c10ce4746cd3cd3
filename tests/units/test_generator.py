"""The generator written out: JAX's numbers, bit for bit, in every form that a key has."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import numpyro.distributions
import pytest

from logpi.audit import program as audit_program
from logpi.distributions import FromNumpyro, Normal
from logpi.distributions.threefry import fast_key, fold_in, split, STORED_FROM

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
        same(jax.random.bits(fast_key(key), shape, dtype), jax.random.bits(key, shape, dtype))
    with jax.enable_x64(True):
        same(jax.random.bits(fast_key(key), shape, jnp.uint64), jax.random.bits(key, shape, jnp.uint64))


def test_numbers_are_jax_s_for_many_keys_at_once():
    keys = jax.random.split(jax.random.key(1), 6)

    def draws(prepared):
        return lambda key: (jax.random.bits(prepared(key), (2000,)), jax.random.permutation(prepared(key), 3000))

    ours, theirs = (jax.jit(jax.vmap(draws(prepared)))(keys) for prepared in (fast_key, lambda key: key))
    jax.tree.map(same, ours, theirs)


def test_jax_s_older_way_of_counting_is_kept():
    key = jax.random.key(3)
    with jax.threefry_partitionable(False):
        same(jax.random.bits(fast_key(key), (5000,)), jax.random.bits(key, (5000,)))
        same(split(key, 3), jax.random.split(key, 3))


@pytest.mark.parametrize("size", [1, STORED_FROM])
@pytest.mark.parametrize("reused", [False, True])
def test_a_key_used_twice_is_still_seen(reused, size):
    """By JAX's check, which takes a key that is wrapped anew for another one, and a loop for many uses."""

    def program(params, key):
        first, second = (key, key) if reused else split(key)
        dist = Normal(params * jnp.ones(size), jnp.zeros(size))
        return jnp.mean(dist.sample(first) * dist.sample(second))

    report = audit_program(program, jnp.asarray(0.5), jax.random.key(0), exact=1.0, replicates=200, intervals=20)
    (check,) = [check for check in report.checks if "twice" in check.name]
    assert check.passed is not reused


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other devices have generators of their own")
def test_it_is_written_out_on_a_cpu_and_put_into_memory():
    """No loop over rounds is left, and a branch keeps large draws from being worked out anew by all that uses them."""
    key = jax.random.key(3)
    assert fast_key(key).dtype != key.dtype

    def compiled(draw, size):
        return jax.jit(lambda key: jnp.mean(jax.random.uniform(draw(key), (size,)))).lower(key).compile().as_text()

    assert "while(" in compiled(lambda key: key, 100)
    assert "while(" not in compiled(fast_key, 100)
    assert "conditional(" in compiled(fast_key, STORED_FROM)


def test_draws_outside_of_jit_are_compiled_once():
    """Each of them compiled anew, and the memory maps of the programs were never given back."""
    key, dist = jax.random.key(3), Normal(jnp.zeros(STORED_FROM), jnp.zeros(STORED_FROM))
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _, **__: compiled.append(event) if "backend_compile" in event else None
    )

    def draw():
        return dist.sample(key), split(key), fold_in(key, 1)

    draw()
    assert compiled
    compiled.clear()
    draw()
    assert not compiled


def test_inside_of_shard_map():
    mesh = jax.make_mesh((1,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("i")

    def draw(data):
        return Normal(jnp.zeros(()), jnp.zeros(())).sample(jax.random.wrap_key_data(data[0]), (STORED_FROM,))[None]

    drawn = jax.jit(jax.shard_map(draw, mesh=mesh, in_specs=spec, out_specs=spec))(jnp.zeros((1, 2), jnp.uint32))
    same(drawn[0], jax.random.normal(jax.random.wrap_key_data(jnp.zeros(2, jnp.uint32)), (STORED_FROM,)))


def test_with_a_size_that_only_has_a_name(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it takes a name for no size
    (size,) = jax.export.symbolic_shape("n")
    exported = jax.export.export(jax.jit(lambda x: Normal(x, x).sample(jax.random.key(3))))
    assert exported(jax.ShapeDtypeStruct((size,), jnp.float32)).call(jnp.zeros(5)).shape == (5,)


def test_a_distribution_of_a_user_s_own_is_given_the_key_itself():
    seen = []

    class Own(numpyro.distributions.Normal):
        def sample(self, key, sample_shape=()):
            seen.append(key.dtype)
            return super().sample(key, sample_shape)

    key = jax.random.key(3)
    FromNumpyro(Own(0.0, 1.0)).sample(key)
    assert seen == [key.dtype]
