"""Is it a probability distribution, is its score what a policy gradient needs, and does it draw what it says?"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ...distributions import AbstractDistribution, as_distribution
from ...distributions.guards import broken_constraint, still_support
from ...distributions.numpyro.adapter import unvalidated
from ...distributions.traits import traits
from ...errors import check_between, check_whole, InputError, said, shown
from ...estimators.sites import score
from ...models import AbstractPolicy
from ...parameters import as_parameters, as_real_array, check_key
from ..reports import Check, Report, significant
from .density import each, Grid, grid_of, log_prob


def policy(
    subject: Any, key: PRNGKeyArray, obs: PyTree | None = None, *, support: Any = None, samples: int = 20_000
) -> Report:
    r"""Audits a distribution, or a policy at an observation.

    Looks at: one finite log-probability per event, with a finite score; that the probabilities sum (integrate) to 1;
    that $E[\nabla \log \pi] = 0$; that draws follow the density; that entropy and KL are what their definitions say;
    that the support stays where it is. `subject` is anything with `log_prob`, or an `AbstractPolicy` with `obs`.
    Without a `sample`, give `support`: an array of all events, or an interval (low, high). A correct subject fails in
    one audit of a million. Raises `InputError` for what is neither.
    """
    samples, support = check_whole("samples", samples, 100), _checked_support(support)
    key = check_key(key)
    if isinstance(subject, AbstractPolicy):
        if obs is None:
            raise InputError("a policy is audited at an observation: give obs=, one observation without a batch axis.")
        subject, name = _at(subject, obs), type(subject).__name__
    elif obs is not None:
        raise InputError(f"obs is for a policy, and {type(subject).__name__} is none: leave it out.")
    else:
        name = type(subject).__name__
    dist = as_distribution(subject)
    if not traits(dist).has_log_prob:
        raise InputError(f"a {name} has no method log_prob, so there is no probability to audit: add log_prob(event).")
    draws, notes = _draws(dist, key, samples)
    if isinstance(draws, Check):
        return Report(name, (draws,))
    if isinstance(draws, dict | tuple):
        return _of_parts(name, dist, key, samples)
    if draws is None and support is None:
        raise InputError(
            f"nothing is known of the events of {name}, for it has no sampler: give support=, an array of all events "
            "or an interval (low, high)."
        )
    shape = _shape_check(dist, draws, support)
    if not shape.passed:
        return Report(name, (shape,))
    checks, grid = [shape], None
    try:
        grid = grid_of(dist, draws, support)
        checks.append(_normalised(grid))
    except InputError as reason:
        notes.append(f"the normalisation was not looked at: {reason}")
    if draws is not None:
        checks += _scores(dist, draws, notes)
        checks += [] if grid is None or not checks[1].passed else _agreement(draws, grid)
        checks += _entropy(dist, draws) if grid is not None and checks[1].passed else []
    return Report(name, tuple(checks), tuple(notes))


def _of_parts(name: str, dist: AbstractDistribution, key: PRNGKeyArray, samples: int) -> Report:
    """Each part of a distribution whose events are of several kinds: they are independent, so that is all there is.

    Raises `InputError` where its parts are not known.
    """
    parts = traits(dist).parts()
    if not parts:
        raise InputError(f"the events of {name} are not one array, and its parts are not known: audit each part.")
    reports = [policy(part, jax.random.fold_in(key, i), samples=samples) for i, part in enumerate(parts)]
    named = [
        dataclasses.replace(check, key=f"{check.key}_{i}", name=f"{check.name}, part {i}")
        for i, report in enumerate(reports)
        for check in report.checks
    ]
    return Report(name, tuple(named), tuple(note for report in reports for note in report.notes))


def _checked_support(support: Any) -> Any:
    """The support: `None`, an interval of two numbers, or an array of events."""
    if support is None:
        return None
    if isinstance(support, tuple) and len(support) == 2:
        return tuple(check_between("an end of support", end, -math.inf) for end in support)
    events = as_real_array(support)
    if events is None or not events.size or not events.ndim:
        raise InputError(
            f"support is {shown(support)}, but it must be all events or an interval: give an array of them, or (low, "
            "high)."
        )
    return events


def _draws(
    dist: AbstractDistribution, key: PRNGKeyArray, samples: int
) -> tuple[PyTree[Array] | Check | None, list[str]]:
    try:
        return dist.sample(key, (samples,)), []
    except (InputError, NotImplementedError, ImportError) as reason:  # other libraries' need not have a sampler
        return None, [f"the sampler was not looked at: {said(reason)}"]


def _shape_check(dist: AbstractDistribution, draws: Array | None, support: Any) -> Check:
    """One number per event. Everything else needs it."""
    cure = "sum log_prob over the entries of one event: independent parts multiply (Independent or to_event does it)"
    try:
        event = (
            draws[0] if draws is not None else jnp.asarray(support[0], float if isinstance(support, tuple) else None)
        )
        size = int(np.prod(jax.eval_shape(dist.log_prob, event).shape))
    except InputError:
        size = 0
    return Check(
        "one_log_prob", abs(size - 1), 0.0, 0.0, "numbers more or less than one", cure, "one log-probability per event"
    )


def _normalised(grid: Grid) -> Check:
    total = float(np.sum(grid.mass))
    return significant(
        "normalised", total - 1, float(grid.standard_error), 1, "sum of all probabilities, minus 1",
        "divide by the sum over all events (or the integral): for logits that is log_prob - logsumexp; a density of "
        "transformed events needs the log-slope of the transformation taken off", floor=grid.error,
    )  # fmt: skip


def _scores(dist: AbstractDistribution, draws: Array, notes: list[str]) -> list[Check]:
    """Finite log-probabilities and scores, scores of mean 0, and a support that does not move."""
    log_probs = each(log_prob, dist, draws)
    share = float(np.mean(~np.isfinite(log_probs)))
    cure = "clip, or work with logits and log-sums"
    checks = [Check("finite_log_probs", share, 0.0, 0.0, "share of draws", cure, "finite log-probabilities")]
    try:
        constants = _constant_bounds(dist)
    except InputError as reason:  # there is no parameter to differentiate in
        notes.append(f"the scores: {reason}")
        return checks
    if constants is None:
        cure = "use MeasureValued() or Pathwise(), or keep the bounds out of the parameters"
        meaning = "1 if it moves with the parameters"
        return [*checks, Check("constant_support", 1.0, 0.0, 0.0, meaning, cure, "a support that stays")]
    scores = each(_score_of(constants), dist, draws)
    share = float(np.mean(~np.isfinite(scores).all(axis=1)))
    checks.append(
        Check("finite_scores", share, 0.0, 0.0, "share of draws", "keep parameters off the edge of their range")
    )
    if share:
        notes.append("the mean of the scores: some are not finite")
        return checks
    error = scores.std(axis=0, ddof=1) / np.sqrt(len(scores))
    z = np.abs(scores.mean(axis=0)) / np.maximum(error, 1e-6 * (1 + np.abs(scores).max(initial=0.0)))
    worst = int(np.argmax(z))
    return [
        *checks,
        significant(
            "zero_mean_scores", float(scores[:, worst].mean()), float(max(error[worst], 1e-6)), z.size,
            "largest mean of a derivative of log_prob", "normalise the density; draw from what log_prob says",
            name="scores of mean 0",
        ),
    ]  # fmt: skip


def _agreement(draws: Array, grid: Grid) -> list[Check]:
    """Moments of the draws against those of the density: means, squares, and the log-density itself."""
    seen, keep = np.asarray(_features(draws), np.float64), grid.mass > 0
    expected = np.asarray(_features(grid.events), np.float64)[keep]
    mass = grid.mass[keep, None] / grid.mass.sum()
    mean = np.sum(mass * np.where(np.isfinite(expected), expected, 0.0), axis=0)
    spread = seen.std(axis=0, ddof=1) / np.sqrt(len(seen))
    # A grid of random points has an error of its own; a fixed one is off by a share of the range.
    own = np.sqrt(np.sum(mass**2 * (expected - mean) ** 2, axis=0)) if grid.standard_error else np.zeros_like(mean)
    error = np.sqrt(spread**2 + own**2) + 1e-3 * grid.error * np.abs(mean) + 1e-6
    z = np.abs(seen.mean(axis=0) - mean) / error
    worst = int(np.argmax(z))
    return [
        significant(
            "draws_follow_density", float(seen[:, worst].mean() - mean[worst]), float(error[worst]), z.size,
            "largest difference of a moment", "let sample and log_prob use the same parameters; a transformed draw "
            "needs its log-slope in log_prob", floor=2e-3 * abs(float(mean[worst])) if grid.error >= 1e-3 else 0.0,
            name="draws follow the density",
        )
    ]  # fmt: skip


def _parameters(dist: AbstractDistribution) -> tuple[PyTree, Callable[[PyTree], AbstractDistribution]]:
    """What a distribution is a function of, and that function."""
    known = traits(dist).own_parameters()
    if known is None:
        return dist, as_distribution
    parameters, make = known
    return parameters, lambda parameters: as_distribution(make(parameters))


def _constant_bounds(dist: AbstractDistribution) -> tuple[bool, ...] | None:
    """For each float, whether it is a bound of the support; `None` if one of these is a parameter.

    A number of Python's that says where the support ends is a constant: `Uniform(0.0, p)` has one, and moves with p.
    """
    parameters, make = _parameters(dist)
    floats, rest = as_parameters(parameters)

    def moves(i: int) -> bool:
        def support(x):
            return still_support(make(rest.filled([*floats[:i], x, *floats[i + 1 :]])))

        try:
            jax.eval_shape(jax.grad(support), floats[i])
        except InputError:
            return True
        return False

    bounds = tuple(map(moves, range(len(floats))))
    given = [x for x, is_float in zip(jax.tree.leaves(parameters), rest.is_taken, strict=True) if is_float]
    is_said = any(bound and not isinstance(x, float) for x, bound in zip(given, bounds, strict=True))
    return None if is_said or all(bounds) else bounds


@functools.lru_cache(maxsize=64)
def _score_of(constants: tuple[bool, ...]) -> Callable[[AbstractDistribution, Array], Array]:
    """The score in all floats but these. One function for each pattern, so that it is compiled once."""

    def score_of(dist: AbstractDistribution, event: Array) -> Array:
        parameters, make = _parameters(dist)
        floats, rest = as_parameters(parameters)

        def whole(free):
            parts = iter(free)
            return make(rest.filled(x if fixed else next(parts) for x, fixed in zip(floats, constants, strict=True)))

        free = [x for x, fixed in zip(floats, constants, strict=True) if not fixed]
        return ravel_pytree(score(free, event, of=whole))[0]

    return score_of


@jax.jit
def _features(events: Array) -> Float[Array, "n features"]:
    """What is compared: bounded functions of the entries, so that heavy tails do no harm, and pairs of them."""
    x = jnp.reshape(jnp.asarray(events, jnp.float32), (len(events), -1))[:, :8]
    bounded = jnp.concatenate([jnp.tanh(x), jnp.cos(x), jnp.sin(2 * x), jax.nn.sigmoid(4 * (x - 0.5))], axis=1)
    i, j = np.triu_indices(x.shape[1])
    return jnp.concatenate([bounded, jnp.tanh(x[:, i]) * jnp.tanh(x[:, j])], axis=1)


def _entropy(dist: AbstractDistribution, draws: Array) -> list[Check]:
    """Entropy and KL in closed form, where there are any, against the mean over draws."""
    log_probs = each(log_prob, dist, draws)
    checks, error = [], float(log_probs.std(ddof=1) / np.sqrt(len(log_probs)))
    try:
        size = _entropy_of(dist) + float(log_probs.mean())
        cure = "entropy() is the expectation of -log_prob: sum it over the entries of an event, in nats"
        checks.append(significant("entropy", size, error, 1, "closed form minus mean of -log_prob", cure, floor=1e-4))
    except (NotImplementedError, TypeError, AttributeError):
        pass
    for other in _moved(dist):
        ratio = log_probs - each(log_prob, other, draws)
        try:
            size, error = float(dist.kl(other)) - float(ratio.mean()), float(ratio.std(ddof=1) / np.sqrt(len(ratio)))
        except (NotImplementedError, TypeError, AttributeError, InputError):
            break
        cure = "kl(other) is the expectation of log_prob - other.log_prob under the distribution itself, in nats"
        checks.append(
            significant("kl", size, error, 1, "closed form minus mean log-ratio", cure, floor=1e-4, name="KL")
        )
    return checks


def _entropy_of(dist: AbstractDistribution) -> float:
    """In 64 bits, where it is not finite in those that the distribution has: a scale of 1e20 has no square in 32."""
    with np.errstate(over="ignore"):  # NumPy warns of it, where JAX has compiled nothing of the kind before
        entropy = float(dist.entropy())
    if np.isfinite(entropy):
        return entropy
    with jax.enable_x64(True), unvalidated():
        parameters, make = _parameters(dist)
        floats, rest = as_parameters(parameters)
        return float(make(rest.filled([x.astype(jnp.float64) for x in floats])).entropy())


def _at(policy: AbstractPolicy, obs: PyTree) -> Any:
    """The distribution of a policy at an observation. Raises `InputError` for one that it cannot take."""
    try:
        return policy(obs, policy.initial_memory())[0]
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"obs is {shown(obs)}, of which {type(policy).__name__} makes no distribution ({said(error, 160)}): give "
            "one observation as it was trained on, without a batch axis."
        ) from error


def _moved(dist: AbstractDistribution) -> list[AbstractDistribution]:
    """The same kind with parameters a tenth larger, or else smaller; none where these are out of its range too."""
    try:
        parameters, make = _parameters(dist)
        floats, rest = as_parameters(parameters)
    except InputError:  # there is no parameter
        return []
    for factor in (1.1, 0.9):
        moved = functools.partial(make, rest.filled([factor * x for x in floats]))
        if broken_constraint(moved) is None:
            with unvalidated():
                return [moved()]
    return []
