"""Functions that know nothing of JAX: plain Python or NumPy, in this process or in several."""

import contextlib
import multiprocessing
import os
import threading
import weakref
from collections.abc import Callable, Generator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing.reduction import ForkingPickler
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PyTree

from ..derivatives import no_gradients
from ..errors import check_flag, check_whole, InputError, said, shown

LOST = (
    "a derivative of a host function was asked for, in what it was given, and it has none: give it the event alone, "
    "and write in JAX what depends on the parameters (or take jax.lax.stop_gradient of them)."
)

NUMBERS = "biuf"  # NumPy's letters for the kinds of types that are real numbers: truths, whole numbers, floats

# What failed inside of compiled programs, one list for each caller who asks afterwards. Which caller's program calls
# back cannot be told, so a failure goes to all of them: in several threads, one may be told of another's.
_collectors: list[list[InputError]] = []
_lock = threading.Lock()


class HostFunction:
    """A Python function of one event (or of many) that compiled programs call. Made by `logpi.host`."""

    def __init__(self, f: Callable[..., Any], vectorized: bool, workers: int):
        self.f = f
        self.vectorized = vectorized
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, x: PyTree[Array]) -> Float[Array, ""]:
        """f(x); `InputError` where a derivative in x is taken: it has none.

        Under `jax.vmap` the whole batch is one call from the device.
        """
        floats = [leaf for leaf in jax.tree.leaves(x) if eqx.is_inexact_array(leaf)]
        x, wrong = jax.tree.map(stop_gradient, x), no_gradients(floats, LOST)
        ranks = jax.tree.map(jnp.ndim, x)
        dtype = _value_type(x)

        def evaluate(x):
            leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, x))
            batch = leaves[0].shape[: leaves[0].ndim - jax.tree.leaves(ranks)[0]]
            pairs = zip(leaves, jax.tree.leaves(ranks), strict=True)
            rows = [leaf.reshape(-1, *leaf.shape[leaf.ndim - rank :]) for leaf, rank in pairs]
            if any(_collectors):
                return np.full(batch, np.nan, dtype)
            try:
                values = self._values(jax.tree.unflatten(structure, rows), rows[0].shape[0], dtype)
            except InputError as failure:
                with _lock:
                    for failures in _collectors:
                        failures.append(failure)
                if not _collectors:
                    raise
                return np.full(batch, np.nan, dtype)
            return values.reshape(batch)

        result = jax.ShapeDtypeStruct((), dtype)
        value = stop_gradient(jax.pure_callback(evaluate, result, x, vmap_method="broadcast_all"))
        return value + wrong.astype(dtype)

    def _values(self, rows: PyTree[np.ndarray], count: int, dtype: Any) -> np.ndarray:
        events = [jax.tree.map(lambda x, i=i: x[i], rows) for i in range(count)]
        found = self._vectorized(rows, events) if self.vectorized else self._one_by_one(events)
        with np.errstate(over="ignore"):  # it is told in a sentence
            values = np.asarray(found, dtype)
        for i in np.flatnonzero(~np.isfinite(values))[:1]:
            limit = "finite: mend f there"
            if np.isfinite(found[i]):
                limit = f"no more than {np.finfo(dtype).max:.2g}, as {values.dtype}: divide f by a constant"
            raise InputError(
                f"f returned {found[i]} for sample {i} of {count}, x = {shown(events[i], 120)}, but it must be {limit}."
            )
        return values

    def _one_by_one(self, events: list[Any]) -> list[float]:
        answers = self._by_workers(events) if self.workers else [_call(self.f, event) for event in events]
        for i, (_, failure) in enumerate(answers):
            if failure is not None:
                raise InputError(f"f failed on sample {i} of {len(events)}, x = {shown(events[i], 120)}: {failure}")
        return [value for value, _ in answers]

    def _by_workers(self, events: list[Any]) -> list[tuple[float, str | None]]:
        chunk = max(1, len(events) // (4 * self.workers))
        try:
            return list(self._executor().map(_call_in_worker, events, chunksize=chunk))
        except BrokenExecutor as error:
            self.close()
            raise InputError(
                f"a worker process of f ended without an answer ({said(error)}): put what a script does under "
                "`if __name__ == '__main__':`, which each worker would do again; or see why with workers=0."
            ) from None

    def _vectorized(self, rows: PyTree[np.ndarray], events: list[Any]) -> np.ndarray:
        try:
            values = np.asarray(self.f(rows))
        except (Exception, SystemExit) as error:
            raise InputError(
                self._name_culprit(events) or f"f failed on a batch of {len(events)}: {error!r}"
            ) from error
        if values.shape != (len(events),):
            raise InputError(
                f"f returned shape {values.shape} for {len(events)} events, but a vectorized f must return one number "
                "for each: return an array of that length, or leave vectorized=True out."
            )
        if values.dtype.kind not in NUMBERS:
            raise InputError(
                f"f returned {shown(values, 120)}, which are not real numbers: return an array of floats, one for each "
                "event."
            )
        return values

    def _name_culprit(self, events: list[Any]) -> str | None:
        """Which event alone makes a vectorized f fail."""
        for i, event in enumerate(events):
            try:
                self.f(jax.tree.map(lambda x: x[None], event))
            except (Exception, SystemExit) as error:
                return f"f failed on sample {i} of {len(events)}, x = {shown(event, 120)}: {error!r}"
        return None

    def _executor(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Spawned, not forked: JAX has threads, and a fork of them may hang.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, context, initializer=_install, initargs=(self.f,))
            # When this object goes, or Python ends, so do its processes.
            weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
        return self._pool

    def close(self) -> None:
        """Ends the worker processes; the next call starts new ones."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def host(f: Callable[..., Any], *, vectorized: bool = False, workers: int = 0) -> HostFunction:
    """Makes any Python function of an event one that `logpi.expectation` can take.

    f is called with NumPy arrays, for one event at a time; with `vectorized=True` once for a batch of them along a
    first axis. `workers` processes share the events of a batch; f must then be defined in a module. They end with the
    function, which compiled programs may hold for long, or at its `close()`. A failure,
    or a value that is no finite number, names the sample that caused it. Its value has no derivative, so f(x, params)
    is refused: there the derivative in the parameters would be lost. A sum over all events asks twice, for f may draw
    by itself.
    """
    from ..estimators.problem import takes_parameters

    if not callable(f):
        raise InputError(f"f is {shown(f)}, but it must be a function of an event: give one.")
    vectorized = check_flag("vectorized", vectorized)
    workers = check_whole("workers", workers, 0, 4096)
    if vectorized and workers:
        raise InputError(
            "vectorized=True and workers exclude each other: a vectorized f sees the whole batch. Give one."
        )
    if takes_parameters(f):
        raise InputError(
            "f takes (x, params), but the derivative of a host function in the parameters would be lost: give f(x), "
            "and write what depends on the parameters in JAX."
        )
    if workers:
        try:
            ForkingPickler.dumps(f)
        except Exception as error:
            raise InputError(
                f"f cannot be sent to worker processes ({said(error)}): define it in a module, or leave workers out."
            ) from None
    return HostFunction(f, vectorized, workers)


@contextlib.contextmanager
def host_failures() -> Generator[list[InputError]]:
    """Collects failures of host functions instead of raising them, which JAX would log with a traceback.

    After the first one f is not called any more, and its values are NaN. Raise what is collected.
    """
    mine: list[InputError] = []
    with _lock:
        _collectors.append(mine)
    try:
        yield mine
    finally:
        with _lock:
            _collectors[:] = [other for other in _collectors if other is not mine]


def _value_type(x: PyTree[Array]) -> Any:
    """The type of f's values: that of the event's floats, at least of 32 bits; JAX's own for an event without any."""
    floats = [leaf for leaf in jax.tree.leaves(x) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.result_type(jnp.float32, *floats) if floats else jnp.result_type(float)


def _call(f: Callable[..., Any], event: PyTree) -> tuple[float, str | None]:
    """The value, or what went wrong."""
    try:
        value = np.asarray(f(event))
    except (Exception, SystemExit) as error:
        return 0.0, repr(error)
    if value.shape != () or value.dtype.kind not in NUMBERS:
        return 0.0, f"it returned {shown(value, 120)}, which is not one number"
    return float(value), None


_worker_function: Any = None


def _install(f: Callable[..., Any]) -> None:
    global _worker_function
    _worker_function = f
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this worker where its parent was killed, and could not say that no more is to come."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call_in_worker(event: PyTree) -> tuple[float, str | None]:
    return _call(_worker_function, event)
