"""What a run's algorithm does at its checkpoint: fresh rollouts, the gradients of its objectives, and updates."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ...algorithms.base import Climbed, Spec, SURROGATE
from ...algorithms.off_policy import ACTION_VALUE
from ...algorithms.sac import Temperature
from ...batch import Segments
from ...errors import InputError
from ...learners.steps import gradient, Learner
from ...models import log_probs, Population, unroll, WithoutCritic
from ...parameters import trainable
from ...rollout import AbstractRollout, close_or_warn
from ...runs.schema import own_parts
from ...trajectory import Trajectory
from ...transforms import RewardTransform
from .critic import Stream

Gradients = Float[np.ndarray, "batches parameters"]

BURN_IN = 2  # rollouts before the first that counts: not all episodes should have just begun
FRESH = 5_000  # rows of an experience that keeps so many or more: they are collected anew
WARM = 2**30  # updates after which every warm-up is over


@dataclasses.dataclass(frozen=True)
class ObjectiveSeen:
    """One objective on several batches."""

    gradients: Gradients
    surrogates: Gradients | None  # of its surrogate alone, where it has one
    rows: float  # of a batch that count, on average
    layers: list[tuple[str, slice]]  # of its model, and where they are in a gradient

    @property
    def main(self) -> Gradients:
        """What the policy is moved by: of the surrogate, or of all where there is nothing else in it."""
        return self.gradients if self.surrogates is None else self.surrogates


@dataclasses.dataclass
class Sampler:
    """Goes on through the environments of a run with the policy of its checkpoint, as it explores.

    An experience that is kept is collected anew, for a run has none: `FRESH` rows where it keeps more.
    """

    algorithm: Any  # an AbstractAlgorithm
    model: PyTree  # its networks
    rollout: AbstractRollout
    transform: RewardTransform
    key: PRNGKeyArray

    def __post_init__(self):
        if own := own_parts(self.algorithm, "settings.algorithm"):
            raise InputError(
                f"The run was trained with an object of your own ({own[0]}), of which a folder keeps only a text: give "
                "logpi.load(folder, settings=...) with the settings that it was trained with."
            )
        first = self._drawn(0)
        self._state = self.rollout.begin(_acting(self.algorithm, first), self._next())
        self._rewards = self.transform.init(self.rollout.num_envs)
        experience, rows = self.algorithm.experience, self.rollout.num_envs * self.rollout.length
        if experience.capacity > (enough := max(FRESH, 2 * rows)):
            experience = dataclasses.replace(experience, capacity=enough)
        self._add, self._buffer = eqx.filter_jit(experience.add), None
        for i in range(max(BURN_IN, math.ceil(experience.capacity / rows))):
            trajectory = self.trajectory(first)
            if i == 0:
                self._buffer = experience.init(trajectory)
            self._buffer, _ = self._add(self._buffer, trajectory)

    def trajectory(self, state: PyTree) -> Trajectory:
        """The next rollout, with rewards as the algorithm sees them."""
        trajectory, self._state = self.rollout.run(_acting(self.algorithm, state), self._state, self._next())
        trajectory, self._rewards = _transformed(self.transform, trajectory, self._rewards)
        return trajectory

    def view(self, state: PyTree) -> tuple[Any, Trajectory]:
        """What the algorithm sees after the next rollout, and that rollout."""
        trajectory = self.trajectory(state)
        self._buffer, view = self._add(self._buffer, trajectory)
        return view, trajectory

    def gradients(self, batches: int) -> tuple[dict[str, ObjectiveSeen], Stream | None]:
        """Of each objective, on a batch after each of so many rollouts; and their rows with values, if there are such.

        Raises `InputError` for an algorithm that says of no objective.
        """
        found, streams = [], []
        for i in range(batches):
            state = self._drawn(i)
            view, trajectory = self.view(state)
            key = jax.random.fold_in(self.key, 1)
            each, value = _gradients(self.algorithm, state, view, key)
            found.append(each)
            reward = trajectory.reward
            if value is None and (alone := self._alone(trajectory)) is not None:
                value, bonus = _said_of_actions(self.algorithm, state, alone, trajectory, key)
                reward += bonus
            if value is not None:
                streams.append([np.asarray(x) for x in (reward, trajectory.terminated, trajectory.valid, value)])
        stream = Stream(*(np.concatenate(column, axis=1) for column in zip(*streams, strict=True))) if streams else None
        return {name: _seen([each[name] for each in found]) for name in self._named(found[0])}, stream

    def _alone(self, trajectory: Trajectory) -> Any:
        """What the algorithm sees of one trajectory, all rows in their order; `None` of an experience that has none."""
        experience, settings = self.algorithm.experience, {"capacity": 2 * trajectory.reward.size, "batch_size": None}
        if not settings.keys() <= {field.name for field in dataclasses.fields(experience)}:
            return None
        whole = dataclasses.replace(experience, **settings)
        return eqx.filter_jit(lambda trajectory: whole.add(whole.init(trajectory), trajectory)[1])(trajectory)

    def _named(self, found: dict[str, Any]) -> dict[str, Any]:
        if not found:
            raise InputError(
                f"The run's algorithm, {type(self.algorithm).__name__}, says of no objective over rows, and an audit "
                "takes apart such: let its method `objectives` give what it climbs."
            )
        return found

    def updated(self, state: PyTree) -> tuple[PyTree, Float[np.ndarray, " rows"]]:
        """The state after learning from the next rollout, and log-ratios of new to old probabilities of its rows.

        There are none where each stream has a policy of its own, and another one after an update.
        """
        view, trajectory = self.view(state)
        after, log_ratio = _update(self.algorithm, state, view, trajectory, self._next())
        if log_ratio is None:
            return after, np.zeros(0)
        return after, np.asarray(log_ratio, np.float64)[np.asarray(trajectory.valid)]

    def state(self, num_updates: int, progress: float, warm: int) -> PyTree:
        """The checkpoint's model with an optimiser that knows its gradients.

        A run folder holds no moments of the optimiser: they come from `warm` updates, whose models are thrown away.
        """
        first = self.algorithm.init(self.model, Spec.of(self.rollout), num_updates, self._next())
        done = jnp.asarray(int(progress * num_updates), jnp.int32)
        state = _placed(first, done)
        for _ in range(warm):
            state = _placed(first, done, self.updated(state)[0])
        return state

    def _drawn(self, i: int) -> PyTree:
        """A state with the checkpoint's model; what is random in it, as members are, is its own for each number."""
        return _begun(self.algorithm, self.model, Spec.of(self.rollout), jax.random.key(i))

    def close(self) -> None:
        """Closes the environments."""
        close_or_warn(self.rollout, self._state)

    def _next(self) -> PRNGKeyArray:
        self.key, key = jax.random.split(self.key)
        return key


def _placed(state: PyTree, done: jax.Array, warm: PyTree | None = None) -> PyTree:
    """The state with every `Learner` in it after so many updates, with what the optimisers know in a `warm` one."""

    def is_learner(node: Any) -> bool:
        return isinstance(node, Learner)

    def placed(node: Any, knows: Any) -> Any:
        return Learner(node.model, knows.opt_state, done, node.num_updates) if is_learner(node) else node

    return jax.tree.map(placed, state, state if warm is None else warm, is_leaf=is_learner)


def _seen(found: list[tuple[PyTree, PyTree | None, Array]]) -> ObjectiveSeen:
    """One objective, from its gradient, that of its surrogate, and the rows that counted, on each batch."""
    uphill, alone, rows = zip(*found, strict=True)
    surrogates = None if alone[0] is None else _flat(alone)
    return ObjectiveSeen(_flat(uphill), surrogates, float(np.mean(rows)), layers(uphill[0]))


def _flat(gradients: Sequence[PyTree]) -> Gradients:
    return np.stack([np.asarray(ravel_pytree(one)[0], np.float64) for one in gradients])


def layers(model: PyTree) -> list[tuple[str, slice]]:
    """The name of each layer's parameters, and where they are in a flat gradient."""
    found, start = [], 0
    for place, leaf in jax.tree_util.tree_leaves_with_path(eqx.filter(model, trainable(model))):
        found.append((jax.tree_util.keystr(place).lstrip("."), slice(start, start + leaf.size)))
        start += leaf.size
    return found


@eqx.filter_jit
def _begun(algorithm, model, spec, key):
    return algorithm.init(model, spec, 1, key)


@eqx.filter_jit
def _acting(algorithm, state):
    """Who explores, past every warm-up."""
    return algorithm.acting(_placed(state, jnp.asarray(WARM, jnp.int32)))


@eqx.filter_jit
def _transformed(transform, trajectory, statistics):
    return transform(trajectory, statistics)


@eqx.filter_jit
def _gradients(algorithm, state, view, key):
    """Of each objective as an update begins, and of its surrogate alone: gradients and rows; and values of states."""
    found, value = {}, None
    for name, climbed in algorithm.objectives(state, view, key).items():
        if isinstance(climbed.rows, Segments):
            value = climbed.rows.value.reshape(view.reward.shape)
        alone = None
        if SURROGATE.name in eqx.filter_eval_shape(climbed.function, climbed.model, climbed.rows)[1]:
            alone = gradient(surrogate_of(climbed), climbed.model, climbed.rows)[0]
        uphill = gradient(climbed.function, climbed.model, climbed.rows)[0]
        found[name] = (uphill, alone, jnp.sum(climbed.rows.weight))
    return found, value


@eqx.filter_jit
def _said_of_actions(algorithm, state, alone, trajectory, key):
    """What the critics say of the actions that were taken, and what the entropy adds to each reward: both with it.

    A state's value is that of its action and its entropy, so that the difference to the return is that of the action's.
    """
    said, temperature = None, jnp.zeros(())
    for climbed in algorithm.objectives(state, alone, key).values():
        record = climbed.function(climbed.model, climbed.rows)[1]
        if ACTION_VALUE.name in record:
            streams, time = trajectory.reward.shape
            said = record[ACTION_VALUE.name].reshape(streams, -1)[:, :time]
        if isinstance(climbed.model, Temperature):
            temperature = jnp.exp(climbed.model.log)
    bonus = -temperature * trajectory.log_prob
    return None if said is None else said + bonus, bonus


def surrogate_of(climbed: Climbed) -> Callable[[PyTree, PyTree], tuple[Array, tuple[()]]]:
    """The part of an objective that moves the policy to what earns more."""
    return lambda model, rows: (climbed.function(model, rows)[1][SURROGATE.name], ())


@eqx.filter_jit
def _update(algorithm, state, view, trajectory, key):
    after, _ = algorithm.update(state, view, key)
    acting = algorithm.acting(_placed(after, jnp.asarray(WARM, jnp.int32)))
    if isinstance(acting, Population):
        return after, None
    output, _ = unroll(WithoutCritic(acting), trajectory.obs, trajectory.start, trajectory.memory)
    return after, log_probs(output.policy, trajectory.action) - trajectory.log_prob
