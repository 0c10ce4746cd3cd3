"""Functions that know nothing of JAX: batches, processes, and failures that name the sample."""

import gc
import math
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi
from logpi.distributions import Categorical

KEY = jax.random.key(0)


def square(x):
    """A function that a module defines, for worker processes."""
    return float(x) ** 2


def grumpy(x):
    """Fails on large numbers."""
    if x > 2:
        raise RuntimeError("too large")
    return float(x)


def normal(p):
    """N(m, 1)."""
    return dist.Normal(p["m"], 1.0)


def expectation(f, **settings):
    """E[f] under N(m, 1)."""
    return logpi.expectation(f, of=normal, **settings)


def test_it_equals_the_same_function_in_jax():
    ours = jax.grad(expectation(lambda x: x**2))({"m": 1.0}, KEY)["m"]
    for f in (logpi.host(square), logpi.host(lambda x: x**2, vectorized=True)):
        assert float(jax.grad(expectation(f))({"m": 1.0}, KEY)["m"]) == pytest.approx(float(ours), rel=1e-5)


def test_value_and_gradient_with_errors():
    """E x^2 = 2 and its derivative 2 at m = 1, within 4.5 standard errors."""
    e = logpi.estimate(expectation(logpi.host(square)), {"m": 1.0}, KEY, replicates=200)
    assert abs(e.value - 2) < 4.5 * e.value_error
    assert abs(e.gradient["m"] - 2) < 4.5 * e.gradient_error["m"]


def test_a_batch_is_one_call():
    batches = []

    def f(x):
        batches.append(x.shape)
        return x**2

    logpi.estimate(expectation(logpi.host(f, vectorized=True), samples=16), {"m": 1.0}, KEY, replicates=32)
    assert batches == [(16,)] * 32  # and no replicate for nothing


def test_events_of_any_structure():
    def f(x):
        assert x.shape == (3,)
        return float(np.sum(x))

    J = logpi.expectation(logpi.host(f), of=lambda p: dist.Normal(p, 1.0).to_event(1))
    e = logpi.estimate(J, np.ones(3, np.float32), KEY, replicates=100)
    assert np.all(np.abs(e.gradient - 1) < 4.5 * e.gradient_error)


def test_worker_processes_give_the_same():
    f = logpi.host(square, workers=2)
    try:
        alone = expectation(logpi.host(square))({"m": 1.0}, KEY)
        assert float(expectation(f)({"m": 1.0}, KEY)) == float(alone)
    finally:
        f.close()


@pytest.mark.parametrize(
    ("f", "sentence"),
    [
        (logpi.host(grumpy), r"f failed on sample \d+ of 64, x = .*2\.\d+.*: RuntimeError\('too large'\)"),
        (logpi.host(lambda x: x[0], vectorized=True), r"f returned shape \(\) for 64 events"),
        (logpi.host(lambda x: 1 / 0 if (x > 2).any() else x, vectorized=True), r"sample \d+ of 64, x = .*2\.\d+.*Zero"),
        (
            logpi.host(lambda x: np.where(x > 2, np.nan, x), vectorized=True),
            r"f returned nan for sample \d+ of 64",
        ),
        (logpi.host(lambda x: math.nan), r"f returned nan for sample \d+ of 64.*it must be finite: mend f there"),
        (logpi.host(lambda x: 1e300), r"f returned 1e\+300 for sample 0 .*no more than 3.4e\+38, as float32"),
        (logpi.host(lambda x: x * 1j, vectorized=True), "which are not real numbers: return an array of floats"),
        (logpi.host(lambda x: ["high"] * len(x), vectorized=True), "which are not real numbers"),
        (logpi.host(lambda x: [None] * len(x), vectorized=True), "which are not real numbers"),
        (logpi.host(lambda x: sys.exit(1)), r"f failed on sample 0 .*SystemExit\(1\)"),
        (logpi.host(lambda x: "a"), "which is not one number"),
        (logpi.host(lambda x: [1.0, 2.0]), "which is not one number"),
    ],
)
def test_failures_name_the_sample(f, sentence):
    with pytest.raises(logpi.InputError, match=sentence):
        logpi.estimate(expectation(f), {"m": 1.0}, KEY, replicates=32)


def test_a_failure_in_a_worker_names_the_sample():
    f = logpi.host(grumpy, workers=2)
    try:
        with pytest.raises(logpi.InputError, match=r"f failed on sample \d+ of 64.*too large"):
            logpi.estimate(expectation(f), {"m": 1.0}, KEY, replicates=32)
    finally:
        f.close()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: logpi.host(lambda x, params: x), "derivative of a host function in the parameters would be lost"),
        (lambda: logpi.host(square, workers=-1), "workers is -1"),
        (lambda: logpi.host(square, workers=2, vectorized=True), "exclude each other"),
        (lambda: logpi.host(lambda x: x, workers=2), "define it in a module"),
        (lambda: logpi.estimate(expectation(logpi.host(square), estimator=logpi.Pathwise()), {"m": 1.0}, KEY), "host"),
    ],
)
def test_bad_host_functions_are_refused(make, sentence):
    with pytest.raises(logpi.InputError, match=sentence):
        make()


def test_worker_processes_end_with_their_function():
    f = logpi.host(square, workers=1)
    pool = f._executor()
    pool.submit(abs, -1).result()
    (process,) = pool._processes.values()
    gone = weakref.ref(f)
    del f
    for _ in range(60):  # threads of the pool may still hold it for a moment
        gc.collect()
        process.join(1)
        if not process.is_alive():
            break
    assert gone() is None and not process.is_alive(), gc.get_referrers(gone())


def test_a_sum_over_a_function_that_draws_is_not_called_exact():
    """It is another one every time, though the estimator draws nothing."""
    noise = np.random.default_rng(0)
    for f, is_exact in ((lambda x: float(x), True), (lambda x: noise.normal(float(x)), False)):
        J = logpi.expectation(logpi.host(f), Categorical, 1, logpi.Enumerate())
        e = logpi.estimate(J, np.zeros(3, np.float32), KEY)
        assert (float(e.value_error) == 0 and e.converged) == is_exact


ORPHANS = """
import math, os, time
import jax.numpy as jnp
import logpi
if __name__ == "__main__":
    f = logpi.host(math.fabs, workers=2)
    pool = f._executor()
    print(*pool.map(id, range(2)) and [p for p in pool._processes], flush=True)
    time.sleep(60)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(ORPHANS)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert len(workers) == 2
    end = time.monotonic() + 30
    while any(map(runs, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(runs, workers))


def runs(pid):
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
