"""The loop around rollout and update: the only one, and the only place that asks whether environments are compiled."""

import functools
import threading
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray, PyTree

from ..algorithms import AbstractAlgorithm
from ..evaluation.episodes import EpisodeRows, follow, no_episodes, OpenEpisodes
from ..models import AbstractActorCritic, AbstractPolicy
from ..parameters import trainable
from ..rollout import AbstractRollout
from ..runs.metrics import Metrics
from ..trajectory import Trajectory
from ..transforms import RewardScaling, RewardStatistics

BUFFER = 128  # iterations that one call of the compiled loop can do
_RESUMING = 0x5E5  # sets the keys of resumed environments apart from those of iterations


class TrainingState(eqx.Module):
    """All of a training under way, in one tree: what a checkpoint holds."""

    algorithm: PyTree
    rollout: PyTree
    open_episodes: OpenEpisodes
    rewards: RewardStatistics
    iteration: Int[Array, ""]
    key: PRNGKeyArray


class Trainer(eqx.Module):
    """An algorithm, a rollout, and what happens to rewards between them.

    An update that leads to NaN or infinity is dropped with `skip`; without it, the loop ends at that update.
    """

    algorithm: AbstractAlgorithm
    rollout: AbstractRollout
    scaling: RewardScaling | None = None
    skip: bool = eqx.field(static=True, default=False)

    def init(self, model: AbstractActorCritic, num_updates: int | Int[Array, ""], key: PRNGKeyArray) -> TrainingState:
        """Before the first iteration."""
        algorithm_key, rollout_key, key = jax.random.split(key, 3)
        state = self.algorithm.init(model, num_updates, algorithm_key)
        return self._started(state, (self.scaling or RewardScaling()).init(self.rollout.num_envs), key, 0, rollout_key)

    def blank(self, model: AbstractActorCritic, num_updates: int | Int[Array, ""], key: PRNGKeyArray) -> TrainingState:
        """The same without environments: what `portable` gives of it."""
        algorithm_key, _, key = jax.random.split(key, 3)
        state = self.algorithm.init(model, num_updates, algorithm_key)
        num_envs = self.rollout.num_envs
        rewards = (self.scaling or RewardScaling()).init(num_envs)
        return TrainingState(state, None, no_episodes(num_envs), rewards, jnp.zeros((), jnp.int32), key)

    def portable(self, state: TrainingState) -> TrainingState:
        """What of a state can be stored: all of it, but for environments on the host."""
        return state if self.rollout.compiled else _without_rollout(state)

    def resumed(self, stored: TrainingState) -> TrainingState:
        """Where `portable` was stored. Environments on the host start new episodes, seeded by key and iteration."""
        if self.rollout.compiled:
            return stored
        key = jax.random.fold_in(jax.random.fold_in(stored.key, stored.iteration), _RESUMING)
        num_envs = self.rollout.num_envs
        rewards = eqx.tree_at(lambda r: r.discounted, stored.rewards, jnp.zeros(num_envs))
        return self._started(stored.algorithm, rewards, stored.key, stored.iteration, key)

    def _started(self, algorithm: PyTree, rewards: RewardStatistics, key, iteration, rollout_key) -> TrainingState:
        """With new episodes in all environments."""
        rollout = self.rollout.init(self.algorithm.policy(algorithm), rollout_key)
        episodes = no_episodes(self.rollout.num_envs)
        return TrainingState(algorithm, rollout, episodes, rewards, jnp.asarray(iteration, jnp.int32), key)

    def policy(self, state: TrainingState) -> AbstractPolicy:
        """The policy as it stands."""
        return self.algorithm.policy(state.algorithm)

    def keys(self, state: TrainingState) -> tuple[PRNGKeyArray, PRNGKeyArray]:
        """For the rollout and the update of the next iteration. They depend on its number, not on how it is run."""
        return _iteration_keys(state.key, state.iteration)

    def learn(
        self, state: TrainingState, trajectory: Trajectory, rollout_state: PyTree, key: PRNGKeyArray
    ) -> tuple[TrainingState, Metrics]:
        """One iteration from the trajectory on."""
        rows, open_episodes = follow(trajectory, state.open_episodes)
        steps = jnp.sum(trajectory.valid * 1.0)
        reward = jnp.sum(trajectory.reward) / jnp.maximum(steps, 1)
        finite = all_finite((trajectory.obs, trajectory.last_obs, trajectory.reward))
        rewards = state.rewards
        if self.scaling is not None:
            trajectory, rewards = self.scaling(trajectory, rewards)
        algorithm, info = self.algorithm.update(state.algorithm, trajectory, key)
        policy = self.algorithm.policy(algorithm)
        finite &= all_finite((info.gradient_norm, eqx.filter(policy, trainable(policy))))
        if self.skip:
            algorithm, rewards = _chosen(finite, (algorithm, rewards), (state.algorithm, state.rewards))
        metrics = Metrics(info, *_episodes(rows), reward, steps, finite)
        return TrainingState(algorithm, rollout_state, open_episodes, rewards, state.iteration + 1, state.key), metrics


def _episodes(rows: EpisodeRows) -> tuple[Array, Array, Array, Array]:
    """How many ended, the sum of their returns and its spread, and the sum of their lengths. NaN is no return."""
    counted = rows.ended & jnp.isfinite(rows.total_reward)
    number = jnp.sum(counted * 1.0)
    total = jnp.sum(jnp.where(counted, rows.total_reward, 0.0))
    spread = jnp.sum(jnp.where(counted, rows.total_reward - total / jnp.maximum(number, 1.0), 0.0) ** 2)
    return number, total, spread, jnp.sum(jnp.where(counted, rows.length, 0.0))


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether every float of a tree is a number."""
    floats = [x for x in jax.tree.leaves(tree) if eqx.is_inexact_array(x)]
    # The sum of 0 times them: one operation that fuses where `isfinite` and `all` of each would be a dozen.
    return jnp.isfinite(sum((jnp.sum(0 * x) for x in floats), jnp.zeros(())))


def _chosen(use_first: Bool[Array, ""], first: PyTree, second: PyTree) -> PyTree:
    def choose(a, b):
        return jnp.where(use_first, a, b) if eqx.is_array(a) else a

    return jax.tree.map(choose, first, second)


@jax.jit
def _iteration_keys(key: PRNGKeyArray, iteration: Int[Array, ""]) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    rollout_key, update_key = jax.random.split(jax.random.fold_in(key, iteration))
    return rollout_key, update_key


def with_traced_numbers(tree: PyTree) -> PyTree:
    """Every Python float in a configuration as an array: so one compiled program serves all its values."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32) if isinstance(x, float) else x, tree)


def _iterate(trainer: Trainer, state: TrainingState) -> tuple[TrainingState, Metrics]:
    trajectory, rollout_state = _collected(trainer, state)
    return trainer.learn(state, trajectory, rollout_state, trainer.keys(state)[1])


def _collected(trainer: Trainer, state: TrainingState) -> tuple[Trajectory, PyTree]:
    return trainer.rollout.collect(trainer.policy(state), state.rollout, trainer.keys(state)[0])


def _iterations(static: PyTree, dynamic: PyTree, count: Int[Array, ""]):
    """Up to `count` iterations, at most `BUFFER`; how many were done, and the metrics of each: (BUFFER,).

    Ends after the first that led to NaN, unless the trainer skips those.
    """
    trainer_arrays, state_arrays = dynamic
    goes_on = static[0].skip

    @jax.jit  # so that asking for the shapes and running share one trace
    def one(state_arrays):
        trainer, state = eqx.combine((trainer_arrays, state_arrays), static)
        state, metrics = _iterate(trainer, state)
        return eqx.filter(state, eqx.is_array), metrics

    shapes = jax.eval_shape(one, state_arrays)[1]
    history = jax.tree.map(lambda s: jnp.zeros((BUFFER, *s.shape), s.dtype), shapes)

    def body(carry):
        i, _, state_arrays, history = carry
        state_arrays, metrics = one(state_arrays)
        history = jax.tree.map(lambda h, m: h.at[i].set(m), history, metrics)
        return i + 1, metrics.finite | goes_on, state_arrays, history

    start = jnp.zeros((), jnp.int32), jnp.ones((), bool), state_arrays, history
    done, _, state_arrays, history = jax.lax.while_loop(lambda c: (c[0] < count) & c[1], body, start)
    return done, state_arrays, history


def _is_array_or_shape(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


class CompiledLoop:
    """Iterations as one compiled program. Safe to call from several threads, each with a state of its own.

    `state` may be one of shapes (`jax.ShapeDtypeStruct`): only those count.
    """

    def __init__(self, trainer: Trainer, state: TrainingState):
        started = time.perf_counter()
        dynamic, static = eqx.partition((trainer, state), _is_array_or_shape)
        self._trainer, (self._static_trainer, self._static) = dynamic[0], static
        program = jax.jit(functools.partial(_iterations, static))
        self._program = program.lower(dynamic, jnp.zeros((), jnp.int32)).compile()
        self.compile_seconds = time.perf_counter() - started

    def advance(self, state: TrainingState, count: int) -> tuple[TrainingState, Metrics]:
        """Up to `count` iterations further (no more than fit a call), and the metrics of all of them, in NumPy.

        The last one is not finite if there are fewer than asked for.
        """
        arrays = eqx.filter(state, eqx.is_array)
        done, arrays, history = self._program((self._trainer, arrays), jnp.asarray(min(count, BUFFER), jnp.int32))
        return eqx.combine(arrays, self._static), jax.tree.map(lambda h: np.asarray(h)[: int(done)], history)

    def trajectory_after(self, state: TrainingState) -> Trajectory:
        """What was collected in the iteration after `state`: it is collected again, and is the same."""
        trainer = eqx.combine(self._trainer, self._static_trainer)
        collect = eqx.filter_jit(lambda trainer, state: _collected(trainer, state)[0])
        return collect(trainer, state)


class HostLoop:
    """Iterations whose environments step on the host, with a compiled update.

    Safe to call from several threads, each with a state of its own; the first call compiles, the others wait for it.
    """

    def __init__(self, trainer: Trainer, state: TrainingState):
        self._trainer = trainer
        _iteration_keys(state.key, state.iteration)  # compiles it, before the training is timed
        self._program = None
        self._compiling = threading.Lock()
        self._bad: dict[int, Trajectory] = {}  # by the environments, which cannot be asked again
        self.compile_seconds = 0.0

    def advance(self, state: TrainingState, count: int) -> tuple[TrainingState, Metrics]:
        """One iteration further whatever `count` is: one on the host takes long enough to look in between."""
        on_device = _without_rollout(state)
        rollout_key, update_key = _iteration_keys(state.key, state.iteration)
        policy = self._trainer.policy(state)
        trajectory, rollout_state = self._trainer.rollout.collect(policy, state.rollout, rollout_key)
        arguments = (self._trainer, on_device, trajectory, None, update_key)
        with self._compiling:
            if self._program is None:
                started = time.perf_counter()
                program: Any = eqx.filter_jit(Trainer.learn)
                self._program = program.lower(*arguments).compile()
                self.compile_seconds = time.perf_counter() - started
        on_device, metrics = self._program(*arguments)
        after = eqx.tree_at(lambda s: s.rollout, on_device, rollout_state, is_leaf=lambda x: x is None)
        metrics = jax.tree.map(lambda x: np.asarray(x)[None], metrics)
        if not metrics.finite.all():
            self._bad[id(state.rollout.env)] = trajectory
        return after, metrics

    def trajectory_after(self, state: TrainingState) -> Trajectory | None:
        """What was collected in the iteration after `state`, if it led to NaN."""
        return self._bad.get(id(state.rollout.env))


def _without_rollout(state: TrainingState) -> TrainingState:
    return TrainingState(state.algorithm, None, state.open_episodes, state.rewards, state.iteration, state.key)


def make_loop(trainer: Trainer, state: TrainingState) -> CompiledLoop | HostLoop:
    """The loop for a trainer whose rollout is compiled, or is not."""
    return (CompiledLoop if trainer.rollout.compiled else HostLoop)(trainer, state)
