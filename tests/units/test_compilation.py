"""Compiled programs of users' functions: found again, and let go of when there are too many."""

import gc
import subprocess
import sys
import weakref

import jax.numpy as jnp
import pytest

from logpi.jaxprs.compilation import bounded_jit, KEPT

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
