"""What a walk through an environment says about it."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from ...spaces.kinds import Space
from ...spaces.membership import misfit, numbers, outside, same
from ..reports import Check
from .walks import Step, Walk

FEWEST_ENDS = 5  # before something is said of all ends
FEWEST_STEPS = 20  # before something is said of the size of a step
SHARE = 0.8  # of the ends that look like resets
JUMPED = 0.2  # of the ends that do so from far away


def count(key: str, problems: list[str], cure: str, fine: str = "", *, name: str = "") -> Check:
    """A check whose size is the number of problems; the first is told."""
    return Check(key, float(len(problems)), 0.0, 0.0, problems[0] if problems else fine, cure, name)


def said(key: str, meaning: str, *, name: str = "") -> Check:
    """What is only told: it cannot fail."""
    return Check(key, 0.0, 0.0, math.inf, meaning, "", name)


def observation_checks(walk: Walk, space: Space) -> list[Check]:
    """Types, shapes and bounds of all observations, and whether they stay as they were given."""
    labelled = [(obs, f"the observation of reset {i}") for i, obs in enumerate(walk.starts)]
    labelled += [(step.obs, f"the observation of step {i}") for i, step in enumerate(walk.steps)]
    odd, out = [], []
    for obs, name in labelled:
        if problem := misfit(space, obs, name):
            odd.append(problem)
        elif problem := outside(space, obs, name):
            out.append(problem)
    return [
        count("dtype_and_shape", odd, "return what observation_space announces, or announce what is returned",
              f"of {len(labelled)} observations"),
        count("observations_in_space", out, "clip them, or widen the bounds of observation_space",
              f"of {len(labelled)} observations", name="observations in the space"),
        count("fresh_observations", walk.changed, "return a copy: obs.copy()", name="a fresh observation array"),
    ]  # fmt: skip


def reward_check(walk: Walk) -> Check:
    """One finite number each."""
    problems = []
    for i, step in enumerate(walk.steps):
        single = isinstance(step.reward, int | float | np.generic) or np.shape(step.reward) == ()
        if not single or np.asarray(step.reward).dtype.kind not in "fiub":
            shown = f"of shape {np.shape(step.reward)}" if not single else f"of type {type(step.reward).__name__}"
            problems.append(f"the reward of step {i} is {shown}, but must be one number")
        elif not np.isfinite(float(step.reward)):
            problems.append(f"the reward of step {i} is {float(step.reward)}")
    return count("finite_rewards", problems, "return float(reward), and mend what makes it infinite or NaN",
                 f"of {len(walk.steps)} steps", name="rewards finite")  # fmt: skip


def flag_check(walk: Walk, limit: int | None) -> Check:
    """Two truth values, of which the one that a time limit sets is `truncated`."""
    problems = [f"{problem}" for problem in walk.malformed if "4 things" in problem]
    at_limit = [step for step in walk.ends if step.length == limit]
    if len(at_limit) > 1 and not any(np.any(step.truncated) for step in at_limit):  # one alone may be the task's end
        problems.append(
            f"all {len(at_limit)} episodes that reached the time limit of {limit} ended by terminated alone"
        )
    for i, step in enumerate(walk.steps):
        kinds = [
            type(flag).__name__ for flag in (step.terminated, step.truncated) if not isinstance(flag, bool | np.bool_)
        ]
        if kinds:
            problems.append(f"a flag of step {i} is of type {kinds[0]}, not bool")
    ends = [step for step in walk.ends if step.length != limit]
    various = len({step.length for step in ends}) > 1  # else both may be due at once
    if (
        len(ends) >= FEWEST_ENDS
        and various
        and all(bool(np.all(s.terminated)) and bool(np.all(s.truncated)) for s in ends)
    ):
        problems.append(f"all {len(ends)} ends set both flags, also before a time limit")
    return count(
        "flags_apart", problems,
        "return (obs, reward, terminated, truncated, info): terminated where the task is over, truncated where a time "
        "limit cuts it; both bool", f"of {len(walk.ends)} ends", name="terminated and truncated apart",
    )  # fmt: skip


def limit_check(walk: Walk, limit: int | None) -> tuple[list[Check], list[str]]:
    """Whether episodes are cut where the time limit says."""
    if limit is None:
        return [], _suspicious_lengths(walk)
    reached = sum(step.length >= limit for step in walk.steps)
    if not reached:
        return [], [f"the time limit: no episode of random actions was as long as {limit} steps"]
    problems = [f"{walk.overrun} episodes went on after {limit} steps"] * bool(walk.overrun)
    return [count("time_limit", problems, "set truncated after max_episode_steps, or wrap it in TimeLimit",
                  f"of {limit} steps, reached {reached} times")], []  # fmt: skip


def _suspicious_lengths(walk: Walk) -> list[str]:
    lengths = {step.length for step in walk.ends}
    if len(walk.ends) < FEWEST_ENDS or len(lengths) > 1 or lengths == {1}:
        return []
    if not all(bool(np.all(step.terminated)) for step in walk.ends):
        return []
    return [
        f"whether the end of all {len(walk.ends)} episodes after {lengths.pop()} steps is a time limit (time_limit=)"
    ]


def successor_check(walk: Walk, resets: list[Any]) -> tuple[list[Check], list[str]]:
    """Whether the observation given with an end is what the action led to, and not the first of the next episode.

    It is taken for the latter where, at most ends, it is as near to observations of resets as those are to each other,
    and at some of them further from the observation before it than any other step went.
    """
    inner = [step for step in walk.steps if not step.ended]
    ends = walk.ends
    if len(ends) < FEWEST_ENDS or len(inner) < FEWEST_STEPS or len(resets) < 2:
        return [], [f"the observation given with an end: {len(ends)} ends and {len(inner)} other steps are too few"]
    try:
        near, jumps = _like_resets(ends, inner, resets)
    except ValueError:  # observations of changing shapes, which is told elsewhere
        return [], ["the observation given with an end: observations cannot be compared"]
    wrong = near.mean() >= SHARE and (near & jumps).mean() >= JUMPED
    problems = [f"{int(near.sum())} of {len(ends)} ends came with an observation as of a reset"] * bool(wrong)
    return [
        count("true_successor", problems, "return the observation that the action led to, and leave the reset to the "
              "caller", f"of {len(ends)} ends")
    ], []  # fmt: skip


def _like_resets(ends: list[Step], inner: list[Step], resets: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    seen = np.stack([numbers(step.obs) for step in inner])
    scale = np.maximum(seen.std(0), 1e-6 * (1 + np.abs(seen).max(0)))

    def rows(observations: list[Any]) -> Float[np.ndarray, "n features"]:
        return np.stack([numbers(obs) for obs in observations]) / scale

    final, before, fresh = rows([s.obs for s in ends]), rows([s.before for s in ends]), rows(resets)
    ordinary = np.linalg.norm(rows([s.obs for s in inner]) - rows([s.before for s in inner]), axis=1).max()
    apart = np.linalg.norm(fresh[:, None] - fresh[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    distance = np.linalg.norm(final[:, None] - fresh[None], axis=2).min(1)
    return distance <= apart.min(1).max() + 1e-9, np.linalg.norm(final - before, axis=1) > 1.2 * ordinary


def same_episode_check(first: Walk, second: Walk, cure: str) -> Check:
    """Whether two walks with the same seed and actions are equal bit by bit."""
    problems = [f"{label} differs" for label, _ in _differences(first, second)]
    return _compared("same_seed", problems, first, second, cure, name="same seed, same episode")


def fresh_start_check(first: Walk, second: Walk, cure: str) -> tuple[Check, list[str]]:
    """Whether a walk is the same in an environment that has a past: from reset to reset, and in its ends.

    Where only the steps in between differ, that is told and is no finding: physics engines (Box2D, in Gymnasium's
    BipedalWalker) keep caches over a reset, which change the order of contacts.
    """
    differences = _differences(first, second)
    inner = bool(differences) and differences[0][1] and not second.broken
    problems = [] if inner else [f"{label} differs" for label, _ in differences]
    notes = [
        f"after other episodes, {label} differs: as where an engine keeps caches" for label, _ in differences[:inner]
    ]
    return _compared("reset_starts_anew", problems, first, second, cure), notes


def _compared(key: str, problems: list[str], first: Walk, second: Walk, cure: str, *, name: str = "") -> Check:
    if second.broken and not first.broken:
        problems = [*problems, f"the second walk broke down: {second.raised or second.hung}"]
    return count(key, problems, cure, f"of {len(second.steps)} steps", name=name)


def _differences(first: Walk, second: Walk) -> list[tuple[str, bool]]:
    """What differs, in the order it happened, and whether it is the observation or the reward of a step."""
    pairs, episode = [], 0
    for i, (a, b) in enumerate(zip(first.steps, second.steps, strict=False)):
        if a.length == 1:
            pairs.append((f"the observation of reset {episode}", a.before, b.before, False))
            episode += 1
        pairs.append((f"the observation of step {i}", a.obs, b.obs, True))
        pairs.append((f"the reward of step {i}", a.reward, b.reward, True))
        flags = (a.terminated, a.truncated), (b.terminated, b.truncated)
        pairs.append((f"the flags of step {i}", *flags, False))
    return [(label, inner) for label, x, y, inner in pairs if not same(x, y)]
