"""The same states shown to the policies of a training, from the first to the last: what would each have done?"""

import dataclasses
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from ..distributions import Bernoulli, Categorical, Joint, Normal
from ..models import AbstractActorCritic, initial_memories, make_actor_critic, unroll
from ..runs.checkpoints import damage, listed, STATE
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


def _policies(told: Told) -> list[tuple[str, float, AbstractActorCritic]]:
    """Before training, at each checkpoint that is whole, and at the end."""
    run, last = told.run, told.run.models[0]
    found = []
    if run.model == "network":
        key = jax.random.split(jax.random.key(run.seeds[0]))[0]
        arguments = (run.obs_space, run.action_space, run.settings.network)
        found.append(("before training", 0.0, eqx.filter_jit(make_actor_critic)(*arguments, key=key)))
    columns = told.columns[run.seeds[0]]
    for path in reversed(listed(told.folder / "checkpoints")) if told.folder else []:
        steps = float(np.interp(int(path.name), np.r_[0, columns["iteration"]], np.r_[0, columns["steps"]]))
        if steps < told.steps and (model := _stored(path, last)) is not None:
            found.append((f"{steps:,.0f} steps", steps, model))
    return [*found, ("at the end", float(told.steps), last)]


def _stored(path: Path, like: AbstractActorCritic) -> AbstractActorCritic | None:
    """The first seed's model in a checkpoint; `None` where it is damaged, or holds it in another place."""
    from safetensors import safe_open, SafetensorError

    if damage(path):
        return None
    dynamic, static = eqx.partition(like, eqx.is_array)
    places = jax.tree_util.tree_leaves_with_path(dynamic)
    try:
        with safe_open(path / STATE, framework="numpy") as file:
            known = set(file.keys())
            names = [f"[0].algorithm.model{jax.tree_util.keystr(place)}" for place, _ in places]
            if not known.issuperset(names):
                return None
            arrays = [file.get_tensor(name) for name in names]
    except (SafetensorError, OSError):
        return None
    if any(array.shape != leaf.shape for array, (_, leaf) in zip(arrays, places, strict=True)):
        return None
    leaves = [jax.numpy.asarray(a, leaf.dtype) for a, (_, leaf) in zip(arrays, places, strict=True)]
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(dynamic), leaves), static)


@eqx.filter_jit
def _outputs(model, trajectory):
    memory = initial_memories(model, trajectory.start.shape[0])
    return unroll(model, trajectory.obs, trajectory.start, memory)[0].policy


def _columns(policy) -> tuple[tuple[str, ...], bool, np.ndarray, np.ndarray] | None:
    """Names of actions, whether they are continuous, and two arrays (streams, time, columns): see `Stage`."""
    match policy:
        case Categorical(logits=logits):
            p = np.asarray(jax.nn.softmax(logits))
            return tuple(f"{i}" for i in range(p.shape[-1])), False, p, np.zeros(0)
        case Bernoulli(logits=logits):
            p = np.asarray(jax.nn.sigmoid(logits)).reshape(*logits.shape[:2], -1)
            return tuple(f"{i} on" for i in range(p.shape[-1])), False, p, np.zeros(0)
        case Normal(mean=mean, log_std=log_std):
            shape = (*mean.shape[:2], -1)
            mean, std = np.asarray(mean).reshape(shape), np.exp(np.asarray(log_std)).reshape(shape)
            return tuple(f"{i}" for i in range(mean.shape[-1])), True, mean, np.broadcast_to(std, mean.shape)
        case Joint(parts=parts):
            return _joined([_columns(part) for part in parts])
    return None


def _joined(parts: list) -> tuple[tuple[str, ...], bool, np.ndarray, np.ndarray] | None:
    """Parts of one kind beside each other."""
    if any(part is None or part[1] != parts[0][1] for part in parts):
        return None
    names = tuple(f"{i}: {name}" for i, part in enumerate(parts) for name in part[0])
    second = np.concatenate([part[3] for part in parts], -1) if parts[0][1] else np.zeros(0)
    return names, parts[0][1], np.concatenate([part[2] for part in parts], -1), second
