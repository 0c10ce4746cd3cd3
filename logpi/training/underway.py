"""The iterations of a session: round by round, with what is written and told of each, until something ends them."""

import contextlib
import dataclasses
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..envs import EnvSource
from ..errors import EnvironmentFault, InputError, shown, TrainingFault
from ..progress.events import Advanced, Evaluated, Event, fan_out, Finished, Listener, Warned
from ..rollout import AbstractRollout
from ..runs.checkpoints import Checkpoints, Kept, load_experience, SEGMENTS, segments_of
from ..runs.folder import HeldFolder
from ..runs.journals import Times
from ..runs.metrics import Metrics, MetricsLog, Rows
from ..runs.options import EvaluationPlan, FaultTolerance
from ..runs.presets import algorithm_name
from ..runs.run import Best, Run
from ..runs.schema import write_json
from ..runs.settings import Settings
from .evaluating import Evaluating
from .loop import BUFFER, CompiledLoop, HostLoop, Iterated, Trainer, TrainingState
from .monitors import Monitors
from .nonfinite import Fault, find_fault
from .placement import side_by_side
from .signals import Interruption
from .warm_start import WarmStarting

CHUNK_SECONDS = 0.3  # how long the loop runs between two looks at it


@dataclasses.dataclass
class Task:
    """What one call of `train` or `resume` is to do."""

    source: EnvSource
    settings: Settings
    seeds: tuple[int, ...]
    rollout: AbstractRollout
    model: Any
    environment: Any
    out: str | Path | None
    overwrite: bool
    fault_tolerance: FaultTolerance
    evaluation_plan: EvaluationPlan | None = None
    listener: Listener = dataclasses.field(default_factory=fan_out)
    resume: bool = False
    warming: WarmStarting | None = None  # what is done to the networks of each seed before the first update
    warm_started: tuple[dict[str, Any], ...] = ()  # what that showed, of each seed
    run_id: str = dataclasses.field(default_factory=lambda: secrets.token_hex(16))


@dataclasses.dataclass(frozen=True)
class Before:
    """What was done of a training before this process: nothing, or up to a checkpoint."""

    rows: Rows = dataclasses.field(default_factory=Rows)
    steps: dict[int, int] | None = None  # of each seed, where the checkpoint says it
    evaluations: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    bests: dict[int, Best] = dataclasses.field(default_factory=dict)
    kept: Kept | None = None  # of its experience


@dataclasses.dataclass
class Underway:
    """The iterations of a session, and where they stand."""

    task: Task
    held: HeldFolder | None
    trainer: Trainer
    loop: CompiledLoop | HostLoop
    states: list[TrainingState]
    log: MetricsLog
    checkpoints: Checkpoints
    times: Times
    monitors: Monitors
    interruption: Interruption
    starting: float  # seconds that compiling took
    as_run: Callable[["Underway"], Run]
    started: float = dataclasses.field(default_factory=time.perf_counter)
    seconds: float = 0.0  # of training in this process, without compiling and evaluating
    evaluating: Evaluating | None = None
    evaluation_seconds: float = 0.0
    count: int = 1  # iterations in the next round
    begun: dict[int, Metrics | None] = dataclasses.field(default_factory=dict)  # of each seed, the row that it is amid
    restarts: int = 0  # of environments that broke down
    left_behind: bool = False  # an environment does not answer, and threads may still be in others
    stopped: str = ""  # why a callback ends it
    raised: Exception | None = None  # by a callback

    @property
    def iteration(self) -> int:
        """Iterations that every seed has done. After a fault, other seeds may be further than the one that failed."""
        return min(int(state.iteration) for state in self.states)

    def stop(self, why: Any) -> None:
        """Ends the training before the next update; of several reasons the first counts."""
        if not isinstance(why, str) or not why.strip() or not why.isprintable():
            raise InputError(f"why is {shown(why)}, but it must be a text on one line: say why the training stops.")
        self.stopped = self.stopped or why

    def run(self) -> Run:
        """What the training would leave, if it ended here."""
        return self.as_run(self)

    @property
    def networks(self) -> tuple[Any, ...]:
        """Of each seed, as they stand."""
        return tuple(self.trainer.networks(state) for state in self.states)

    def iterate(self) -> Exception | None:
        """Rounds of some iterations of every seed, until all are done, somebody ends them, or something breaks.

        However it ends, the last good states are in a checkpoint. Returns what broke.
        """
        total, fault = self.task.settings.num_updates, None
        self.checkpoints.started(self.iteration)
        try:
            if self.task.warming is not None and not self.iteration:  # so that its data are needed no more
                self._write()
            self._evaluate()
            while self.iteration < total and not self.interruption.is_set() and not self.stopped:
                self._round(total)
        except Exception as broken:
            if not isinstance(broken, TrainingFault | EnvironmentFault) and broken is not self.raised:
                raise
            fault = broken
        finally:
            try:
                self._end_rows()
            finally:
                self._write()
                self.seconds = self._seconds()
        return fault

    def finish(self, fault: Exception | None) -> Exception | None:
        """Tells that it has ended, and returns what broke, if only in this."""
        try:
            self.task.listener(Finished(self.interruption.is_set(), self.stopped))
        except Exception as error:
            return fault or error
        return fault

    def _round(self, total: int) -> None:
        """Some iterations of every seed. A thread each: that is faster than a batch of seeds.

        They are whole rows, but where one of these takes long. What a row shows does not depend on it.
        """
        before, every = time.perf_counter(), self.trainer.every
        count = max(1, min(self.count, self.checkpoints.room(self.iteration)))
        count += -(self.iteration + count) % every
        count = count if self.count >= every else min(self.count, count)

        def most(iteration: int) -> int:
            """Of a seed, which after a fault may be further than others: up to its own next evaluation, or the end."""
            own = total if self.evaluating is None else self.evaluating.room(iteration)
            return min(count, total - iteration, own)

        results = side_by_side(
            lambda one: self.loop.advance(one[1], most(int(one[1].iteration)), self.begun.get(one[0])),
            list(zip(self.task.seeds, self.states, strict=True)),
            self._look,
        )
        self.states = [result.state for result in results]
        done, metrics = {}, {}
        for seed, result in zip(self.task.seeds, results, strict=True):
            rows = result.metrics
            done[seed] = int(result.state.iteration) - int(rows.iterations.sum())
            amid = int(result.state.iteration) % every > 0 and len(rows.iterations) > 0
            self.begun[seed] = jax.tree.map(lambda x: x[-1], rows) if amid else None
            metrics[seed] = jax.tree.map(lambda x, amid=amid: x[: len(x) - amid], rows)
        fresh = self.log.add(done, metrics)
        self.log.flush()
        self._tell(fresh)
        self._stop(results)
        ratio = CHUNK_SECONDS / max(time.perf_counter() - before, 1e-6)
        self.count = min(max(1, round(self.count * min(ratio, 8.0))), BUFFER * every)
        self._evaluate()
        if self.checkpoints.due(self.iteration) and self.iteration % every == 0:
            self._write()

    def _evaluate(self) -> None:
        """What the policies earn, where that is due; before the checkpoint, which comes after all that led to it."""
        if (evaluating := self.evaluating) is None:
            return
        started, rows = time.perf_counter(), []
        try:
            for seed, state, networks in zip(self.task.seeds, self.states, self.networks, strict=True):
                at = (seed, int(state.iteration), self.log.mark.steps.get(seed, 0))
                if evaluating.due(seed, at[1]):
                    policy = self.trainer.algorithm.policy(networks)
                    given = (at, policy, networks, self.interruption.is_set)
                    rows += side_by_side(lambda given: evaluating.evaluate(*given), [given], self._look)
        except InputError as error:
            self.raised = error
            raise
        finally:
            self.evaluation_seconds += time.perf_counter() - started
        if rows := [row for row in rows if row is not None]:
            self.hear(Evaluated(rows, training=self))
        if why := evaluating.reached(self.task.seeds):
            self.stop(why)

    def _end_rows(self) -> None:
        """Ends the rows that seeds are amid: there is nothing to come."""
        begun = {seed: row for seed, row in self.begun.items() if row is not None}
        self.begun = {}
        states = dict(zip(self.task.seeds, self.states, strict=True))
        done = {seed: int(states[seed].iteration) - int(row.iterations) for seed, row in begun.items()}
        rows = {seed: jax.tree.map(lambda x: np.asarray(x)[None], row) for seed, row in begun.items()}
        if fresh := self.log.add(done, rows):
            self.log.flush()
            self._tell(fresh)

    def _tell(self, fresh: list[dict[str, Any]]) -> None:
        """What is new, and what went wrong and did not stop anything."""
        for state in self.states:
            for incident in self.task.rollout.incidents(state.rollout):
                self.restarts += 1
                self._warn(f"{incident}; it was made anew, and its step there counts for nothing.")
        for sentence in self.monitors.check(fresh):
            self._warn(sentence)
        self.times.add(self.iteration, self._seconds())
        if fresh:
            self.hear(Advanced(fresh, self.log.steps, self._seconds(), training=self))

    def hear(self, event: Event) -> None:
        """Tells it, also what a callback has to say; after one has raised something, nothing more is told."""
        if self.raised is not None:
            return
        try:
            self.task.listener(event)
        except Exception as error:
            self.raised = error
            raise

    def _look(self) -> None:
        """At environments on the host: whether they answer."""
        try:
            for state in self.states:
                self.task.rollout.check_alive(state.rollout, self.task.fault_tolerance.step_timeout)
            if self.evaluating is not None:
                self.evaluating.check_alive(self.task.fault_tolerance.step_timeout)
        except EnvironmentFault:
            self.left_behind = True
            raise

    def _stop(self, results: list[Iterated]) -> None:
        """Raises what broke: an environment, or the first iteration that was not finite."""
        faults = [
            find_fault(self.trainer, result, seed)
            for seed, result in zip(self.task.seeds, results, strict=True)
            if result.failed is not None
        ]
        if not faults:
            for result in results:
                if result.broken is not None:
                    raise result.broken
            return
        first: Fault = min(faults, key=lambda fault: fault.update)
        with contextlib.suppress(OSError):  # it is said anyway
            if self.held is not None:
                self.held.check()
                write_json(self.held.path / "fault.json", dataclasses.asdict(first))
        raise first.error()

    def _write(self) -> None:
        """A checkpoint, with what was added to the experience.

        Where a round was left in its middle, what was handed over by then is gone: that may be the experience alone.
        Threads that were left behind may hand it over at any time.
        """
        states = tuple(self.trainer.stored(state) for state in self.states)
        if _is_gone(states):
            return
        self.log.flush(sync=True)  # before the checkpoint after them
        self.checkpoints.write(states, self.iteration, self.log.mark, self.buffers())

    def buffers(self) -> list[Any]:
        """What is kept of each seed's experience; nothing where there is none, or it is gone."""
        found = [] if self.left_behind else [state.buffer for state in self.states if state.buffer is not None]
        return [] if _is_gone(found) else found

    def _seconds(self) -> float:
        return time.perf_counter() - self.started - self.loop.late_compile_seconds - self.evaluation_seconds

    def _warn(self, sentence: str) -> None:
        self.hear(Warned(sentence))

    def summary(self) -> dict[str, Any]:
        """What it came to, in plain numbers."""
        task = self.task
        return {
            "env": task.source.name,
            "algorithm": algorithm_name(task.settings.algorithm),
            "seeds": list(task.seeds),
            "steps": self.log.steps,
            "compile_seconds": round(self.starting + self.loop.late_compile_seconds, 3),
            "train_seconds": round(self.times.total, 3),
            "steps_per_second": round(self.log.new_steps / max(self.seconds or self._seconds(), 1e-9), 1),
            "updates": self.iteration,
            "interrupted": self.interruption.is_set() and self.iteration < task.settings.num_updates,
            "stopped": self.stopped,
            "signal": self.interruption.signal,
            "restarts": self.restarts,
            "checkpoint_seconds": round(self.checkpoints.seconds, 3),
            "evaluation_seconds": round(self.evaluation_seconds, 3),
            "out": None if task.out is None else str(task.out),
        }


def _is_gone(tree: Any) -> bool:
    """Whether arrays in it have been handed over to a program."""
    return any(x.is_deleted() for x in jax.tree.leaves(tree) if isinstance(x, jax.Array))


def with_experience(
    trainer: Trainer, path: Path, states: list[TrainingState], warn: Callable[[str], None]
) -> tuple[list[TrainingState], Kept]:
    """The states with what the checkpoint at `path` holds beside them, and what the segments hold that it is in.

    `warn` hears what it does not hold.
    """
    begin_anew = states[0].rollout is not None and trainer.stored(states[0]).rollout is None
    if begin_anew:
        warn("environments on the host cannot be stored: they start new episodes here.")
    experience = trainer.algorithm.experience
    if not experience.capacity:
        return states, Kept(experience)
    empty = tuple(state.buffer for state in states)
    shapes = jax.eval_shape(lambda: empty)
    let_go(empty)
    segments = segments_of(path)
    buffers = load_experience(path.parent / SEGMENTS, segments, experience, shapes, warn)
    if buffers is None:
        warn("the checkpoint holds no experience that can be used: it is collected anew here.")
        return [trainer.with_experience(state, None) for state in states], Kept(experience)
    states = [trainer.with_experience(state, buffer) for state, buffer in zip(states, buffers, strict=True)]
    # Where environments begin anew, the newest row counts for nothing now, and is to be stored again.
    return states, Kept(experience, segments, again=int(begin_anew))


def let_go(tree: Any) -> None:
    """Gives back the memory of arrays, whoever else holds them: of several of this size there may be no room."""
    for x in jax.tree.leaves(tree):
        x.delete()
