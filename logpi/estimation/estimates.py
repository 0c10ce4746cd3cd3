"""Value and gradient of an expectation with their standard errors: from a number of samples, or to a precision."""

import dataclasses
import functools
import math
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..distributions.threefry import fold_in
from ..errors import check_between, check_whole, InputError
from ..parameters import check_key
from ..statistics.tails import heavy_tail
from .expectations import checked_facts, Expectation, raise_broken_limit
from .host_functions import host_failures
from .programs import differentiated, ENOUGH, Facts, FEWEST, Pieces, Program
from .replicates import check_finite, Measured, run, with_exact

MOST = 2**30  # replicates: they are counted in 32 bits
MOST_NAMED = 3  # entries, in a sentence on why it has not converged
MARGIN = 1.2  # more replicates than the pilot asks for, since its own error is known so well only


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """An expectation and its gradient, each number with its standard error.

    An error is infinite where nothing varied although it could: then nothing is known of it. It is 0 only where the
    number is exact: under enumeration (of a function on the host, if it answers the same twice), or for a parameter
    that the program does not use.
    """

    value: Float[Array, ""]
    value_error: Float[Array, ""]
    # In the structure of the parameters, in 32 bits at least, with `None` for leaves that are not floats. A list of the
    # floats' where that holds no numbers but its own kind of parameters.
    gradient: PyTree
    gradient_error: PyTree
    samples: int  # evaluated for this result (those of pilots come on top)
    replicates: int = dataclasses.field(metadata={"static": True})
    # The precision asked for was reached; without one: every error is known.
    converged: bool = dataclasses.field(metadata={"static": True})
    reason: str = dataclasses.field(default="", metadata={"static": True})  # why it has not converged

    def value_interval(self, confidence: float = 0.95) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Low and high bound for the value, by Student's t."""
        half = self._quantile(confidence) * self.value_error
        return self.value - half, self.value + half

    def gradient_interval(self, confidence: float = 0.95) -> tuple[PyTree, PyTree]:
        """Low and high bound for each number of the gradient, by Student's t; each for itself."""
        t = self._quantile(confidence)
        low = jax.tree.map(lambda g, e: g - t * e, self.gradient, self.gradient_error)
        return low, jax.tree.map(lambda g, e: g + t * e, self.gradient, self.gradient_error)

    def _quantile(self, confidence: float) -> float:
        from scipy.special import stdtrit

        confidence = check_between("confidence", confidence, 0, 1)
        return float(stdtrit(max(self.replicates - 1, 1), 0.5 + confidence / 2))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Estimate) and bool(eqx.tree_equal(self, other))

    def __repr__(self) -> str:
        """In words; of numbers that are traced, or of several estimates at once, what they are made of."""
        numbers = jax.tree.leaves((self.value, self.value_error, self.gradient, self.gradient_error))
        traced = any(isinstance(x, Tracer) or not isinstance(x, jax.Array | np.ndarray | np.generic) for x in numbers)
        return eqx.tree_pformat(self) if traced or np.ndim(self.value) else self._in_words()

    def _in_words(self) -> str:
        gradient, error = (np.asarray(ravel_pytree(tree)[0]) for tree in (self.gradient, self.gradient_error))
        shown = "  ".join(f"{g:.4g} ± {e:.2g}" for g, e in zip(gradient[:8], error[:8], strict=True))
        more = f"  ... {gradient.size:,} in all, norm {np.linalg.norm(gradient):.4g}" if gradient.size > 8 else ""
        state = "converged" if self.converged else f"not converged: {self.reason}"
        return (
            f"value     {self.value:.6g} ± {self.value_error:.2g}\ngradient  {shown}{more}\n"
            f"{self.samples:,} samples in {self.replicates:,} replicates, {state}"
        )


def estimate(
    J: Program,
    params: PyTree,
    key: PRNGKeyArray,
    *,
    replicates: int | None = None,
    samples: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    max_samples: int = 1_000_000,
) -> Estimate:
    """Value and gradient of an expectation at `params`, each number with its standard error.

    `J` is a `logpi.expectation`, or any program `(params, key) -> scalar` that is unbiased in value and derivative. Ask
    for `replicates` (independent calls of J; 128 unless said), for `samples` (events in all), or for a precision: the
    norm of the gradient's errors at most `atol + rtol * (norm of the gradient)`. For a precision, pilots plan a fresh
    run and are thrown away, so that the result is not chosen by its own error; where `max_samples` do not reach it,
    `converged` is False. Raises `InputError` for bad input, and for numbers that are not finite.
    """
    size = J.samples if isinstance(J, Expectation) else 1
    pieces, key = Pieces.of(J, params), check_key(key)
    replicates = check_whole("replicates", replicates, 0, math.inf, optional=True)
    samples = check_whole("samples", samples, 0, math.inf, optional=True)
    max_samples = check_whole("max_samples", max_samples, 0, math.inf)
    rtol, atol = (check_between(n, x, 0, optional=True) for n, x in (("rtol", rtol), ("atol", atol)))
    precise = rtol is not None or atol is not None
    _check_asked(replicates, samples, precise)
    known = checked_facts(J, pieces, key)
    measure = functools.partial(_measured, (J, params), pieces, known)
    # An estimator that makes no use of the key sums instead of drawing. Of any program this may be a mistake.
    if isinstance(J, Expectation) and not known.draws:
        once = measure(key, 1)
        # A function on the host may draw by itself: then a second look is another one.
        if not known.on_host or np.array_equal(once.mean, measure(key, 1).mean):
            return _exact(_result(once, "", size))
    if precise:
        measured, reason = _to_precision(measure, key, rtol or 0.0, atol or 0.0, _most(max_samples, size))
    else:
        measured = measure(key, _count(replicates, samples, size))
        reason = _unknown(measured)
    return _result(measured, reason or heavy_tail(np.asarray(measured.sizes), measured.replicates), size)


def _measured(
    asked: tuple[Program, PyTree], pieces: Pieces, known: Facts, key: PRNGKeyArray, count: int, name: str = "key"
) -> Measured:
    """One run of `count` replicates; raises what went wrong in it."""
    with host_failures() as failures, differentiated():
        measured = run(pieces, key, count, known)
    if failures:
        raise failures[0]
    try:
        check_finite(measured, name)
    except InputError:
        raise_broken_limit(*asked)
        raise
    # Where f is said to be continuous although it compares, what no draw reaches may be a jump that nobody sees.
    is_unseen = not measured.known and known.draws and not known.jumps and not known.on_host
    return with_exact(measured, pieces, key) if is_unseen else measured


def _check_asked(replicates: int | None, samples: int | None, precise: bool) -> None:
    """Raises `InputError` unless at most one thing was asked for."""
    given = {"replicates": replicates is not None, "samples": samples is not None, "rtol or atol": precise}
    asked = [name for name, is_given in given.items() if is_given]
    if len(asked) > 1:
        raise InputError(f"{' and '.join(asked)} were given, but each settles the number of samples: give one of them.")


def _count(replicates: int | None, samples: int | None, size: int) -> int:
    """How many replicates were asked for; `InputError` if these are too few for an error."""
    count = ENOUGH if replicates is None and samples is None else replicates if samples is None else samples // size
    if count is None or count < FEWEST:
        what = f"replicates is {replicates}" if samples is None else f"samples is {samples}, which is {count} of {size}"
        raise InputError(
            f"{what}, but an error takes at least {FEWEST} replicates: give replicates={FEWEST}, samples="
            f"{FEWEST * size:,}, or an expectation with fewer samples in each."
        )
    if count > MOST:
        raise InputError(
            f"{count:,} replicates were asked for, but they are counted in 32 bits: give {MOST:,} or fewer, or an "
            "expectation with more samples in each."
        )
    return count


def _most(max_samples: int, size: int) -> int:
    """How many replicates may be run for a precision."""
    most = min(max_samples // size, MOST)
    if most < FEWEST:
        raise InputError(
            f"max_samples is {max_samples:,}, but an error takes at least {FEWEST} replicates of {size} samples: "
            f"give {FEWEST * size:,} or more."
        )
    return most


def _to_precision(measure, key: PRNGKeyArray, rtol: float, atol: float, most: int) -> tuple[Measured, str]:
    """A run with every error known and their norm at most `atol + rtol * norm`, or why it did not come to that."""
    if not rtol and not atol:
        raise InputError(
            "rtol and atol are both 0, which no number of samples reaches: give one of them, rtol=0.02 say."
        )
    count, planned, stage = FEWEST, False, 0
    while True:
        measured = measure(fold_in(key, stage), count, f"jax.random.fold_in(key, {stage})")
        noise, square = _norms(measured)
        error, target = math.sqrt(noise), atol + rtol * math.sqrt(max(square - noise, 0.0))
        # Where an entry has not varied, nothing is known of its error, however small that of the others is.
        known = measured.known
        met = known and error <= target
        if count == most or (planned and met) or (known and error == 0):  # of what is exact, no more is to be seen
            far = f"the norm of the errors is {error:.3g} after all samples that are allowed, and is to be {target:.3g}"
            return measured, "" if met else _unknown(measured) or far
        # A pilot that saw nothing, or only noise, cannot plan: the norm that it would plan for is noise too.
        planned = known and error > 0 and (square > 4 * noise or atol > error)
        off = error / max(target, sys.float_info.min)  # one may ask for as little as one likes
        needed = min(MARGIN * count * off * off if planned else 4 * count, most)
        count, stage = min(max(math.ceil(needed), ENOUGH), most), stage + 1


def _norms(measured: Measured) -> tuple[float, float]:
    """Squared norms of the gradient's errors and of the gradient."""
    numbers = (measured.mean, measured.deviation, measured.unit)
    gradient, deviation, unit = (np.asarray(x, np.float64)[1:] for x in numbers)
    count = float(measured.replicates)
    return float(np.sum(deviation / unit**2)) / (count * (count - 1)), float(gradient @ gradient)


def _unknown(measured: Measured) -> str:
    """Of which numbers the error is not known, and why; empty if it is of all."""
    if measured.known:
        return ""
    errors = {"value": measured.value_error, "gradient": measured.gradient_error}
    leaves = jax.tree_util.tree_flatten_with_path(errors)[0]
    total, names = 0, []
    for path, leaf in leaves:
        places = np.argwhere(~np.isfinite(np.asarray(leaf)))
        total += len(places)
        where = path[0].key + jax.tree_util.keystr(path[1:])
        names += [where + (str(place.tolist()) if place.size else "") for place in places[:MOST_NAMED]]
    more = f" and {total - MOST_NAMED:,} more" if total > MOST_NAMED else ""
    return (
        f"{', '.join(names[:MOST_NAMED])}{more} did not vary in {measured.replicates:,} replicates, although a draw "
        "may change it, so nothing is known of the error: take more samples, or an f that does not rest on rare draws"
    )


def _result(measured: Measured, reason: str, size: int) -> Estimate:
    """The estimate; it has converged if there is no reason why not."""
    return Estimate(
        measured.value,
        measured.value_error,
        measured.gradient,
        measured.gradient_error,
        measured.replicates * size,
        measured.replicates,
        not reason,
        reason,
    )


def _exact(estimate: Estimate) -> Estimate:
    """The same, without any error."""
    value_error, gradient_error = jax.tree.map(jnp.zeros_like, (estimate.value_error, estimate.gradient_error))
    return dataclasses.replace(estimate, value_error=value_error, gradient_error=gradient_error)
