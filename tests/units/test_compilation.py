"""Compiled programs of users' functions: found again, and let go of when there are too many."""

import gc
import subprocess
import sys
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.jaxprs.compilation import as_in_a_new_process, bounded_jit, compiler_options, KEPT, specialised

traces = []


@bounded_jit
def applied(function, x, *, shift=0):
    traces.append(function)
    return function(x) + shift


def test_the_same_function_is_traced_once() -> None:
    def double(x):
        return 2 * x

    traces.clear()
    found = [float(applied(double, jnp.asarray(x))) for x in (1.0, 2.0, 3.0)]
    assert found == [2.0, 4.0, 6.0] and traces == [double]


def test_what_is_equal_but_of_another_type_is_another_program() -> None:
    assert applied(jnp.negative, jnp.asarray(1.0), shift=True).dtype == jnp.float32
    assert applied(lambda x: jnp.asarray(1), jnp.asarray(1.0), shift=1).dtype == jnp.int32
    assert applied(lambda x: jnp.asarray(1), jnp.asarray(1.0), shift=1.0).dtype == jnp.float32


def test_functions_that_are_gone_are_let_go_of() -> None:
    seen = []
    for i in range(KEPT + 20):
        function = eval(f"lambda x: x + {i}")
        assert float(applied(function, jnp.asarray(1.0))) == 1 + i
        seen.append(weakref.ref(function))
    traces.clear()
    del function
    gc.collect()
    assert sum(ref() is not None for ref in seen) <= KEPT


def test_what_has_no_hash_is_told() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        applied(jnp.negative, jnp.asarray(1.0), shift={1})


def scaled(static, x):
    traces.append(static)
    return static["by"] * x


def test_equal_parts_that_are_no_arrays_give_one_program() -> None:
    """Until it is asked to begin anew; of another type they are another one, and without a hash each is its own."""
    traces.clear()
    for by in (2, 2, 2.0, [2], [2]):
        static = {"by": by} if isinstance(by, int | float) else {"by": jnp.int32(2), "beside": np.array(by)}
        assert float(specialised(scaled, static, 0)(jnp.asarray(3))) == 6
    assert len(traces) == 4
    as_in_a_new_process()
    assert float(specialised(scaled, {"by": 2}, 0)(jnp.asarray(3))) == 6 and len(traces) == 5


FRESH = """
import gc, weakref
import jax
import jax.numpy as jnp
import logpi
from logpi.distributions import Normal
from logpi.estimation import programs, replicates

seen = []
for i in range(3):
    J = logpi.expectation(eval(f"lambda x: x + {i}"), lambda p: Normal(p["mean"], jnp.zeros(())), 2)
    logpi.estimate(J, {"mean": 0.5}, jax.random.key(0), replicates=32)
    seen.append(weakref.ref(J.problem.f))
del J
kept = replicates._compiled.cache_info()
for cache in (replicates._compiled, programs._facts):
    cache.cache_clear()
gc.collect()
print(kept.currsize, kept.maxsize, sum(ref() is not None for ref in seen))
"""


def test_estimates_of_fresh_functions_let_go_of_them() -> None:
    """In a process of its own, where nothing checks types: what does holds functions too."""
    found = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["3", str(KEPT), "0"]


def convolved(x):
    kernels = jnp.linspace(-1.0, 1.0, 2 * 2 * 3 * 4).reshape(2, 2, 3, 4)
    return jax.lax.conv_general_dilated(x, kernels, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def test_only_what_convolves_is_compiled_in_another_way_and_gives_the_same() -> None:
    """Wherever in it: the options of XLA are experimental, so that what they compute is looked at."""

    def looped(x):
        return jax.lax.map(lambda one: convolved(one) @ jnp.ones((4, 2)), x)

    x = jnp.sin(jnp.arange(2 * 3 * 5 * 6 * 3.0)).reshape(2, 3, 5, 6, 3)
    assert compiler_options(jax.make_jaxpr(lambda x: jnp.sin(x) @ x.swapaxes(-1, -2))(x)) == {}
    traced = jax.jit(looped).trace(x)
    options = compiler_options(traced.jaxpr)
    assert options, "this version of XLA does not know the options for convolutions"
    found = traced.lower().compile(options)(x)
    np.testing.assert_allclose(found, traced.lower().compile()(x), rtol=1e-5, atol=1e-5)
