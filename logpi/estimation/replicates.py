"""The driver: runs a program again and again and keeps the mean and the spread of its value and gradient.

One compiled program for every number of replicates, in memory that does not grow with it. Replicate i has the key
`fold_in(key, i)`, so how many run side by side changes nothing.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ..distributions.threefry import fold_in
from ..errors import InputError
from ..jaxprs.compilation import KEPT
from ..jaxprs.exactness import exact_numbers
from ..parameters import widened
from ..statistics.moments import merged_sums, Moments
from .derivative_check import unchecked
from .programs import Facts, Pieces

LARGE = 40  # binary digits
NEVER = np.iinfo(np.int32).max  # the number of a replicate that there is not
SHARE = 2.0**-20  # of a gradient's numbers, whose sum is to stay finite
TAIL = 1024  # of the last replicates, two numbers are kept that show whether their tails are heavy


class RowMoments(NamedTuple):
    """Mean and summed squared deviation of rows `[value, gradient]`.

    Rows are measured from the first one, so that what never varies has a deviation of exactly 0. Mean and deviation are
    those of numbers times `unit`, a power of two that keeps the squares of very large or small ones in their 32 bits.
    """

    first: Float[Array, " row"]
    mean: Float[Array, " row"]
    deviation: Float[Array, " row"]
    unit: Any = 1.0  # Float[Array, " row"]

    def with_rows(self, rows: Float[Array, "n row"], start: Int[Array, ""], total: Int[Array, ""]) -> "RowMoments":
        """With the replicates from `start` on; those from `total` on are left out."""
        width = rows.shape[0]
        counts = (start + jnp.arange(width, dtype=jnp.int32) < total)[:, None]
        first = jnp.where(start == 0, rows[0], self.first)
        ends = jnp.minimum(start, total), jnp.minimum(start + width, total)
        # The difference first: beyond 2^24, 32-bit floats do not tell one whole number from the next.
        n_old, n, n_new = (x.astype(rows.dtype) for x in (*ends, ends[1] - ends[0]))
        size = jnp.maximum(jnp.max(rows, axis=0), -jnp.min(rows, axis=0))  # of their absolutes, XLA would make a copy
        unit = jnp.where(start == 0, _unit(size), self.unit)
        shifted = (rows - first[None]) * unit[None]
        mean_new = jnp.sum(jnp.where(counts, shifted, 0.0), axis=0) / n_new
        deviation_new = jnp.sum(jnp.where(counts, (shifted - mean_new[None]) ** 2, 0.0), axis=0)
        old, new = Moments(self.mean, self.deviation), Moments(mean_new, deviation_new)
        return RowMoments(first, *merged_sums(old, new, n_old, n_new, n), unit)


class Seen(NamedTuple):
    """What is noted of single replicates, of which so many run side by side: each place has its own numbers.

    A reduction in each step of the loop would take a small estimate longer than all else here.
    """

    sizes: Float[Array, "2 kept"]  # of the last replicates: the value, and the gradient's numbers in all
    bad: Int[Array, " side"]  # replicates with a number that is not finite
    first_bad: Int[Array, " side"]

    def with_rows(self, rows: Float[Array, "side row"], start: Int[Array, ""], total: Int[Array, ""]) -> "Seen":
        """With the replicates from `start` on; those from `total` on count for nothing."""
        # What is a share of them is finite where they all are. A slice of the rows would be put together by itself.
        share = jnp.where(jnp.arange(rows.shape[1]) > 0, SHARE, 0.0).astype(rows.dtype)
        value, gradient = rows[:, 0], jnp.abs(rows) @ share
        place = jnp.int32(0), (start % TAIL).astype(jnp.int32)
        index = start + jnp.arange(rows.shape[0], dtype=jnp.int32)
        bad = (index < total) & ~(jnp.isfinite(value) & jnp.isfinite(gradient))
        return Seen(
            jax.lax.dynamic_update_slice(self.sizes, jnp.stack([value, gradient]), place),
            self.bad + bad,
            jnp.minimum(self.first_bad, jnp.where(bad, index, NEVER)),
        )


def _unit(size: Float[Array, " row"]) -> Float[Array, " row"]:
    """One over the size of the rows, if that is beyond what may be squared without a thought."""
    is_far = (size > 2.0**LARGE) | ((size < 2.0**-LARGE) & (size > 0))
    kind = jnp.finfo(size.dtype)
    power = jax.lax.reduce_precision(jnp.minimum(size, kind.max / 4), kind.nexp, 0)  # without digits, of two
    return jnp.where(is_far, 1 / power, 1.0)


class Measured(NamedTuple):
    """What a run found."""

    value: Float[Array, ""]
    value_error: Float[Array, ""]
    gradient: PyTree  # as `Frame.shaped` gives it
    gradient_error: PyTree
    mean: Float[Array, " row"]  # of value and gradient
    deviation: Float[Array, " row"]  # of numbers times `unit`
    unit: Float[Array, " row"]
    sizes: Float[Array, "2 kept"]  # of the last replicates: the value, and the gradient's numbers in all
    replicates: int
    bad: int  # those with a number that is not finite
    first_bad: int
    known: bool  # every error is finite


def run(pieces: Pieces, key: PRNGKeyArray, replicates: int, facts: Facts) -> Measured:
    """The moments over `replicates` runs, finished when it returns. Raises `InputError` where JAX traces it."""
    if any(isinstance(x, Tracer) for x in (*pieces.floats, *pieces.arrays, key)):
        raise InputError(
            "an estimate was asked for inside of a function that JAX traces (by jit, vmap, grad or scan), where there "
            "are no numbers to tell of: ask outside of it, or call J(params, key) there, which can be traced."
        )
    with unchecked():
        found = _compiled(pieces.rest, facts)(*pieces[:2], key, np.int32(replicates))
    (value, gradient), (value_error, gradient_error), mean, deviation, unit, sizes, told = found
    bad, first_bad, known = np.asarray(told).tolist()
    pairs = value, value_error, gradient, gradient_error
    return Measured(*pairs, mean, deviation, unit, sizes, replicates, bad, first_bad, bool(known))


def with_exact(measured: Measured, pieces: Pieces, key: PRNGKeyArray) -> Measured:
    """The same, with an error of 0 for each number that is exact: it did not vary, for no draw reaches it."""
    errors, structure = jax.tree.flatten((measured.value_error, measured.gradient_error))
    errors, known = _without_exact(pieces.rest)(*pieces[:2], key, errors)
    value_error, gradient_error = structure.unflatten(errors)
    return measured._replace(value_error=value_error, gradient_error=gradient_error, known=bool(known))


@functools.lru_cache(maxsize=KEPT)
def _without_exact(rest) -> Callable[..., tuple[list[Float[Array, "..."]], Bool[Array, ""]]]:
    """Errors of a program's value and gradient, 0 for what is the same for every key; and whether all are finite.

    Nothing is compiled but once: a call takes as long as a small estimate's other half.
    """

    def row(floats, arrays, key):
        return jax.value_and_grad(lambda floats: jnp.asarray(Pieces(floats, arrays, rest).call(key)))(floats)

    def mended(floats, arrays, key, errors):
        with unchecked():
            traced = jax.make_jaxpr(row)(floats, arrays, key)
        inputs = [*floats, *arrays, key]
        exact = exact_numbers(traced, inputs, [*[False] * (len(inputs) - 1), True])
        errors = [jnp.where(jnp.isinf(e) & x.reshape(e.shape), 0.0, e) for e, x in zip(errors, exact, strict=True)]
        return errors, jnp.all(jnp.stack([jnp.all(jnp.isfinite(e)) for e in errors]))

    return jax.jit(mended)


def check_finite(measured: Measured, key: str = "key") -> None:
    """Raises `InputError` if a number came out that is not finite, naming the replicate."""
    if measured.bad:
        i = measured.first_bad
        raise InputError(
            f"the value or gradient is not finite in {measured.bad:,} of {measured.replicates:,} replicates, first in "
            f"{i}: look at J(params, jax.random.fold_in({key}, {i})), and keep f and the log-probabilities finite, "
            "also where an estimator moves the parameters (EvolutionStrategies, SPSA, FiniteDifferences). A Gamma or "
            "Beta of a concentration near 0 is drawn at its end, where no score is known; nor is one for probs of 0 or "
            "1."
        )


def _run(floats, arrays, key, replicates, rest, facts):
    """Value and gradient, their errors, means, deviations, and the last three of `Measured`."""

    def row(i):
        def call(floats):
            return jnp.asarray(Pieces(floats, arrays, rest).call(fold_in(key, i)))

        value, gradient = jax.value_and_grad(call)(floats)
        return jnp.concatenate([widened(value)[None], ravel_pytree(widened(gradient))[0]])

    moments, seen = _moments(row, replicates, facts.side_by_side)
    mean, error = _mean(moments), _errors(moments, replicates, floats, facts)
    flat, unravel = ravel_pytree(widened(floats))
    known = jnp.all(jnp.isfinite(error)).astype(jnp.int32)
    told = jnp.stack([jnp.sum(seen.bad), jnp.min(seen.first_bad), known])
    shaped = Pieces(floats, arrays, rest).shaped
    pairs = [(x[0], shaped(unravel(x[1:].astype(flat.dtype)))) for x in (mean, error)]
    return *pairs, mean, moments.deviation, moments.unit, seen.sizes, told


@functools.lru_cache(maxsize=KEPT)
def _compiled(rest, facts) -> Callable[..., Any]:
    """`_run` of one program, which is given back with its function: what `jax.jit` finds by its arguments, it keeps."""
    call = functools.partial(_run, rest=rest, facts=facts)
    # Equinox, which costs more for each call, raises in one sentence what happened on the host.
    return eqx.filter_jit(call) if facts.on_host else jax.jit(call)


def _moments(row: Callable[[Int[Array, ""]], Array], replicates: Int[Array, ""], width: int) -> tuple[RowMoments, Seen]:
    """Of the rows of so many replicates, of which `width` run side by side; and what is seen of single ones."""

    def chunk(j, carry):
        index = j * width + jnp.arange(width, dtype=jnp.int32)
        # A vmapped axis of length 1 would cost as much again.
        rows = row(index[0])[None] if width == 1 else jax.vmap(row)(index)
        moments, seen = (one.with_rows(rows, j * width, replicates) for one in carry)
        return moments, seen

    shape = jax.eval_shape(row, jnp.zeros((), jnp.int32))
    zeros, none = jnp.zeros(shape.shape, shape.dtype), jnp.zeros(width, jnp.int32)
    start = RowMoments(zeros, zeros, zeros, zeros), Seen(jnp.zeros((2, TAIL), shape.dtype), none, none + NEVER)
    return jax.lax.fori_loop(0, (replicates + width - 1) // width, chunk, start)


def _mean(moments: RowMoments) -> Float[Array, " row"]:
    return moments.first + moments.mean / moments.unit


def _errors(moments: RowMoments, replicates: Int[Array, ""], floats: list[Array], facts: Facts) -> Float[Array, " row"]:
    """The standard errors: infinite where nothing varied although it could, 0 for what the program does not use."""
    count = replicates.astype(moments.mean.dtype)  # in int32, its square would overflow
    spread = jnp.sqrt(moments.deviation / jnp.maximum(count * (count - 1), 1)) / moments.unit
    uses = [np.full(x.size, used) for x, used in zip(floats, facts.uses, strict=True)]
    # A rule of its own may give a function a derivative in what its value leaves out: then that is not 0.
    unknown = (np.concatenate([[True], *uses]) | (_mean(moments) != 0)) & (spread == 0)
    return jnp.where(unknown, jnp.inf, spread)
