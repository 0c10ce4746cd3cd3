"""What a run's algorithm does at its checkpoint: fresh rollouts, their gradients, and updates from them."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PRNGKeyArray, PyTree

from ...algorithms.base import check_on_policy, Spec, SURROGATE
from ...errors import InputError
from ...learners.steps import gradient, Learner
from ...models import AbstractActorCritic, log_probs, unroll
from ...parameters import trainable
from ...rollout import AbstractRollout, close_or_warn
from ...runs.schema import own_parts
from ...trajectory import Trajectory
from ...transforms import RewardScaling
from .critic import Stream

Gradients = Float[np.ndarray, "batches parameters"]

BURN_IN = 2  # rollouts before the first that counts: not all episodes should have just begun


@dataclasses.dataclass
class Sampler:
    """Goes on through the environments of a run with the policy of its checkpoint."""

    algorithm: Any  # an AbstractOnPolicy
    model: AbstractActorCritic
    rollout: AbstractRollout
    scaling: RewardScaling | None
    key: PRNGKeyArray

    def __post_init__(self):
        if own := own_parts(self.algorithm, "settings.algorithm"):
            raise InputError(
                f"The run was trained with an object of your own ({own[0]}), of which a folder keeps only a text: give "
                "logpi.load(folder, settings=...) with the settings that it was trained with."
            )
        check_on_policy(self.algorithm)
        self._state = self.rollout.begin(self.model, self._next())
        self._rewards = (self.scaling or RewardScaling()).init(self.rollout.num_envs)
        for _ in range(BURN_IN):
            self.trajectory()

    def trajectory(self) -> Trajectory:
        """The next rollout, with rewards as the algorithm sees them."""
        trajectory, self._state = self.rollout.run(self.model, self._state, self._next())
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

    def updated(self, state: PyTree) -> tuple[PyTree, Float[np.ndarray, " rows"]]:
        """The state after learning from the next rollout, and log-ratios of new to old probabilities of its rows."""
        trajectory = self.trajectory()
        after, log_ratio = _update(self.algorithm, state, trajectory, self._next())
        return after, np.asarray(log_ratio, np.float64)[np.asarray(trajectory.valid)]

    def state(self, num_updates: int, progress: float, warm: int) -> PyTree:
        """The checkpoint's model with an optimiser that knows its gradients.

        A run folder holds no moments of the optimiser: they come from `warm` updates, whose models are thrown away.
        """
        state = self.algorithm.init(self.model, Spec.of(self.rollout), num_updates, self._next())
        done = jnp.asarray(int(progress * num_updates), jnp.int32)
        for _ in range(warm):
            state = self._back(self.updated(state)[0], done)
        return self._back(state, done)

    def close(self) -> None:
        """Closes the environments."""
        close_or_warn(self.rollout, self._state)

    def _back(self, state: PyTree, done: jax.Array) -> PyTree:
        """The state with the checkpoint's model, and with every `Learner` in it at its place in the schedule."""

        def is_learner(node: Any) -> bool:
            return isinstance(node, Learner)

        def placed(node: Any) -> Any:
            return Learner(node.model, node.opt_state, done, node.num_updates) if is_learner(node) else node

        state = eqx.tree_at(self.algorithm.networks, state, self.model)
        return jax.tree.map(placed, state, is_leaf=is_learner)

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
def _scale(scaling, trajectory, statistics):
    return scaling(trajectory, statistics)


@eqx.filter_jit
def _gradient(algorithm, model, trajectory):
    """Over a whole rollout, as at the first step of an update: of the objective, of the surrogate; and the values."""
    batch = algorithm.batch(model, trajectory)
    value = batch.value.reshape(trajectory.reward.shape)

    def surrogate(model, batch):
        return algorithm.objective(model, batch)[1][SURROGATE.name], ()

    both = (gradient(objective, model, batch)[0] for objective in (algorithm.objective, surrogate))
    return *(ravel_pytree(uphill)[0] for uphill in both), value


@eqx.filter_jit
def _update(algorithm, state, trajectory, key):
    after, _ = algorithm.update(state, trajectory, key)
    output, _ = unroll(algorithm.networks(after), trajectory.obs, trajectory.start, trajectory.memory)
    return after, log_probs(output.policy, trajectory.action) - trajectory.log_prob
