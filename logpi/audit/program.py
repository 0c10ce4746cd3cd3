"""Is a program unbiased, are its reported errors right, and does it really draw?"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.errors import KeyReuseError
from jax.flatten_util import ravel_pytree
from jaxtyping import PRNGKeyArray, PyTree

from ..errors import check_between, InputError
from ..estimators.estimate import estimate
from ..estimators.expectation import Expectation
from ..estimators.parameters import as_parameters, check_key
from ..estimators.replicates import facts, Program
from .report import Check, Report, significant


def program(
    program: Program,
    params: PyTree,
    key: PRNGKeyArray,
    exact: PyTree | Callable[[PyTree], Any],
    *,
    replicates: int = 4000,
    intervals: int = 200,
) -> Report:
    """Audits a program `(params, key) -> scalar` whose value and derivative should be unbiased.

    `exact` is the true gradient, or a function of the parameters that is J itself; then the value is checked too.
    (Where the support is finite, `expectation(f, of, estimator=Enumerate())` with any key is such a function.)
    `intervals` estimates of 32 replicates each show whether the reported errors cover. A correct program fails in one
    audit of a million. Raises `InputError` for bad input.
    """
    check_between("replicates", replicates, 100)
    check_between("intervals", intervals, 20)
    first, second = jax.random.split(check_key(key))
    checks = [_draws(program, params, first)]
    if not isinstance(program, Expectation):  # some of logpi's estimators share random numbers on purpose
        checks.append(_keys_once(program, params, first))
    whole = estimate(program, params, first, replicates=replicates)
    found, error = _flat(whole.gradient), _flat(whole.gradient_error)
    value, truth = _reference(exact, params)
    if value is not None:
        checks.append(
            significant(
                "value", float(whole.value) - value, _finite(float(whole.value_error)), 1, "mean minus exact",
                "the value must be unbiased too: return the cost, not a surrogate", floor=1e-5 * (1 + abs(value)),
            )
        )  # fmt: skip
    checks += _bias(found, error, truth)
    checks.append(_coverage(program, params, second, truth, intervals))
    return Report(getattr(program, "__name__", type(program).__name__), tuple(checks))


def _flat(tree: PyTree) -> np.ndarray:
    return np.asarray(ravel_pytree(tree)[0], np.float64)


def _finite(error: float) -> float:
    return error if np.isfinite(error) else 0.0


def _reference(exact: Any, params: PyTree) -> tuple[float | None, np.ndarray]:
    """J, if `exact` says it, and its gradient."""
    dynamic, static = as_parameters(params)
    if callable(exact):
        value, gradient = jax.value_and_grad(lambda d: jnp.asarray(exact(eqx.combine(d, static)), float))(dynamic)
        return float(value), _flat(gradient)
    truth = _flat(as_parameters(exact)[0])
    if truth.size != _flat(dynamic).size:
        raise InputError(
            f"exact has {truth.size} numbers, but the parameters have {_flat(dynamic).size}: give one each."
        )
    return None, truth


def _draws(program: Program, params: PyTree, key: PRNGKeyArray) -> Check:
    """Without use of its key every call is the same, and the errors mean nothing."""
    ignored = not facts(program, *as_parameters(params), key).draws
    return Check(
        "draws from its key", float(ignored), 0.0, 0.0, "1: the key is not used",
        "pass the key on to what draws; a key made inside gives the same draws for ever",
    )  # fmt: skip


def _keys_once(program: Program, params: PyTree, key: PRNGKeyArray) -> Check:
    """JAX's own check, on the compiled program. Old-style keys (`jax.random.PRNGKey`) are wrapped for it."""
    typed = key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)
    dynamic, static = as_parameters(params)
    twice = 0.0
    try:
        with jax.debug_key_reuse(True):
            jax.jit(lambda dynamic, key: program(eqx.combine(dynamic, static), key))(dynamic, typed)
    except KeyReuseError:
        twice = 1.0
    return Check(
        "no key used twice", twice, 0.0, 0.0, "1: two draws share a key",
        "two draws from one key are the same draw: give each its own, first, second = jax.random.split(key)",
    )  # fmt: skip


def _bias(found: np.ndarray, error: np.ndarray, truth: np.ndarray) -> list[Check]:
    known = np.where(np.isfinite(error), error, 0.0)
    floor = 1e-5 * (1e-3 + np.abs(truth).max(initial=0.0))
    worst = int(np.argmax(np.abs(found - truth) / np.maximum(known, floor)))
    return [
        significant(
            "gradient", float(found[worst] - truth[worst]), float(known[worst]), truth.size,
            f"number {worst} of the mean gradient minus exact ({_share(found, truth)} of its norm)",
            "each cost must be explained by all draws before it, each baseline must not contain its own draw, and what "
            "depends on the parameters must be differentiated", floor=floor,
        )
    ]  # fmt: skip


def _share(found: np.ndarray, truth: np.ndarray) -> str:
    return f"{100 * np.linalg.norm(found - truth) / max(np.linalg.norm(truth), 1e-30):.1f} %"


def _coverage(program: Program, params: PyTree, key: PRNGKeyArray, truth: np.ndarray, intervals: int) -> Check:
    """The share of 95 % intervals that hold the truth, averaged over the numbers of the gradient."""
    inside = []
    for i in range(intervals):
        low, high = estimate(program, params, jax.random.fold_in(key, i), replicates=32).gradient_interval(0.95)
        inside.append(np.mean((_flat(low) <= truth) & (truth <= _flat(high))))
    # All numbers of one gradient stand or fall together in the worst case, so an interval counts once.
    error = float(np.sqrt(0.95 * 0.05 / intervals))
    return significant(
        "coverage of its errors", float(np.mean(inside)) - 0.95, error, 1, "share of 95 % intervals that hold the "
        "exact gradient, minus 0.95", "heavy-tailed or biased: look at the gradient above, or lower the variance",
    )  # fmt: skip
