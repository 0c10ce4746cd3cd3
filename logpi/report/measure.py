"""What is measured anew for a report: fresh episodes both ways, an audit of the gradient, actions on some states."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from ..audit import Report
from ..audit import run as audit_run
from ..errors import InputError
from ..evaluation.evaluate import Evaluation
from ..evaluation.playing import in_shares, rollouts, shares
from ..models import AbstractPolicy, Deterministic
from ..rollout import AbstractRollout
from ..rollout.base import whole
from ..trajectory import Trajectory
from .folders import Told
from .probe import Probe, probe

CHUNK = 256  # steps of a rollout
MOST_STEPS = 20_000  # that an environment plays for all its episodes
USUAL = (64, 16)  # episodes of each seed, compiled and on the host
HOST_ENVS = 8


@dataclasses.dataclass(frozen=True)
class Episodes:
    """Complete episodes of one policy."""

    returns: Float[np.ndarray, " episodes"]  # undiscounted
    lengths: Float[np.ndarray, " episodes"]  # steps
    terminated: Bool[np.ndarray, " episodes"]  # by the environment; else cut at a time limit


@dataclasses.dataclass(frozen=True)
class Examination:
    """What was measured of one run; empty parts could not be, and `notes` say why."""

    evaluations: dict[bool, Evaluation] = dataclasses.field(default_factory=dict)  # by whether deterministic
    episodes: Episodes | None = None  # of all seeds, actions drawn
    audit: Report | None = None  # of the first seed
    probe: Probe | None = None  # of the first seed
    notes: tuple[str, ...] = ()


def measure(
    told: Told, episodes: int | None = None, env: Any = None, says: Callable[[str], object] = str
) -> Examination:
    """Plays and audits the policies of a run. What cannot be done is named in the notes, and the rest is done.

    `says` hears what is being done. Nothing is measured of a run without all of its policies.
    """
    if len(told.run.models) < len(told.run.seeds) or not told.run.models:
        return Examination()
    try:
        source = told.run.source(env)
        number = episodes or source.either(*USUAL)
        num_envs = source.envs(min(number, source.either(USUAL[0], HOST_ENVS)))
        rollout = told.run.rollout(source, num_envs, CHUNK)
    except InputError as error:
        return Examination(notes=(str(error),))
    found, notes = Examination(), []
    tasks: tuple[tuple[str, Callable[[Examination], Examination]], ...] = (
        ("playing episodes", lambda m: _played(m, told, source.name, rollout, number)),
        ("looking at actions", lambda m: dataclasses.replace(m, probe=_probed(told, rollout))),
        ("auditing the gradient", lambda m: dataclasses.replace(m, audit=audit_run(told.run, env=env))),
    )
    for what, task in tasks:
        says(f"{told.name}: {what}")
        try:
            found = task(found)
        except InputError as error:
            notes.append(str(error))
    return dataclasses.replace(found, notes=tuple(notes))


def _played(before: Examination, told: Told, name: str, rollout: AbstractRollout, episodes: int) -> Examination:
    """Evaluations of every seed, drawn and by modes."""
    evaluations, drawn = {}, []
    for deterministic in (False, True):
        found = []
        for i, drawing in enumerate(told.run.policies):
            policy = Deterministic(drawing) if deterministic else drawing
            found.append(play(policy, rollout, episodes, jax.random.fold_in(jax.random.key(0), i))[0])
        few = min(len(each.returns) for each in found)
        if not few:
            raise InputError(f"No episode ended within {MOST_STEPS:,} steps: give the environment a time limit.")
        returns, lengths = (np.stack([getattr(e, key)[:few] for e in found]) for key in ("returns", "lengths"))
        evaluations[deterministic] = Evaluation(name, deterministic, told.run.seeds, returns, lengths)
        drawn = drawn or found
    keys = ("returns", "lengths", "terminated")
    together = Episodes(*(np.concatenate([getattr(e, key) for e in drawn]) for key in keys))
    return dataclasses.replace(before, evaluations=evaluations, episodes=together)


def _probed(told: Told, rollout: AbstractRollout) -> Probe | None:
    _, trajectory = play(told.run.policies[0], rollout, 0, jax.random.key(1))
    return probe(told, trajectory)


def play(
    policy: AbstractPolicy, rollout: AbstractRollout, episodes: int, key: PRNGKeyArray
) -> tuple[Episodes, Trajectory]:
    """`episodes` fresh episodes, and the first rollout of them.

    Every environment plays its share to the end: whichever end came first would prefer short episodes. What has not
    ended after `MOST_STEPS` steps of an environment is left out.
    """
    wanted = shares(episodes, rollout.num_envs)
    found: list[list[tuple[float, float, bool]]] = [[] for _ in wanted]
    first: Trajectory | None = None
    with contextlib.closing(rollouts(policy, rollout, MOST_STEPS // rollout.length, key, whole)) as played:
        for trajectory, rows in played:
            first = trajectory if first is None else first
            columns = (rows.ended, rows.total_reward, rows.length, trajectory.terminated)
            ended, *numbers = (np.asarray(x) for x in columns)
            for stream, time in zip(*np.nonzero(ended), strict=True):
                total, length, terminated = (x[stream, time] for x in numbers)
                found[stream].append((float(total), float(length), bool(terminated)))
            if len(in_shares(found, wanted)) == episodes:
                break
    if first is None:
        raise InputError(f"A rollout of {rollout.length} steps is too long for a report: give at most {MOST_STEPS:,}.")
    returns, lengths, terminated = np.array(in_shares(found, wanted), np.float64).reshape(-1, 3).T
    return Episodes(returns, lengths, terminated > 0), first
