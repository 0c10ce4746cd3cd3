"""Is a program unbiased, are its reported errors right, and does it really draw?"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.errors import KeyReuseError
from jaxtyping import PRNGKeyArray, PyTree

from ...errors import check_whole, InputError
from ...estimation.derivative_check import unchecked
from ...estimation.estimates import Estimate, estimate
from ...estimation.expectations import Expectation, expectation
from ...estimation.programs import facts, Pieces, Program
from ...estimators.baselines import NoBaseline
from ...estimators.score_function import Score
from ...parameters import as_parameters, check_key
from ..reports import Check, Report, significant
from .reference import along, flat, Reference, reference


@unchecked()  # what is wrong is told, not refused
def program(
    program: Program,
    params: PyTree,
    key: PRNGKeyArray,
    exact: PyTree | Callable[[PyTree], Any] | None = None,
    *,
    replicates: int = 4000,
    intervals: int = 200,
) -> Report:
    """Audits a program `(params, key) -> scalar` whose value and derivative should be unbiased.

    `exact` is the true gradient, or a function of the parameters that is J itself; then the value is checked too.
    Without it, a `logpi.expectation` over few events is compared with the sum over them, and anything else with finite
    differences of its own mean value, in which no score is (with more than 16 parameters, along 16 directions).
    `intervals` estimates of 32 replicates each show whether the reported errors cover. A correct program fails in one
    audit of a million. Raises `InputError` for bad input.
    """
    replicates = check_whole("replicates", replicates, 100)
    intervals = check_whole("intervals", intervals, 20)
    first, second, third = jax.random.split(check_key(key), 3)
    summed = isinstance(program, Expectation) and not _uses_key(program, params, first)
    checks = [] if summed else [_draws(program, params, first)]
    if not isinstance(program, Expectation):  # some of logpi's estimators share random numbers on purpose
        checks.append(_keys_once(program, params, first))
    truth = reference(program, params, third, exact, replicates)
    subject, where = along(program, params, truth.directions)
    whole = estimate(subject, where, first, replicates=replicates)
    if truth.value is not None:
        checks.append(
            significant(
                "value", float(whole.value) - truth.value, _finite(float(whole.value_error)), 1, "mean minus exact",
                "the value must be unbiased too: return the cost, not a surrogate", floor=1e-5 * (1 + abs(truth.value)),
            )
        )  # fmt: skip
    checks.append(_bias(whole, truth))
    if not summed and not truth.error.any():  # or the intervals would have to hold something that is not known itself
        checks.append(_coverage(subject, where, second, truth.gradient, intervals))
    if summed:
        notes = ("draws and errors: it sums over all events, and draws none",)
    else:
        notes = _variance(program, params, first, whole, replicates) if truth.directions is None else ()
    return Report(getattr(program, "__name__", type(program).__name__), tuple(checks), notes)


def _finite(error: float) -> float:
    return error if np.isfinite(error) else 0.0


def _variance(program: Program, params: PyTree, key: PRNGKeyArray, whole: Estimate, replicates: int) -> tuple[str, ...]:
    """Beside the plain score function with as many events, where it can be had."""
    if not isinstance(program, Expectation):
        return ()
    plain = expectation(program.problem.f, program.problem.of, program.samples, Score(NoBaseline()))
    try:
        beside = estimate(plain, params, key, replicates=replicates)
    except InputError:
        return ()
    share = np.sum(flat(whole.gradient_error) ** 2) / np.sum(flat(beside.gradient_error) ** 2)
    return (f"variance of the gradient: {share:.3g} of the plain score function's with as many events",)


def _uses_key(program: Program, params: PyTree, key: PRNGKeyArray) -> bool:
    return facts(Pieces.of(program, params), key).draws


def _draws(program: Program, params: PyTree, key: PRNGKeyArray) -> Check:
    """Without use of its key every call is the same, and the errors mean nothing."""
    ignored = not _uses_key(program, params, key)
    return Check(
        "draws_from_key", float(ignored), 0.0, 0.0, "1 if the key is not used",
        "pass the key on to what draws; a key made inside gives the same draws for ever", "draws from its key",
    )  # fmt: skip


def _keys_once(program: Program, params: PyTree, key: PRNGKeyArray) -> Check:
    """JAX's own check, on the compiled program. Old-style keys (`jax.random.PRNGKey`) are wrapped for it."""
    typed = key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)
    floats, rest = as_parameters(params)
    twice = 0.0
    try:
        with jax.debug_key_reuse(True):
            jax.jit(lambda floats, key: program(rest.filled(floats), key))(floats, typed)
    except KeyReuseError:
        twice = 1.0
    return Check(
        "key_reuse", twice, 0.0, 0.0, "1 if two draws share a key",
        "two draws from one key are the same draw: give each its own, first, second = jax.random.split(key)",
        "no key used twice",
    )  # fmt: skip


def _bias(whole: Estimate, truth: Reference) -> Check:
    """The entry (or the direction) in which the mean gradient is furthest from the reference."""
    off = flat(whole.gradient) - truth.gradient
    noise = flat(whole.gradient_error)
    noise = np.hypot(np.where(np.isfinite(noise), noise, 0.0), truth.error)
    worst = int(np.argmax(np.abs(off) / np.maximum(noise, truth.floor)))
    what = "number" if truth.directions is None else "direction"
    share = 100 * np.linalg.norm(off) / max(np.linalg.norm(truth.gradient), 1e-30)
    return significant(
        "gradient", float(off[worst]), float(noise[worst]), off.size,
        f"{what} {worst} of the mean gradient minus {truth.meaning} ({share:.1f} % of its norm)",
        "each cost must be explained by all draws before it, each baseline must not contain its own draw, and what "
        "depends on the parameters must be differentiated", floor=float(truth.floor[worst]),
    )  # fmt: skip


def _coverage(program: Program, params: PyTree, key: PRNGKeyArray, truth: np.ndarray, intervals: int) -> Check:
    """The share of 95 % intervals that hold the truth, averaged over the numbers of the gradient."""
    inside = []
    for i in range(intervals):
        low, high = estimate(program, params, jax.random.fold_in(key, i), replicates=32).gradient_interval(0.95)
        inside.append(np.mean((flat(low) <= truth) & (truth <= flat(high))))
    # All numbers of one gradient stand or fall together in the worst case, so an interval counts once.
    error = float(np.sqrt(0.95 * 0.05 / intervals))
    return significant(
        "coverage", float(np.mean(inside)) - 0.95, error, 1, "share of 95 % intervals that hold the "
        "exact gradient, minus 0.95", "heavy-tailed or biased: look at the gradient above, or lower the variance",
        name="coverage of its errors",
    )  # fmt: skip
