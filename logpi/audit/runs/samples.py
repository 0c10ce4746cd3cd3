"""What a run's algorithm does at its checkpoint: fresh rollouts, their gradients, and updates from them."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PRNGKeyArray, PyTree

from ...algorithms import AbstractAlgorithm, PPO
from ...algorithms.base import AbstractSingleStep
from ...batch import prepare, with_standard_advantage
from ...errors import InputError
from ...learners.steps import gradient, Learner
from ...models import AbstractActorCritic, log_probs, unroll
from ...parameters import trainable
from ...rollout import AbstractRollout, close_or_warn
from ...trajectory import Trajectory
from ...transforms import RewardScaling
from .critic import Stream

Gradients = Float[np.ndarray, "batches parameters"]

BURN_IN = 2  # rollouts before the first that counts: not all episodes should have just begun


@dataclasses.dataclass
class Sampler:
    """Goes on through the environments of a run with the policy of its checkpoint."""

    algorithm: Any  # PPO, or one step a rollout
    model: AbstractActorCritic
    rollout: AbstractRollout
    scaling: RewardScaling | None
    key: PRNGKeyArray

    def __post_init__(self):
        known = isinstance(self.algorithm, PPO | AbstractSingleStep)
        if not known:
            name = type(self.algorithm).__name__ if isinstance(self.algorithm, AbstractAlgorithm) else self.algorithm
            raise InputError(f"The run's algorithm is {name}, but an audit knows the gradients of PPO, A2C, REINFORCE.")
        init = _init if self.rollout.compiled else type(self.rollout).init
        self._state = init(self.rollout, self.model, self._next())
        self._rewards = (self.scaling or RewardScaling()).init(self.rollout.num_envs)
        for _ in range(BURN_IN):
            self.trajectory()

    def trajectory(self) -> Trajectory:
        """The next rollout, with rewards as the algorithm sees them."""
        collect = _collect if self.rollout.compiled else type(self.rollout).collect
        trajectory, self._state = collect(self.rollout, self.model, self._state, self._next())
        if self.scaling is not None:
            trajectory, self._rewards = _scale(self.scaling, trajectory, self._rewards)
        return trajectory

    def gradients(self, batches: int) -> tuple[Gradients, Gradients, Stream]:
        """Of each of so many rollouts: the objective's gradient, the surrogate's alone, and the rows in their order."""
        flat, alone, rows = [], [], []
        for _ in range(batches):
            trajectory = self.trajectory()
            uphill, surrogate, value = _gradient(self.algorithm, self.model, trajectory)
            flat.append(np.asarray(uphill, np.float64))
            alone.append(np.asarray(surrogate, np.float64))
            rows.append([np.asarray(x) for x in (trajectory.reward, trajectory.terminated, trajectory.valid, value)])
        return (
            np.stack(flat),
            np.stack(alone),
            Stream(*(np.concatenate(column, axis=1) for column in zip(*rows, strict=True))),
        )

    def updated(self, learner: Learner) -> tuple[Learner, Float[np.ndarray, " rows"]]:
        """The learner after learning from the next rollout, and log-ratios of new to old probabilities of its rows."""
        trajectory = self.trajectory()
        after, log_ratio = _update(self.algorithm, learner, trajectory, self._next())
        return after, np.asarray(log_ratio, np.float64)[np.asarray(trajectory.valid)]

    def learner(self, num_updates: int, progress: float, warm: int) -> Learner:
        """The checkpoint's model with an optimiser that knows its gradients.

        A run folder holds no moments of the optimiser: they come from `warm` updates, whose models are thrown away.
        """
        learner = self.algorithm.init(self.model, num_updates, self._next())
        done = jnp.asarray(int(progress * num_updates), jnp.int32)
        for _ in range(warm):
            learner = self._back(self.updated(learner)[0], done)
        return self._back(learner, done)

    def close(self) -> None:
        """Closes the environments."""
        close_or_warn(self.rollout, self._state)

    def _back(self, learner: Learner, done: jax.Array) -> Learner:
        return Learner(self.model, learner.opt_state, done, learner.num_updates)

    def _next(self) -> PRNGKeyArray:
        self.key, key = jax.random.split(self.key)
        return key


def layers(model: PyTree) -> list[tuple[str, slice]]:
    """The name of each layer's parameters, and where they are in a flat gradient."""
    found, start = [], 0
    for place, leaf in jax.tree_util.tree_leaves_with_path(eqx.filter(model, trainable(model))):
        found.append((jax.tree_util.keystr(place).lstrip("."), slice(start, start + leaf.size)))
        start += leaf.size
    return found


@eqx.filter_jit
def _init(rollout, policy, key):
    return rollout.init(policy, key)


@eqx.filter_jit
def _collect(rollout, policy, state, key):
    return rollout.collect(policy, state, key)


@eqx.filter_jit
def _scale(scaling, trajectory, statistics):
    return scaling(trajectory, statistics)


@eqx.filter_jit
def _gradient(algorithm, model, trajectory):
    """Over a whole rollout, as at the first step of an update: of the objective, of the surrogate; and the values."""
    batch = prepare(model, trajectory, algorithm.credit, algorithm.segment_length)
    value = batch.value.reshape(trajectory.reward.shape)
    if isinstance(algorithm, PPO):
        batch = with_standard_advantage(batch)

    def surrogate(model, batch):
        record = algorithm.objective(model, batch)[1]
        return record.surrogate, ()

    both = (gradient(objective, model, batch)[0] for objective in (algorithm.objective, surrogate))
    return *(ravel_pytree(uphill)[0] for uphill in both), value


@eqx.filter_jit
def _update(algorithm, learner, trajectory, key):
    after, _ = algorithm.update(learner, trajectory, key)
    output, _ = unroll(after.model, trajectory.obs, trajectory.start, trajectory.memory)
    return after, log_probs(output.policy, trajectory.action) - trajectory.log_prob
