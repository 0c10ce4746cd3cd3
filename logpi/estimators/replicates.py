"""The driver: runs a program again and again and keeps the mean and the spread of its value and gradient.

One compiled program for every number of replicates, in memory that does not grow with it. Replicate i has the key
`fold_in(key, i)`, so how many run side by side changes nothing.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ..errors import InputError, shown
from .parameters import widened
from .problem import takes
from .tracing import calls_host, kept, reaches, room

Program = Callable[[PyTree, PRNGKeyArray], Float[Array, ""]]
FEWEST = 32  # replicates: with 32, an error is itself known to 13 %
ENOUGH = 128  # replicates whose mean is close enough to normal for an interval, however skewed each of them is
# Elements of the largest operation, over all replicates that run side by side. So few fit the cache; as many as FEWEST
# replicates need are still quicker in one go than one after the other, up to where they take megabytes.
FEW_ELEMENTS, MOST_ELEMENTS = 2**15, 2**19
MOST_KEPT = 2**25  # elements of one operation that the loops of all of them keep for their derivatives: 128 MiB


class Moments(eqx.Module):
    """Count, mean and summed squared deviation of rows `[value, gradient]`: Welford's, merged as Chan et al. 1983.

    Rows are measured from the first one, so that what never varies has a deviation of exactly 0.
    """

    count: Int[Array, ""]
    first: Float[Array, " row"]
    mean: Float[Array, " row"]
    deviation: Float[Array, " row"]
    bad: Int[Array, ""]  # rows with a number that is not finite
    first_bad: Int[Array, ""]

    def with_rows(self, rows: Float[Array, "n row"], index: Int[Array, " n"], total: Int[Array, ""]) -> "Moments":
        """With more replicates; those from `total` on are left out."""
        counts = index < total
        first = jnp.where(self.count == 0, rows[0], self.first)
        finite = jnp.all(jnp.isfinite(rows), axis=1)
        bad = counts & ~finite
        n_old, n_new = self.count.astype(rows.dtype), jnp.sum(counts).astype(rows.dtype)
        shifted = rows - first[None]
        mean_new = jnp.sum(jnp.where(counts[:, None], shifted, 0.0), axis=0) / n_new
        deviation_new = jnp.sum(jnp.where(counts[:, None], (shifted - mean_new[None]) ** 2, 0.0), axis=0)
        step = mean_new - self.mean
        n = n_old + n_new
        return Moments(
            self.count + jnp.sum(counts).astype(self.count.dtype),
            first,
            self.mean + step * (n_new / n),
            self.deviation + deviation_new + step**2 * (n_old * n_new / n),
            self.bad + jnp.sum(bad).astype(self.bad.dtype),
            jnp.minimum(self.first_bad, jnp.min(jnp.where(bad, index, self.first_bad))),
        )


class Facts(eqx.Module):
    """What a program tells of itself before it runs."""

    side_by_side: int = eqx.field(static=True)  # how many replicates run at once
    uses: tuple[bool, ...] = eqx.field(static=True)  # for each leaf of the parameters, whether it matters
    draws: bool = eqx.field(static=True)  # whether the key matters
    on_host: bool = eqx.field(static=True)  # whether Python is called, which may draw by itself


class Measured(eqx.Module):
    """The moments of a run, and what they say in the structure of the parameters."""

    moments: Moments
    value: Float[Array, ""]
    value_error: Float[Array, ""]
    gradient: PyTree
    gradient_error: PyTree
    known: Bool[Array, ""]  # every error is finite


def run(
    program: Program, dynamic: PyTree, static: PyTree, key: PRNGKeyArray, replicates: int, facts: Facts
) -> Measured:
    """The moments over `replicates` runs, finished when it returns."""
    count = jnp.asarray(np.int32(replicates))
    return jax.block_until_ready(_run(program, dynamic, static, key, count, facts))


def check_finite(moments: Moments, key: str = "key") -> None:
    """Raises `InputError` if a number came out that is not finite, naming the replicate."""
    if bad := int(moments.bad):
        i = int(moments.first_bad)
        raise InputError(
            f"the value or gradient is not finite in {bad:,} of {int(moments.count):,} replicates, first in {i}: look "
            f"at J(params, jax.random.fold_in({key}, {i})), and keep f and the log-probabilities finite (a Gamma or "
            "Beta of a concentration near 0 is drawn at its end, where no score is known; nor is one for probs of 0 "
            "or 1)."
        )


@eqx.filter_jit
def _run(program, dynamic, static, key, replicates, facts) -> Measured:
    width = facts.side_by_side

    def row(i):
        def call(dynamic):
            return program(eqx.combine(dynamic, static), jax.random.fold_in(key, i))

        value, gradient = jax.value_and_grad(call)(dynamic)
        return jnp.concatenate([widened(value)[None], ravel_pytree(widened(gradient))[0]])

    def chunk(j, moments):
        index = (j * width + jnp.arange(width)).astype(jnp.int32)
        # A vmapped axis of length 1 would cost as much again.
        rows = row(index[0])[None] if width == 1 else jax.vmap(row)(index)
        return moments.with_rows(rows, index, replicates)

    shape = jax.eval_shape(row, jnp.zeros((), jnp.int32))
    zeros, none = jnp.zeros(shape.shape, shape.dtype), jnp.zeros((), jnp.int32)
    start = Moments(none, zeros, zeros, zeros, none, jnp.asarray(jnp.iinfo(jnp.int32).max, jnp.int32))
    moments = jax.lax.fori_loop(0, (replicates + width - 1) // width, chunk, start)
    return _measured(moments, dynamic, facts)


def _measured(moments: Moments, dynamic: PyTree, facts: Facts) -> Measured:
    """The standard errors: infinite where nothing varied although it could, 0 for what the program does not use."""
    (flat, unravel), leaves = ravel_pytree(widened(dynamic)), jax.tree.leaves(dynamic)
    mean = moments.first + moments.mean
    count = moments.count.astype(mean.dtype)  # in int32, its square would overflow
    spread = jnp.sqrt(moments.deviation / jnp.maximum(count * (count - 1), 1))
    uses = [np.full(leaf.size, used) for leaf, used in zip(leaves, facts.uses, strict=True)]
    # A rule of its own may give a function a derivative in what its value leaves out: then that is not 0.
    unknown = (np.concatenate([[True], *uses]) | (mean != 0)) & (spread == 0)
    error = jnp.where(unknown, jnp.inf, spread)
    known = jnp.all(jnp.isfinite(error))
    gradient, gradient_error = (unravel(x[1:].astype(flat.dtype)) for x in (mean, error))
    return Measured(moments, mean[0], error[0], gradient, gradient_error, known)


@eqx.filter_jit
def facts(program: Program, dynamic: PyTree, static: PyTree, key: PRNGKeyArray) -> Facts:
    """Traces a program, once for each structure of its arguments: jitted not for its speed, but for the cache."""
    check_program(program)

    def call(dynamic, key):
        return program(eqx.combine(dynamic, static), key)

    uses = reaches(lambda dynamic: call(dynamic, key), dynamic)
    draws = reaches(lambda key: call(dynamic, key), key, stopped=True)
    traced = jax.make_jaxpr(call)(dynamic, key)
    return Facts(_width(traced, dynamic), tuple(jax.tree.leaves(uses)), draws, calls_host(traced.jaxpr))


def check_program(program: Any) -> None:
    """Raises `InputError` for what cannot be called as `(params, key)`."""
    if not callable(program):
        raise InputError(
            f"J is {shown(program)}, but it must be a logpi.expectation or a program (params, key) -> scalar: give one."
        )
    if not takes(program, 2):
        raise InputError("J cannot be called as J(params, key): give a program of these two.")


def check_hashable(program: Any, params: PyTree) -> None:
    """Raises `InputError` for what is neither an array nor has a hash, by which compiled programs are found again."""
    for leaf in jax.tree.leaves((program, params)):
        try:
            _ = None if isinstance(leaf, (jax.Array, np.ndarray)) else hash(leaf)
        except TypeError:
            raise InputError(
                f"{shown(leaf)} has no hash, by which its compiled program could be found again: give what has one, as "
                "a dataclass made with eq=False, or a tuple in place of a set."
            ) from None


def _width(traced: ClosedJaxpr, dynamic: PyTree) -> int:
    """How many replicates run side by side: a power of two, by the room one takes; 1 if it calls the host.

    The last group may run for nothing in part, which a host function, with its own cost, must not.
    """
    check_scalar(traced)
    if calls_host(traced.jaxpr):
        return 1
    size = max(room(traced.jaxpr), 1 + sum(leaf.size for leaf in jax.tree.leaves(dynamic)))
    # No more than an estimate has unless it is asked for more, so that none runs for nothing.
    width = min(ENOUGH, max(FEW_ELEMENTS // size, min(FEWEST, MOST_ELEMENTS // size)))
    width = min(width, MOST_KEPT // kept(traced.jaxpr))
    return 2 ** max(0, width.bit_length() - 1)


def check_scalar(traced: ClosedJaxpr) -> None:
    """Raises `InputError` unless a traced program gives one real number."""
    shapes = [aval.shape for aval in traced.out_avals]
    if shapes != [()] or not jnp.issubdtype(traced.out_avals[0].dtype, jnp.floating):
        raise InputError(
            f"the program returned shapes {shapes}, but it must return one floating-point number: take a mean."
        )
