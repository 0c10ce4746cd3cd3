"""What a run shows, in words: a table of rules, each with its threshold, its sentence and the chart that shows it."""

import dataclasses
import math
import shlex
from collections.abc import Callable

import numpy as np

from ..algorithms.base import ENTROPY, EXPLAINED_VARIANCE, GRADIENT_NORM, KL, SIGNAL_TO_NOISE
from ..algorithms.ppo import CLIPPED
from ..runs.schema import own_parts
from ..spaces.actions import num_reals
from .charts import shown
from .folders import Told
from .measure import Examination
from .panels.several_runs import improvements, scored
from .panels.updates import nothing_left, WITHOUT_MEANING
from .series import final_scores, Series, series

LATE = 1 / 3  # of a training, counted from its end
FEW = 4  # parts of a curve: with fewer there is no saying how it went


@dataclasses.dataclass(frozen=True)
class Finding:
    """A sentence, how bad it is (good, note, warning, fault), and the key of the chart that shows it."""

    text: str
    level: str
    chart: str
    run: int = 0


@dataclasses.dataclass(frozen=True)
class Rule:
    """When something is said. `sentence(told, threshold)` is what, or `None`."""

    name: str
    level: str
    chart: str
    threshold: float  # in the unit that the comment beside it says
    sentence: Callable[[Told, float], str | None]


def findings(told: Told) -> list[Finding]:
    """All that the rules have to say of a run, the worst first."""
    found = []
    for rule in RULES:
        if (told.empty and rule.name not in ("empty", "stopped", "unfinished")) or not told.columns:
            continue
        text = rule.sentence(told, rule.threshold)
        if text is not None:
            found.append(Finding(text, rule.level, rule.chart, told.index))
    return worst_first(found)


def worst_first(found: list[Finding]) -> list[Finding]:
    """Faults, warnings, notes, and what is good; each kind in the order it came."""
    return sorted(found, key=lambda finding: ("fault", "warning", "note", "good").index(finding.level))


def compared(told: list[Told]) -> list[Finding]:
    """Of each pair of runs in one environment: which ends above, or that nobody can tell."""
    found = []
    for better, other, p in improvements(scored(told)):
        between = f"[{shown(p.low)}, {shown(p.high)}]"
        if p.low > 0.5:
            text = f"It ends above {other.name} with probability {shown(p.value)} {between}."
        elif math.isnan(p.low):
            text = f"It ends above {other.name}, but a run of one seed says nothing of chance: train more seeds."
        else:
            text = f"It cannot be told from {other.name}: it ends above with probability {shown(p.value)} {between}."
        found.append(Finding(text, "note", "improvement", better.index))
    return found


def of_measured(told: Told, measured: Examination) -> list[Finding]:
    """What fresh episodes and the audit of the last policy found."""
    found = []
    if len(measured.evaluations) == 2:
        drawn, likeliest = (measured.evaluations[how].mean for how in (False, True))
        if drawn.high < likeliest.low or likeliest.high < drawn.low:
            text = (
                f"Its likeliest actions earn {likeliest}, actions drawn as in training {drawn}: say which you report."
            )
            found.append(Finding(text, "note", "evaluation", told.index))
    alike = nothing_left(measured)
    if alike is not None:
        found.append(Finding(alike, "note", "last_update", told.index))
    for check in () if measured.audit is None else measured.audit.findings:
        if alike is not None and check.key.partition(".")[0] in WITHOUT_MEANING:
            continue
        size = f"{shown(check.size)} ± {shown(check.error)}" if check.error else shown(check.size)
        text = f"The audit of its last policy found {check.name}: {size}, {check.meaning}; {check.cure}."
        found.append(Finding(text, "warning", check.chart or "settings", told.index))
    return found


def _late(found: Series) -> np.ndarray:
    """The middle of the last third, without gaps."""
    middle = found.middle[-max(1, round(len(found.steps) * LATE)) :]
    return middle[np.isfinite(middle)]


def _varies(told: Told) -> bool:
    """Whether the returns of late episodes differ: where they do not, there is nothing to learn or explain."""
    for columns in told.columns.values():
        late = (columns["steps"] > (1 - LATE) * told.steps) & (columns["episodes"] > 0)
        count, mean = columns["episodes"][late], columns["return_mean"][late]
        square = columns["return_squares"][late].sum() / max(count.sum(), 1)
        average = (count * mean).sum() / max(count.sum(), 1)
        if square - average**2 > 1e-4 * max(square, 1e-12):
            return True
    return False


def _empty(told: Told, _: float) -> str | None:
    return "No update is in the folder yet: there is nothing to show but the settings." if told.empty else None


def _stopped(told: Told, _: float) -> str | None:
    if told.fault is None:
        return None
    quantity, update, seed = (told.fault.get(key) for key in ("quantity", "update", "seed"))
    return f"NaN stopped the training: the {quantity} in rollout {update} of seed {seed} was not finite."


def _unfinished(told: Told, _: float) -> str | None:
    wanted = told.run.settings.num_updates * told.run.settings.steps_per_rollout
    words = {
        "interrupted": "was interrupted", "running": "is still going on", "unfinished": "ended without finishing",
        "ended early": f"was ended early ({told.run.summary.get('stopped')})",
    }  # fmt: skip
    if told.status not in words:
        return None
    cure = "reload for more" if told.status == "running" else f"{_resume(told)} goes on"
    return f"The training {words[told.status]} at {told.steps:,} of {wanted:,} steps ({cure})."


def _resume(told: Told) -> str:
    """What goes on with a run: the command, as it is typed, or Python where the command lacks something."""
    if not told.run.named or told.run.model != "network" or own_parts(told.run.settings):
        return "logpi.resume, in Python,"
    plan = told.run.evaluation_plan
    reached = told.status == "ended early" and plan is not None and plan.stop_at is not None
    folder = "RUN" if told.folder is None else shlex.quote(str(told.folder))
    return f"logpi resume {folder}{' --stop-at none' if reached else ''}"


def _dropped(told: Told, threshold: float) -> str | None:
    dropped, rows = (
        sum(f(c) for c in told.columns.values())
        for f in (lambda c: np.nansum(c["dropped"]), lambda c: len(c["steps"]))
    )  # fmt: skip
    if dropped <= threshold:
        return None
    return f"{dropped:.0f} of {rows:,} updates led to NaN and were dropped: lower the learning rate."


def _no_episode(told: Told, threshold: float) -> str | None:
    episodes = sum(c["episodes"].sum() for c in told.columns.values())
    return "No episode ended: there is no return to show." if episodes <= threshold else None


def _noise(told: Told, threshold: float) -> str | None:
    found = series(told, SIGNAL_TO_NOISE.name)
    late = _late(found)
    if len(late) < FEW or np.median(late) >= threshold or not _varies(told):
        return None
    above = np.flatnonzero(found.middle >= threshold)
    since = float(found.steps[above[-1]]) if len(above) else 0.0
    needed = told.run.settings.steps_per_rollout / max(float(np.median(late)), 1e-3)
    after = f"after {shown(since)} steps" if 0 < since < (1 - LATE) * told.steps else "for the last third of training"
    return (
        f"The gradient is mostly noise {after}: signal-to-noise {shown(float(np.median(late)))}, below {threshold:g}. "
        f"A batch of some {shown(float(f'{needed:.2g}'))} steps would make it 1; this run's has "
        f"{told.run.settings.steps_per_rollout:,}."
    )


def _critic(told: Told, threshold: float) -> str | None:
    late = _late(series(told, EXPLAINED_VARIANCE.name))
    if len(late) < FEW or np.median(late) >= threshold or not _varies(told):
        return None
    return (
        f"The critic explains nothing: {shown(float(np.median(late)))} of the variance of its targets in the last "
        f"third, below {threshold:g}. Raise value_coef or the number of epochs, or scale the rewards."
    )


def _entropy(told: Told, threshold: float) -> str | None:
    curve = series(told, ENTROPY.name).middle
    curve = curve[np.isfinite(curve)]
    if len(curve) < FEW:
        return None
    first, last = float(curve[0]), float(np.median(curve[-max(1, round(len(curve) * LATE)) :]))
    reals = num_reals(told.run.action_space)
    if reals:  # a density: its entropy has no zero, so a drop of as many nats in each dimension
        if (first - last) / reals < -np.log(threshold):
            return None
    elif first <= 0 or last >= threshold * first:
        return None
    return (
        f"The entropy collapsed from {shown(first)} to {shown(last)} nats: little is tried any more. "
        "Raise entropy_coef, or lower the learning rate, if the return is not yet good."
    )


def _kl(told: Told, threshold: float) -> str | None:
    kl = np.concatenate([columns.get(KL.name, np.zeros(0)) for columns in told.columns.values()])
    kl = kl[np.isfinite(kl)]
    share = float((kl > threshold).mean()) if len(kl) else 0.0
    if share < 0.1:
        return None
    return (
        f"Updates move the policy far: {share:.0%} of them by a KL above {threshold:g} nats. "
        "Lower the learning rate or the number of epochs, or set target_kl."
    )


def _clipped(told: Told, threshold: float) -> str | None:
    late = _late(series(told, CLIPPED.name))
    if not len(late) or np.median(late) <= threshold:
        return None
    return (
        f"{np.median(late):.0%} of rows are clipped in the last third, above {threshold:.0%}: "
        "much of each rollout teaches nothing. Lower the learning rate or the number of epochs."
    )


def _fell(told: Told, threshold: float) -> str | None:
    found = series(told, "return_mean")
    known = np.isfinite(found.middle)
    if known.sum() < FEW:
        return None
    width = max(1, round(known.sum() * 0.05))
    smooth = np.convolve(found.middle[known], np.ones(width) / width, "valid")
    best, last, first = float(smooth.max()), float(smooth[-1]), float(smooth[0])
    low = float(found.band[0][known][np.argmax(smooth)])
    if best - last <= threshold * (best - min(first, last)) or last >= low:
        return None
    steps = found.steps[known][np.argmax(smooth)]
    return (
        f"The return fell from its best, {shown(best)} near {shown(steps)} steps, to {shown(last)} at the end. "
        "A lower or annealed learning rate keeps what was learned; evaluations on the way (--evaluate-every) keep the "
        "best policy."
    )


def _no_rise(told: Told, threshold: float) -> str | None:
    found = series(told, "return_mean")
    low, high = (band[np.isfinite(band)] for band in found.band)
    parts = max(1, round(len(low) * 0.1))
    if len(low) < FEW or low[-parts:].mean() > high[:parts].mean() + threshold:
        return None
    return "The return did not rise: its interval at the end meets the one at the start."


def _disagree(told: Told, threshold: float) -> str | None:
    scores, found = final_scores(told), series(told, "return_mean").seeds
    scores = scores[np.isfinite(scores)]
    if len(scores) < 3:
        return None
    whole = float(np.nanmax(found) - np.nanmin(found))
    apart = float(np.quantile(scores, 0.75) - np.quantile(scores, 0.25))
    if apart <= threshold * whole or apart == 0:
        return None
    return (
        f"The seeds disagree: they end between {shown(float(scores.min()))} and {shown(float(scores.max()))}, "
        f"the middle half {shown(apart)} apart. One seed says little here."
    )


def _rose(told: Told, _: float) -> str | None:
    found = series(told, "return_mean")
    known = np.isfinite(found.middle)
    scores = final_scores(told)
    if known.sum() < FEW or not np.isfinite(scores).all() or _no_rise(told, 0.0) is not None:
        return None
    start, low, high = float(found.middle[known][0]), *(float(b[known][-1]) for b in found.band)
    over = f" over {len(scores)} seeds" if len(scores) > 1 else ""
    within = f" [{shown(low)}, {shown(high)}]" if np.isfinite([low, high]).all() else ""  # one episode has none
    return f"The return rose from {shown(start)} to {shown(float(found.middle[known][-1]))}{within}{over}."


RULES = (
    Rule("empty", "fault", "settings", 0.0, _empty),
    Rule("stopped", "fault", "settings", 0.0, _stopped),
    Rule("unfinished", "note", "settings", 0.0, _unfinished),
    Rule("dropped", "warning", GRADIENT_NORM.name, 0.0, _dropped),  # updates
    Rule("no_episode", "warning", "return", 0.0, _no_episode),  # episodes
    Rule(
        "noise", "warning", SIGNAL_TO_NOISE.name, 0.1, _noise
    ),  # |G|² over variance: the cosine of two rollouts is as much
    Rule("critic", "warning", EXPLAINED_VARIANCE.name, 0.05, _critic),  # share of the variance
    Rule("collapse", "warning", ENTROPY.name, 0.02, _entropy),  # of what there was at the start
    Rule("large_steps", "warning", KL.name, 0.1, _kl),  # nats
    Rule("cut_rows", "warning", CLIPPED.name, 0.3, _clipped),  # share of rows
    Rule("fell", "warning", "return", 0.2, _fell),  # of the rise from the lowest
    Rule("no_rise", "warning", "return", 0.0, _no_rise),  # units of return
    Rule("disagree", "note", "return", 0.25, _disagree),  # of the range of all curves
    Rule("rose", "good", "return", 0.0, _rose),
)
