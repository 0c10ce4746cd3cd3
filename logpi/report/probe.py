"""The same states shown to the policies of a training, from the first to the last: what would each have done?"""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, PyTree

from ..algorithms import Spec
from ..distributions.traits import traits
from ..errors import InputError
from ..models import AbstractActorCritic, AbstractPolicy, initial_memories, unroll, WithoutCritic
from ..runs.arrays import load_arrays
from ..runs.checkpoints import damage, listed, STATE
from ..runs.schema import own_parts
from ..trajectory import Trajectory
from .folders import Told

STATES = 10  # that are shown one by one


@dataclasses.dataclass(frozen=True)
class Stage:
    """A policy at some time in its training, on the probe: (states, columns)."""

    name: str
    steps: float
    first: Float[np.ndarray, "states columns"]  # probabilities; of Gaussians, means
    second: Float[np.ndarray, "states _"]  # of Gaussians, standard deviations; else empty
    average: Float[np.ndarray, " columns"]  # of `first` over all states met; of Gaussians, of `second`


@dataclasses.dataclass(frozen=True)
class Probe:
    """What several policies would do in the same states, which the last of them met."""

    states: tuple[str, ...]
    actions: tuple[str, ...]
    continuous: bool
    stages: tuple[Stage, ...]  # in the order of training


def probe(told: Told, trajectory: Trajectory) -> Probe | None:
    """The first seed's policies on states of a trajectory; `None` for distributions that logpi does not know."""
    valid = np.asarray(trajectory.valid).T  # by time first: so that the probe spreads over it
    places = np.argwhere(valid)
    chosen = places[np.linspace(0, len(places) - 1, min(STATES, len(places))).astype(int)]
    stages, actions, continuous = [], (), False
    for name, steps, model in _policies(told):
        found = _columns(_outputs(model, trajectory))
        if found is None:
            return None
        actions, continuous, first, second = found
        picked = [x[chosen[:, 1], chosen[:, 0]] if x.size else np.zeros((len(chosen), 0)) for x in (first, second)]
        average = (second if continuous else first)[valid.T].mean(0)
        stages.append(Stage(name, steps, picked[0], picked[1], average))
    return Probe(tuple(f"step {time + 1}" for time, _ in chosen), actions, continuous, tuple(stages))


def _policies(told: Told) -> list[tuple[str, float, AbstractPolicy]]:
    """Before training, at each checkpoint that is whole, and at the end."""
    run, last, algorithm = told.run, told.run.policies[0], told.run.settings.algorithm
    if own_parts(run.settings):  # of which nothing but a text is known, so that no state can be read
        return [("at the end", float(told.steps), last)]
    settings, found = run.settings, []
    spec = Spec(run.obs_space, run.action_space, settings.num_envs, settings.rollout_length)
    key = jax.random.split(jax.random.key(run.seeds[0]))[0]
    if run.model == "network":
        untrained = eqx.filter_jit(algorithm.build)(spec, settings.network, key)
        found.append(("before training", 0.0, algorithm.policy(untrained)))
    columns = told.columns[run.seeds[0]]
    learner = eqx.filter_eval_shape(algorithm.init, run.models[0], spec, settings.num_updates, key)
    for path in reversed(listed(told.folder / "checkpoints")) if told.folder else []:
        steps = float(np.interp(int(path.name), np.r_[0, columns["iteration"]], np.r_[0, columns["steps"]]))
        if steps < told.steps and (stored := _stored(path, learner)) is not None:
            found.append((f"{steps:,.0f} steps", steps, algorithm.policy(algorithm.networks(stored))))
    return [*found, ("at the end", float(told.steps), last)]


def _stored(path: Path, learner: PyTree) -> PyTree | None:
    """What the first seed's algorithm remembers in a checkpoint; `None` where it is damaged, or another's."""
    if damage(path):
        return None
    try:
        return load_arrays(path / STATE, learner, "[0].learner")
    except InputError:
        return None


@eqx.filter_jit
def _outputs(model, trajectory):
    memory = initial_memories(model, trajectory.start.shape[0])
    model = model if isinstance(model, AbstractActorCritic) else WithoutCritic(model)
    return unroll(model, trajectory.obs, trajectory.start, memory)[0].policy


def _columns(policy: Any) -> tuple[tuple[str, ...], bool, np.ndarray, np.ndarray] | None:
    """Names of actions, whether they are continuous, and two arrays (streams, time, columns): see `Stage`."""
    known = traits(policy)
    if parts := known.parts():
        return _joined([_columns(part) for part in parts])
    summary = {name: np.asarray(x) for name, x in known.summary().items()}
    flat = {name: x.reshape(*x.shape[:2], -1) for name, x in summary.items()}
    match flat:
        case {"probabilities": p}:
            return tuple(f"{i}" for i in range(p.shape[-1])), False, p, np.zeros(0)
        case {"ones": p}:
            return tuple(f"{i} on" for i in range(p.shape[-1])), False, p, np.zeros(0)
        case {"mean": mean, "std": std}:
            return tuple(f"{i}" for i in range(mean.shape[-1])), True, mean, np.broadcast_to(std, mean.shape)
        case _:
            return None


def _joined(parts: list[Any]) -> tuple[tuple[str, ...], bool, np.ndarray, np.ndarray] | None:
    """Parts of one kind beside each other."""
    if any(part is None or part[1] != parts[0][1] for part in parts):
        return None
    names = tuple(f"{i}: {name}" for i, part in enumerate(parts) for name in part[0])
    second = np.concatenate([part[3] for part in parts], -1) if parts[0][1] else np.zeros(0)
    return names, parts[0][1], np.concatenate([part[2] for part in parts], -1), second
