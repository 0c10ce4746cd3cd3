"""Which estimator to use for a problem: each one measured on it, side by side."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import PRNGKeyArray, PyTree

from ..errors import check_several, check_whole, InputError
from ..estimators.base import AbstractEstimator
from ..estimators.baselines import LeaveOneOut, NoBaseline
from ..estimators.disarm import DisARM
from ..estimators.enumeration import Enumerate, SumAndSample, UnorderedSet
from ..estimators.pathwise import Pathwise
from ..estimators.problem import number, Problem, takes_parameters
from ..estimators.score_function import Score
from ..estimators.weak_derivatives import MeasureValued
from ..jaxprs.usage import elements
from ..parameters import as_parameters, check_key, exact_gradient
from .estimates import estimate
from .expectations import Expectation, expectation
from .programs import FEWEST, MOST_SAMPLES

CANDIDATES = (
    Score(NoBaseline()), Score(LeaveOneOut()), Pathwise(), MeasureValued(), Enumerate(), SumAndSample(), UnorderedSet(),
    DisARM(),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
    """One estimator on one problem. Numbers are NaN where there is none."""

    name: str
    gradient_norm: float
    bias: float  # share of the exact gradient's norm, with the part that is noise taken off
    bias_z: float  # the largest difference from the exact gradient, in standard errors
    evaluations: int  # of f, for one call
    work: float  # variance x evaluations of f, as a share of that of the comparison's `unit`
    seconds: float  # of one call's value and gradient, in an estimate of all `replicates` of them
    refusal: str = ""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A table of estimators; `best` names the one of least variance x evaluations among those not seen to be biased.

    `unit` names the one whose variance x evaluations counts as 1: the plain score function, or the first of the table
    that can be used where that one is refused or its variance is not known; if none can, the first with a variance.
    """

    rows: tuple[Row, ...]
    best: str
    unit: str

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        titles = f"{'|gradient|':>10} {'bias':>8} {'z':>6} {'evals':>6} {'variance x cost':>15} {'us':>9}"
        head = f"{'estimator':<{width}} {titles}"
        lines = [head, "-" * len(head)]
        for row in self.rows:
            if row.refusal:
                lines.append(f"{row.name:<{width}} refused: {row.refusal}")
                continue
            bias = "" if math.isnan(row.bias) else f"{100 * row.bias:.1f} %"
            z = "" if math.isnan(row.bias_z) else f"{row.bias_z:.1f}"
            lines.append(
                f"{row.name:<{width}} {row.gradient_norm:>10.4g} {bias:>8} {z:>6} {row.evaluations:>6} "
                f"{row.work:>15.3g} {1e6 * row.seconds:>9.1f}"
            )
        if self.unit:
            lines.append(f"variance x cost: as a share of that of {self.unit}")
        return "\n".join([*lines, f"use {self.best}"])


def compare(
    f: Callable[..., Any],
    params: PyTree,
    key: PRNGKeyArray,
    estimators: Sequence[AbstractEstimator] | None = None,
    *,
    of: Callable[[PyTree], Any] | None = None,
    samples: int = 16,
    replicates: int = 1000,
    exact: PyTree | None = None,
    continuous: bool = False,
) -> Comparison:
    """Measures estimators on one problem; `print` the result for a table with a recommendation.

    `exact` is the true gradient, in the structure of `params`; without it, it is enumerated where the support is
    finite. A bias is the distance from it, as a share of its norm. `continuous` is as in `logpi.expectation`.
    Estimators that refuse the problem say why. Without `estimators`, all that need no setting are tried. Raises
    `InputError` for bad input, as an f that no estimator takes.
    """
    # Once: as what every estimator refuses, it would look like one row's own reason.
    as_parameters(params)
    check_key(key)
    samples = check_whole("samples", samples, 1, MOST_SAMPLES)
    replicates = check_whole("replicates", replicates, FEWEST)
    reference = _reference(f, of, params, key) if exact is None else exact_gradient(exact, params)
    candidates = CANDIDATES if estimators is None else check_several("estimators", estimators, "[logpi.Score()]")
    if not candidates:
        raise InputError("estimators is empty, so there is nothing to compare: give some, or leave it out for all.")
    plain, *rows = (
        _row(expectation(f, of, samples, estimator, continuous=continuous), params, key, replicates, reference)
        for estimator in (Score(NoBaseline()), *candidates)
    )
    if all(row.refusal for row in (plain, *rows)):  # of f, or of the problem, and not of an estimator?
        problem = Problem(f, of)
        jax.eval_shape(lambda key: problem.costs(params, problem.draws(params, key, 1).events), key)
    fit = [row for row in rows if _can_be_used(row)]
    best = min(fit, key=lambda row: row.work).name if fit else "none of these"
    # An exact one has a work of 0, of which nothing is a share.
    unit = next((row for row in (plain, *fit, *rows) if row.work > 0), None)
    size, name = (1.0, "") if unit is None else (unit.work, unit.name)
    return Comparison(tuple(dataclasses.replace(row, work=row.work / size) for row in rows), best, name)


def _can_be_used(row: Row) -> bool:
    """Beyond 5 standard errors it is biased: a false alarm in a million for each number of the gradient."""
    return not (row.refusal or row.bias_z > 5 or row.name.startswith("Biased") or math.isnan(row.work))


def _reference(f, of, params, key) -> np.ndarray | None:
    try:
        return np.asarray(ravel_pytree(estimate(expectation(f, of, 1, Enumerate()), params, key).gradient)[0])
    except InputError:
        return None


def _row(J: Expectation, params: PyTree, key: PRNGKeyArray, replicates: int, reference: np.ndarray | None) -> Row:
    """What there is to say of an estimator, its work in no unit yet; or why it refuses."""
    name = describe(J.estimator)
    try:
        result = estimate(J, params, key, replicates=replicates)
        seconds = _seconds(J, params, key, result.replicates)
        evaluations = count_evaluations(J, params, key)
    except InputError as refusal:
        nothing = math.nan
        return Row(name, nothing, nothing, nothing, 0, nothing, nothing, str(refusal))
    gradient = np.asarray(ravel_pytree(result.gradient)[0], np.float64)
    errors = np.asarray(ravel_pytree(result.gradient_error)[0], np.float64)
    bias, z = (math.nan, math.nan) if reference is None else _bias(gradient, errors, reference)
    # Where nothing varied, nothing is known: the estimator that saw least must not look best.
    variance = float(np.sum(np.where(np.isfinite(errors), errors, np.nan) ** 2)) * result.replicates
    norm = float(np.linalg.norm(gradient))
    return Row(name, norm, bias, z, evaluations, variance * evaluations, seconds)


def _bias(gradient: np.ndarray, errors: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """The distance from the exact gradient as a share of its norm, and the largest one in standard errors."""
    off = gradient - reference
    known = np.where(np.isfinite(errors), errors, 0.0)
    # Rounding is no bias: float32 has seven digits.
    floor = 1e-5 * (np.abs(reference).max() + 1e-30)
    z = float(np.max(np.abs(off) / np.maximum(known, floor)))
    noise = float(np.sum(known**2))
    return math.sqrt(max(float(off @ off) - noise, 0.0)) / max(float(np.linalg.norm(reference)), 1e-30), z


def describe(estimator: eqx.Module) -> str:
    """An estimator as one would write it, without the fields that stand at their default and without long arrays."""
    fields = []
    for field in dataclasses.fields(estimator):
        value = getattr(estimator, field.name)
        if isinstance(value, eqx.Module):
            fields.append(describe(value))
        elif eqx.is_inexact_array(value) and value.shape == ():
            # In the array's own digits: in 32 bits, 0.01 is not Python's.
            if value != np.asarray(_default(field), value.dtype):
                fields.append(f"{field.name}={float(value):.3g}")
        elif isinstance(value, (int, float, str, tuple)) and value != field.default:
            fields.append(f"{field.name}={value}")
    return f"{type(estimator).__name__}({', '.join(fields)})"


def _default(field: dataclasses.Field[Any]) -> Any:
    """Of a field; NaN, which equals nothing, if it has none."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return math.nan if field.default is dataclasses.MISSING else field.default


def count_evaluations(J: Expectation, params: PyTree, key: PRNGKeyArray) -> int:
    """How many times one call evaluates f, read off its trace: each evaluation is marked by an operation."""
    f, floats, rest = J.problem.f, *as_parameters(params)

    def marked(x):
        return jax.lax.reduce_precision(number(x), exponent_bits=8, mantissa_bits=23)

    counted = (lambda x, params: marked(f(x, params))) if takes_parameters(f) else (lambda x: marked(f(x)))
    twin = Expectation(dataclasses.replace(J.problem, f=counted), J.estimator, J.samples)
    traced = jax.make_jaxpr(lambda floats: twin(rest.filled(floats), key))(floats)
    return elements(traced.jaxpr, "reduce_precision")


def _seconds(J: Expectation, params: PyTree, key: PRNGKeyArray, replicates: int) -> float:
    """Of one call in an estimate of so many, whose program is there already."""
    taken, times = 0.0, []
    while taken < 0.02 or len(times) < 3:
        start = time.perf_counter()
        estimate(J, params, key, replicates=max(replicates, FEWEST))
        times.append(time.perf_counter() - start)
        taken += times[-1]
    return min(times) / replicates
