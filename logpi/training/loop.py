"""The loop around rollout and update: the only one, and the only place that asks whether environments are compiled."""

import functools
import threading
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ..algorithms import AbstractAlgorithm, UpdateInfo
from ..models import AbstractActorCritic, AbstractPolicy
from ..rollout import AbstractRollout
from ..trajectory import Trajectory
from ..transforms import RewardScaling, RewardStatistics
from .episodes import follow, no_episodes, OpenEpisodes

BUFFER = 128  # iterations that one call of the compiled loop can do


class Metrics(eqx.Module):
    """What one iteration showed, in scalars."""

    update: UpdateInfo
    episodes: Float[Array, ""]  # that ended in it
    return_sum: Float[Array, ""]  # of their undiscounted returns, in units of reward
    return_squares: Float[Array, ""]
    length_sum: Float[Array, ""]  # of their lengths, in steps
    reward: Float[Array, ""]  # mean per step
    steps: Float[Array, ""]  # of the agent: rows that only reset are none


class TrainingState(eqx.Module):
    """All of a training under way, in one tree: what a checkpoint holds."""

    algorithm: PyTree
    rollout: PyTree
    open_episodes: OpenEpisodes
    rewards: RewardStatistics
    iteration: Int[Array, ""]
    key: PRNGKeyArray


class Trainer(eqx.Module):
    """An algorithm, a rollout, and what happens to rewards between them."""

    algorithm: AbstractAlgorithm
    rollout: AbstractRollout
    scaling: RewardScaling | None = None

    def init(self, model: AbstractActorCritic, num_updates: int | Int[Array, ""], key: PRNGKeyArray) -> TrainingState:
        """Before the first iteration."""
        algorithm_key, rollout_key, key = jax.random.split(key, 3)
        state = self.algorithm.init(model, num_updates, algorithm_key)
        num_envs = self.rollout.num_envs
        return TrainingState(
            state,
            self.rollout.init(self.algorithm.policy(state), rollout_key),
            no_episodes(num_envs),
            (self.scaling or RewardScaling()).init(num_envs),
            jnp.zeros((), jnp.int32),
            key,
        )

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
        rewards = state.rewards
        if self.scaling is not None:
            trajectory, rewards = self.scaling(trajectory, rewards)
        algorithm, info = self.algorithm.update(state.algorithm, trajectory, key)
        returns, lengths = (jnp.where(rows.ended, x, 0.0) for x in (rows.total_reward, rows.length))
        metrics = Metrics(
            info, jnp.sum(rows.ended * 1.0), jnp.sum(returns), jnp.sum(returns**2), jnp.sum(lengths), reward, steps
        )
        return TrainingState(algorithm, rollout_state, open_episodes, rewards, state.iteration + 1, state.key), metrics


@jax.jit
def _iteration_keys(key: PRNGKeyArray, iteration: Int[Array, ""]) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    rollout_key, update_key = jax.random.split(jax.random.fold_in(key, iteration))
    return rollout_key, update_key


def with_traced_numbers(tree: PyTree) -> PyTree:
    """Every Python float in a configuration as an array: so one compiled program serves all its values."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32) if isinstance(x, float) else x, tree)


def _iterate(trainer: Trainer, state: TrainingState) -> tuple[TrainingState, Metrics]:
    rollout_key, update_key = trainer.keys(state)
    trajectory, rollout_state = trainer.rollout.collect(trainer.policy(state), state.rollout, rollout_key)
    return trainer.learn(state, trajectory, rollout_state, update_key)


def _iterations(static: PyTree, dynamic: PyTree, count: Int[Array, ""]):
    """`count` iterations, at most `BUFFER`, and the metrics of each: (BUFFER,), of which `count` are filled."""
    trainer_arrays, state_arrays = dynamic

    @jax.jit  # so that asking for the shapes and running share one trace
    def one(state_arrays):
        trainer, state = eqx.combine((trainer_arrays, state_arrays), static)
        state, metrics = _iterate(trainer, state)
        return eqx.filter(state, eqx.is_array), metrics

    shapes = jax.eval_shape(one, state_arrays)[1]
    history = jax.tree.map(lambda s: jnp.zeros((BUFFER, *s.shape), s.dtype), shapes)

    def body(i, carry):
        state_arrays, history = carry
        state_arrays, metrics = one(state_arrays)
        return state_arrays, jax.tree.map(lambda h, m: h.at[i].set(m), history, metrics)

    return jax.lax.fori_loop(0, count, body, (state_arrays, history))


def _is_array_or_shape(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


class CompiledLoop:
    """Iterations as one compiled program. Safe to call from several threads, each with a state of its own.

    `state` may be one of shapes (`jax.ShapeDtypeStruct`): only those count.
    """

    def __init__(self, trainer: Trainer, state: TrainingState):
        started = time.perf_counter()
        dynamic, static = eqx.partition((trainer, state), _is_array_or_shape)
        self._trainer, self._static = dynamic[0], static[1]
        program = jax.jit(functools.partial(_iterations, static))
        self._program = program.lower(dynamic, jnp.asarray(0)).compile()
        self.compile_seconds = time.perf_counter() - started

    def advance(self, state: TrainingState, count: int) -> tuple[TrainingState, list[Metrics]]:
        """Up to `count` iterations further (no more than fit a call), and the metrics of each, as NumPy scalars."""
        count = min(count, BUFFER)
        arrays = eqx.filter(state, eqx.is_array)
        arrays, history = self._program((self._trainer, arrays), jnp.asarray(count))
        history = jax.tree.map(np.asarray, history)
        return eqx.combine(arrays, self._static), [jax.tree.map(lambda h, i=i: h[i], history) for i in range(count)]


class HostLoop:
    """Iterations whose environments step on the host, with a compiled update.

    Safe to call from several threads, each with a state of its own; the first call compiles, the others wait for it.
    """

    def __init__(self, trainer: Trainer, state: TrainingState):
        self._trainer = trainer
        _iteration_keys(state.key, state.iteration)  # compiles it, before the training is timed
        self._program = None
        self._compiling = threading.Lock()
        self.compile_seconds = 0.0

    def advance(self, state: TrainingState, count: int) -> tuple[TrainingState, list[Metrics]]:
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
        return after, [jax.tree.map(np.asarray, metrics)]


def _without_rollout(state: TrainingState) -> TrainingState:
    return TrainingState(state.algorithm, None, state.open_episodes, state.rewards, state.iteration, state.key)


def make_loop(trainer: Trainer, state: TrainingState) -> CompiledLoop | HostLoop:
    """The loop for a trainer whose rollout is compiled, or is not."""
    return (CompiledLoop if trainer.rollout.compiled else HostLoop)(trainer, state)
