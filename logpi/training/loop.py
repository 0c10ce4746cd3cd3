"""The loop around rollout and update: the only one."""

import functools
import threading
import time
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray, PyTree

from ..algorithms import AbstractAlgorithm, Spec
from ..errors import EnvironmentFault, InputError
from ..evaluation.episodes import EpisodeRows, follow, no_episodes, OpenEpisodes
from ..jaxprs.compilation import compiler_options, give_back_memory, specialised
from ..measurements import ALL_FORBIDDEN, CLIPPED_ACTIONS, Measurement
from ..models import AbstractPolicy
from ..parameters import trainable
from ..rollout import AbstractRollout
from ..runs.metrics import Metrics, no_row, of_iteration
from ..spaces.actions import clipped
from ..spaces.masks import all_forbidden, split_mask
from ..spaces.membership import zeros
from ..trajectory import Trajectory
from ..transforms import RewardStatistics, RewardTransform

BUFFER = 128  # rows of metrics that one call of the compiled loop can give
_RESUMING = 0x5E5  # sets the keys of resumed environments apart from those of iterations


class TrainingState(eqx.Module):
    """All of a training under way, in one tree. A checkpoint on the way holds all of it but `buffer`."""

    learner: PyTree  # what the algorithm remembers
    rollout: PyTree  # where the environments stand
    open_episodes: OpenEpisodes
    rewards: RewardStatistics
    buffer: PyTree  # of the experience
    iteration: Int[Array, ""]
    key: PRNGKeyArray


def measured(algorithm: AbstractAlgorithm, rollout: AbstractRollout) -> tuple[Measurement, ...]:
    """What iterations show: what the algorithm measures, and what happens to actions on their way.

    That is how many are clipped, where there are bounds, and how many masks forbid everything, where there are masks.
    """
    has_bounds = clipped(rollout.action_space, rollout.to_env, zeros(rollout.action_space, (0,))) is not None
    has_masks = split_mask(rollout.obs_space, rollout.action_space)[1]
    of_actions = [*([CLIPPED_ACTIONS] if has_bounds else []), *([ALL_FORBIDDEN] if has_masks else [])]
    return (*algorithm.measurements, *of_actions)


class Trainer(eqx.Module):
    """An algorithm, a rollout, and what happens to rewards between them.

    An update that leads to NaN or infinity is dropped with `skip`; without it, the loop ends before that update.
    """

    algorithm: AbstractAlgorithm
    rollout: AbstractRollout
    transform: RewardTransform = RewardTransform()
    skip: bool = eqx.field(static=True, default=False)
    every: int = eqx.field(static=True, default=1)  # iterations of a row of metrics

    @property
    def spec(self) -> Spec:
        """What the algorithm may know of the interaction."""
        return Spec.of(self.rollout)

    @property
    def names(self) -> tuple[str, ...]:
        """The measurements, in their order."""
        return tuple(measurement.name for measurement in measured(self.algorithm, self.rollout))

    def init(self, networks: PyTree, num_updates: int | Int[Array, ""], key: PRNGKeyArray) -> TrainingState:
        """Before the first iteration."""
        _, rollout_key, _ = jax.random.split(key, 3)
        state = self.blank(networks, num_updates, key)
        rollout = self.rollout.init(self.algorithm.acting(state.learner), rollout_key)
        return self._in(rollout, state)

    def blank(self, networks: PyTree, num_updates: int | Int[Array, ""], key: PRNGKeyArray) -> TrainingState:
        """The same without environments and experience: the structure of what `stored` gives where these cannot be."""
        learner_key, _, key = jax.random.split(key, 3)
        learner = self.algorithm.init(networks, self.spec, num_updates, learner_key)
        num_envs = self.rollout.num_envs
        rewards = self.transform.init(num_envs)
        return TrainingState(learner, None, no_episodes(num_envs), rewards, None, jnp.zeros((), jnp.int32), key)

    def _in(self, rollout: PyTree, state: TrainingState) -> TrainingState:
        """The state with environments that stand there, and an empty experience."""
        experience = self.algorithm.experience
        example = self.rollout.example(self.algorithm.acting(state.learner), rollout) if experience.capacity else None
        buffer = None if example is None else experience.init(example)
        return _with(state, rollout=rollout, buffer=buffer)

    def stored(self, state: TrainingState) -> TrainingState:
        """What a checkpoint holds of a state."""
        return _with(state, rollout=self.rollout.stored(state.rollout), buffer=None)

    def resumed(self, stored: TrainingState) -> TrainingState:
        """Where `stored` was taken from, with an empty experience.

        Where episodes have to begin anew, their environments are seeded by key and iteration.
        """
        key = jax.random.fold_in(jax.random.fold_in(stored.key, stored.iteration), _RESUMING)
        rollout, anew = self.rollout.resumed(stored.rollout, self.algorithm.acting(stored.learner), key)
        if anew:
            num_envs = self.rollout.num_envs
            rewards = eqx.tree_at(lambda r: r.discounted, stored.rewards, jnp.zeros(num_envs))
            stored = _with(stored, rewards=rewards, open_episodes=no_episodes(num_envs))
        return self._in(rollout, stored)

    def with_experience(self, state: TrainingState, buffer: PyTree) -> TrainingState:
        """The state with an experience that was stored, cut where environments began anew; or with an empty one."""
        if buffer is None:
            return self._in(state.rollout, state)
        begun_anew = self.rollout.stored(state.rollout) is None
        return _with(state, buffer=self.algorithm.experience.cut(buffer) if begun_anew else buffer)

    def networks(self, state: TrainingState) -> PyTree:
        """The networks as they stand."""
        return self.algorithm.networks(state.learner)

    def acting(self, state: TrainingState) -> AbstractPolicy:
        """Who collects the next trajectory."""
        return self.algorithm.acting(state.learner)

    def keys(self, state: TrainingState) -> tuple[PRNGKeyArray, PRNGKeyArray]:
        """For the rollout and the update of the next iteration. They depend on its number, not on how it is run."""
        return iteration_keys(state.key, state.iteration)

    def learn(
        self, state: TrainingState, trajectory: Trajectory, rollout: PyTree, key: PRNGKeyArray
    ) -> tuple[TrainingState, Metrics]:
        """One iteration from the trajectory on, after which the environments stand at `rollout`.

        Where something is not finite, the state stays as it was, or with `skip` as far as it was learned.
        """
        rows, open_episodes = follow(trajectory, state.open_episodes)
        steps = jnp.sum(trajectory.valid, dtype=jnp.int32)
        reward = jnp.sum(trajectory.reward) / jnp.maximum(steps, 1)
        finite = all_finite((trajectory.obs, trajectory.last_obs, trajectory.reward))
        trajectory, rewards = self.transform(trajectory, state.rewards)
        buffer, view = self.algorithm.experience.add(state.buffer, trajectory)
        learner, shown = self.algorithm.update(state.learner, view, key)
        self._check(shown)
        shown |= self._of_actions(trajectory)
        networks = self.algorithm.networks(learner)
        finite &= all_finite((self._watched(shown), eqx.filter(networks, trainable(networks))))
        after = TrainingState(learner, rollout, open_episodes, rewards, buffer, state.iteration + 1, state.key)
        metrics = of_iteration(shown, _episodes(rows), reward, steps, finite)
        return self._kept(finite, after, state), metrics

    def _check(self, shown: dict[str, Array]) -> None:
        """Raises `InputError` unless an update shows what its algorithm says that it measures."""
        declared = {measurement.name for measurement in self.algorithm.measurements}
        if set(shown) != declared:
            name = type(self.algorithm).__name__
            raise InputError(
                f"update of {name} shows {', '.join(sorted(shown)) or 'nothing'}, but its measurements are "
                f"{', '.join(sorted(declared)) or 'none'}: return a number for each, and declare each."
            )

    def _of_actions(self, trajectory: Trajectory) -> dict[str, Array]:
        """Shares, in steps that count: of the numbers that are clipped, and of masks that forbid everything."""
        found, space, valid = {}, self.rollout.action_space, trajectory.valid
        beyond = clipped(space, self.rollout.to_env, trajectory.action)
        if beyond is not None:
            found[CLIPPED_ACTIONS.name] = jnp.mean(beyond, tuple(range(valid.ndim, beyond.ndim)))
        if split_mask(self.rollout.obs_space, space)[1]:
            found[ALL_FORBIDDEN.name] = jax.vmap(jax.vmap(lambda obs: all_forbidden(space, obs, jnp)))(trajectory.obs)
        steps = jnp.maximum(jnp.sum(valid), 1)
        return {name: jnp.sum(of_steps * valid) / steps for name, of_steps in found.items()}

    def _watched(self, shown: dict[str, Array]) -> list[Array]:
        """The measurements that stop a training where they are not finite."""
        return [shown[m.name] for m in self.algorithm.measurements if m.watch == "explodes"]

    def _kept(self, finite: Bool[Array, ""], after: TrainingState, before: TrainingState) -> TrainingState:
        """What stays of an iteration. The buffer itself is never chosen between: it would be copied."""
        if self.skip:
            learner, rewards = _chosen(finite, (after.learner, after.rewards), (before.learner, before.rewards))
            learner = jax.tree.map(drawn_once, learner, after.learner)
            return _with(after, learner=learner, rewards=rewards)
        unadded = self.algorithm.experience.restored(after.buffer, before.buffer)
        # Of the ring itself both are the same array, so that only where it is written next is chosen.
        kept = _chosen(finite, _with(after, buffer=None), _with(before, buffer=None))
        return _with(kept, buffer=_chosen(finite, after.buffer, unadded))


def _with(state: TrainingState, **changes: Any) -> TrainingState:
    names = ("learner", "rollout", "open_episodes", "rewards", "buffer", "iteration", "key")
    return TrainingState(**{name: changes.get(name, getattr(state, name)) for name in names})


def _episodes(rows: EpisodeRows) -> tuple[Array, Array, Array, Array]:
    """How many ended, the sum of their returns and its spread, and the sum of their lengths. NaN is no return."""
    counted = rows.ended & jnp.isfinite(rows.total_reward)
    number = jnp.sum(counted, dtype=jnp.int32)
    total = jnp.sum(jnp.where(counted, rows.total_reward, 0.0))
    spread = jnp.sum(jnp.where(counted, rows.total_reward - total / jnp.maximum(number, 1), 0.0) ** 2)
    return number, total, spread, jnp.sum(jnp.where(counted, rows.length, 0.0))


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether every float of a tree is a number."""
    floats = [x for x in jax.tree.leaves(tree) if eqx.is_inexact_array(x)]
    # The sum of 0 times them: one operation that fuses where `isfinite` and `all` of each would be a dozen.
    return jnp.isfinite(sum((jnp.sum(0 * x) for x in floats), jnp.zeros(())))


def drawn_once(kept: Any, after: Any) -> Any:
    """A key goes on also where all else stays: what was dropped is not to be drawn again."""
    return after if eqx.is_array(after) and jnp.issubdtype(after.dtype, jax.dtypes.prng_key) else kept


def _chosen(use_first: Bool[Array, ""], first: PyTree, second: PyTree) -> PyTree:
    def choose(a, b):
        return a if a is b or not eqx.is_array(a) else jnp.where(use_first, a, b)

    return jax.tree.map(choose, first, second)


@jax.jit
def iteration_keys(key: PRNGKeyArray, iteration: Int[Array, ""]) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """For the rollout and the update of an iteration."""
    rollout_key, update_key = jax.random.split(jax.random.fold_in(key, iteration))
    return rollout_key, update_key


def with_traced_numbers(tree: PyTree) -> PyTree:
    """Every Python float in a configuration as an array: so one compiled program serves all its values."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32) if isinstance(x, float) else x, tree)


def _iterate(trainer: Trainer, state: TrainingState) -> tuple[TrainingState, Metrics]:
    trajectory, rollout = _collected(trainer, state)
    return trainer.learn(state, trajectory, rollout, trainer.keys(state)[1])


def _collected(trainer: Trainer, state: TrainingState) -> tuple[Trajectory, PyTree]:
    return trainer.rollout.collect(trainer.acting(state), state.rollout, trainer.keys(state)[0])


class Iterated(NamedTuple):
    """What some iterations of a seed came to."""

    state: TrainingState  # after the last of them that was finite
    metrics: Metrics  # a row for each `every` of them, the last as far as it has come, in NumPy
    failed: Metrics | None  # of the iteration that was not finite and was not kept, in NumPy
    trajectory: Trajectory | None  # what was collected in it
    broken: EnvironmentFault | None = None  # what ended them, where that was an environment


def _iterations(static: PyTree, given: PyTree, donated: PyTree, begun: Metrics | None, count: Int[Array, ""]):
    """Up to `count` iterations; how many were done, the metrics of the last, and those of each row: (BUFFER,).

    The first row goes on from `begun`. Ends after the first that led to NaN, unless the trainer skips those.
    """
    trainer_arrays, kept = given
    every, goes_on = static[0].every, static[0].skip

    @jax.jit  # so that asking for the shapes and running share one trace
    def one(arrays):
        trainer, state = eqx.combine((trainer_arrays, arrays), static)
        state, metrics = _iterate(trainer, state)
        return eqx.filter(state, eqx.is_array), metrics

    start = eqx.combine(kept, donated)
    none = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(one, start)[1])
    rows = jax.tree.map(lambda x: jnp.zeros((BUFFER, *x.shape), x.dtype), none)
    before = start.iteration % every if every > 1 else 0  # of the first row, done by now
    if begun is not None:
        rows = jax.tree.map(lambda h, m: h.at[0].set(m.astype(h.dtype)), rows, begun)

    def body(carry):
        i, _, _, arrays, rows = carry
        arrays, metrics = one(arrays)
        goes, at = metrics.finite | goes_on, i + before
        row = metrics
        if every > 1:  # added to those of its row before it; one that is not kept stays apart
            so_far = jax.tree.map(lambda h: h[at // every], rows)
            row = _chosen(goes & (at % every > 0), so_far.with_next(metrics), metrics)
            row = _chosen(goes | (at % every == 0), row, so_far)
        rows = jax.tree.map(lambda h, m: h.at[at // every].set(m), rows, row)
        return i + 1, goes, metrics, arrays, rows

    first = jnp.zeros((), jnp.int32), jnp.ones((), bool), none, start, rows
    done, _, last, arrays, rows = jax.lax.while_loop(lambda c: (c[0] < count) & c[1], body, first)
    return done, last, arrays, rows


def _donated(state: TrainingState) -> list[Any]:
    return jax.tree.leaves((state.rollout, state.buffer))


def _is_array_or_shape(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


class CompiledLoop:
    """Iterations as one compiled program. Safe to call from several threads, each with a state of its own.

    Environments and experience of a state are handed over to the program: a state can be gone on from once. `state` may
    be one of shapes (`jax.ShapeDtypeStruct`): only those count.
    """

    def __init__(self, trainer: Trainer, state: TrainingState):
        started = time.perf_counter()
        (self._trainer, arrays), static = eqx.partition((trainer, state), _is_array_or_shape)
        self._static_trainer, self._static = static
        program = specialised(_iterations, static, donate_argnums=1)
        self._every = trainer.every
        self._no_row = no_row(trainer.names) if self._every > 1 else None
        traced = program.trace(*self._arguments(arrays), self._no_row, jnp.zeros((), jnp.int32))
        self._program = traced.lower().compile(compiler_options(traced.jaxpr))
        give_back_memory()
        self.late_compile_seconds = 0.0  # that went into compiling while the training was timed
        self.compile_seconds = time.perf_counter() - started

    def advance(self, state: TrainingState, count: int, begun: Metrics | None = None) -> Iterated:
        """Up to `count` iterations further, no more than fit a call; the first row goes on from `begun`."""
        before = int(state.iteration) % self._every
        count = min(count, BUFFER * self._every - before)
        arguments = self._arguments(eqx.filter(state, eqx.is_array))
        row = self._no_row
        if begun is not None:
            row = jax.tree.map(lambda x, like: jnp.asarray(x, like.dtype), begun, row)
        done, last, arrays, rows = self._program(*arguments, row, jnp.asarray(count, jnp.int32))
        after = eqx.combine(arrays, self._static)
        kept = int(after.iteration - state.iteration)
        number = -(-(before + kept) // self._every) if kept or begun is not None else 0
        metrics = jax.tree.map(lambda h: np.asarray(h)[:number], rows)
        if kept == int(done):
            return Iterated(after, metrics, None, None)
        return Iterated(after, metrics, jax.tree.map(np.asarray, last), self._collect(after))

    def _arguments(self, arrays: TrainingState) -> tuple[PyTree, PyTree]:
        """What the program may read, and what is handed over to it."""
        nothing = jax.tree.map(lambda _: False, arrays)
        donated, kept = eqx.partition(arrays, eqx.tree_at(_donated, nothing, replace_fn=lambda _: True))
        return (self._trainer, kept), donated

    def _collect(self, state: TrainingState) -> Trajectory:
        """What is collected in the iteration after `state`: each time the same."""
        trainer = eqx.combine(self._trainer, self._static_trainer)
        return eqx.filter_jit(lambda trainer, state: _collected(trainer, state)[0])(trainer, state)


def _learned(
    static: PyTree, trainer: PyTree, arrays: PyTree, buffer: PyTree, trajectory: Trajectory, key: PRNGKeyArray
):
    """An iteration from its trajectory on, and its metrics."""
    trainer, state = eqx.combine((trainer, _with(arrays, buffer=buffer)), static)
    state, metrics = trainer.learn(state, trajectory, None, key)
    return eqx.filter(state, eqx.is_array), metrics


class HostLoop:
    """Iterations whose environments step on the host, with a compiled update.

    Safe to call from several threads, each with a state of its own; the first call compiles, the others wait for it.
    """

    def __init__(self, trainer: Trainer, state: TrainingState):
        self._trainer = trainer
        iteration_keys(state.key, state.iteration)  # compiles it, before the training is timed
        self._program = None
        self._compiling = threading.Lock()
        self.compile_seconds = 0.0

    @property
    def late_compile_seconds(self) -> float:
        """That went into compiling while the training was timed."""
        return self.compile_seconds

    def advance(self, state: TrainingState, count: int, begun: Metrics | None = None) -> Iterated:
        """Up to `count` iterations further, no more than to the end of the row that goes on from `begun`."""
        row, every = begun, self._trainer.every
        for _ in range(min(count, every - int(state.iteration) % every)):
            before = int(state.iteration)
            try:
                state, metrics, trajectory = self._one(state)
            except EnvironmentFault as fault:  # not raised: what was learned before it would be lost
                return Iterated(state, self._rows(row), None, None, fault)
            if int(state.iteration) == before:
                return Iterated(state, self._rows(row), metrics, trajectory)
            row = metrics if row is None else jax.tree.map(np.asarray, _merged(row, metrics))
        return Iterated(state, self._rows(row), None, None)

    def _rows(self, row: Metrics | None) -> Metrics:
        """One row as several: one, or none."""
        if row is not None:
            return jax.tree.map(lambda x: np.asarray(x)[None], row)
        return jax.tree.map(lambda x: np.asarray(x)[None][:0], no_row(self._trainer.names))

    def _one(self, state: TrainingState) -> tuple[TrainingState, Metrics, Trajectory]:
        rollout_key, update_key = iteration_keys(state.key, state.iteration)
        trajectory, rollout = self._trainer.rollout.collect(self._trainer.acting(state), state.rollout, rollout_key)
        program = self._compiled(state, trajectory, update_key)
        arrays = eqx.filter(_with(state, rollout=None), eqx.is_array)
        after, metrics = program(_with(arrays, buffer=None), arrays.buffer, trajectory, update_key)
        static = eqx.filter(_with(state, rollout=None), eqx.is_array, inverse=True)
        return _with(eqx.combine(after, static), rollout=rollout), jax.tree.map(np.asarray, metrics), trajectory

    def _compiled(self, state: TrainingState, trajectory: Trajectory, key: PRNGKeyArray) -> Any:
        with self._compiling:
            if self._program is None:
                started = time.perf_counter()
                (trainer, arrays), static = eqx.partition((self._trainer, _with(state, rollout=None)), eqx.is_array)
                program = specialised(_learned, static, donate_argnums=2)
                traced = program.trace(trainer, _with(arrays, buffer=None), arrays.buffer, trajectory, key)
                compiled = traced.lower().compile(compiler_options(traced.jaxpr))
                give_back_memory()
                self._program = functools.partial(compiled, trainer)
                self.compile_seconds = time.perf_counter() - started
        return self._program


@jax.jit  # one operation after the other would take longer than a short rollout does
def _merged(row: Metrics, following: Metrics) -> Metrics:
    return row.with_next(following)
