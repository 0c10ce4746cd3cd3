"""Does each objective of an algorithm with critics of actions climb what it should, and do its followers follow?"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ...errors import InputError
from ..alignment import align, Alignment
from ..problems import AbstractProblem
from ..reports import Check, Report
from .bias_sources import settings_of
from .monte_carlo_update import align_monte_carlo
from .replayed_mistakes import (
    bounds,
    delay,
    entropy,
    least_of_critics,
    next_episode,
    steps,
    target_policy,
    targets_follow,
)
from .replayed_update import ReplayedUpdate, Updates

EXACT = 1e-6  # of a direction, as of any objective
DRAWS = 100  # of what is drawn
CURES = {
    "targets": (
        "fit the critics to the reward plus gamma times the value of what followed, by critics that are held still; "
        "nothing follows a termination"
    ),
    "temperature": "step the logarithm of the temperature by the entropy that is aimed at, less that of the policy",
}


def replayed(subject: Any, problems: Sequence[AbstractProblem], key: Any) -> Report:
    """The audit of an algorithm whose networks are an actor and critics of actions.

    Raises `InputError` where it has no such networks, or none of the problems is for it.
    """
    cases, missing = _cases(subject, problems)
    notes = [
        "each row is of one objective: the actor's beside the gradient of J, the critics' beside that of their error "
        "against exact values"
    ]
    if cases[0].soft:
        notes[0] += f"; a nat of entropy is worth {cases[0].temperature:.3g}, in J and in values"
    if "quantiles" in settings_of(subject) and subject.quantiles > 1:
        notes.append("the critics that were looked at say means: what quantiles make of a target is not looked at")
    rows, found = [], []
    for case in cases:
        exact, truth = case.updates("exact"), case.truth()
        found.append({name: _row(case, f"{name}, exact", exact, truth, name, _MEANINGS[name]) for name in exact})
        rows += [*found[-1].values(), *_sources(case, truth, key)]
    checks = _directions(cases, found)
    checks += [next_episode(cases), *least_of_critics(cases)]
    if cases[0].soft:
        checks += entropy(cases)
    checks += [*steps(cases), *targets_follow(cases), *target_policy(cases), *delay(cases), *bounds(cases)]
    return Report(type(subject).__name__, tuple(checks), tuple(notes + missing), tuple(rows))


_MEANINGS = {
    "actor": "exact critics, discounted states, nothing else",
    "critics": "of wrong critics, to targets by exact ones",
    "temperature": "to the entropy that is aimed at",
}


def _cases(subject: Any, problems: Sequence[AbstractProblem]) -> tuple[list[ReplayedUpdate], list[str]]:
    """The problems that the algorithm can act in, and why it cannot in others."""
    kept, notes = [], []
    for problem in problems:
        case = ReplayedUpdate(problem, subject)
        if not case.values:
            notes.append(f"{problem.name}: its values of actions are not known for such a policy")
            continue
        if not case.within_bounds:
            notes.append(f"{problem.name}: its actions go beyond -1 and 1, where targets are clipped")
            continue
        case.check()
        kept.append(case)
    if not kept:
        raise InputError(f"None of the problems is for {type(subject).__name__}: {'; '.join(notes)}; give others.")
    return kept, notes


def _row(case: ReplayedUpdate, source: str, found: Updates, truth: Updates, name: str, meaning: str) -> Alignment:
    return align(f"{case.problem.name}: {source}", found[name], truth[name], meaning=meaning)


def _sources(case: ReplayedUpdate, truth: Updates, key: Any) -> list[Alignment]:
    """What is not exact in practice, each switched on alone."""
    older = case.problem.before().streams()
    elsewhere = case.updates("exact", trajectory=older.trajectory, weight=older.plain)
    wrong, plain = case.updates("wrong"), case.updates("exact", plain=True)
    rows = [
        _row(case, "actor, states not discounted", plain, truth, "actor", "each row counts 1, not gamma^t"),
        _row(case, "actor, states of an older policy", elsewhere, truth, "actor", "as a replay holds them"),
        _row(case, "actor, wrong critics", wrong, truth, "actor", "it climbs what they say"),
        _row(case, "critics, wrong targets", wrong, truth, "critics", "by the critics themselves"),
    ]
    if case.problem.check == "truncation":
        t = case.streams.trajectory
        ended = case.updates("exact", trajectory=dataclasses.replace(t, terminated=t.terminated | t.truncated))
        rows.append(_row(case, "critics, truncation as termination", ended, truth, "critics", "a mistake, to compare"))
    if "smoothing" in settings_of(case.subject) and case.subject.smoothing:
        rows.append(_smoothed(case, truth["critics"], key))
    return rows


def _smoothed(case: ReplayedUpdate, truth: Float[np.ndarray, " parameters"], key: Any) -> Alignment:
    """The targets of a policy with noise on its actions, by many draws."""
    ready = case.as_given()
    state = ready.init(case.networks("exact"), case.spec, 1, key)
    view, weight = case.view(), case.streams.exact
    drawn = np.stack([case.of_state(ready, state, view, weight, k)["critics"] for k in jax.random.split(key, DRAWS)])
    none, meaning = np.zeros_like(drawn), f"noise of {case.subject.smoothing:g} on the actions that follow"
    name = f"{case.problem.name}: critics, smoothed targets"
    return align_monte_carlo(name, drawn, none, none[0], truth, meaning)[0]


def _directions(cases: list[ReplayedUpdate], found: list[dict[str, Alignment]]) -> list[Check]:
    """For each kind of problem and objective, the worst error; and whether any update goes down."""
    groups: dict[str, list[tuple[float, str, str]]] = {}
    rows = [(case, name, row) for case, each in zip(cases, found, strict=True) for name, row in each.items()]
    for case, name, row in rows:
        problem, key = case.problem, {"critics": "targets"}.get(name, name)
        if name == "actor" or (problem.check == "truncation" and name == "critics"):
            key = problem.check
        # Of one number there is no direction.
        size = abs(row.scale - 1) if name == "temperature" else row.direction_error
        size, cure = float(np.nan_to_num(size, nan=np.inf)), CURES.get(key, problem.cure)
        groups.setdefault(key, []).append((size, f"{name}, {problem.name}", cure))
    checks = []
    for key, group in groups.items():
        size, where, cure = max(group)
        meaning = "relative error" if key == "temperature" else "part of the update across what it should be"
        checks.append(Check(key, size, 0.0, EXACT, f"{meaning} ({where})", cure))
    down = [row.name for _, _, row in rows if not row.scale > 0]
    meaning = "updates that do not go up" + (f" ({', '.join(down)})" if down else "")
    spread = max(
        abs(row.scale / found[0][name].scale - 1) if found[0][name].scale else 0.0
        for _, name, row in rows
        if row.direction_error <= EXACT
    )
    same = "divide by nothing that depends on the batch: its mean, over all rows alike, is what a step climbs"
    return [
        *checks,
        Check("scale", spread, 0.0, EXACT, "relative difference of the scale between problems", same),
        Check("sign", float(len(down)), 0.0, 0.0, meaning, "objectives are maximised: return what should grow"),
    ]
