"""One training under way: it starts or resumes, compiles, iterates and writes what it finds."""

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any

import jax

from ..errors import check_flag, check_path, EnvironmentFault, InputError, TrainingFault
from ..rollout import AbstractRollout, close_or_warn
from ..runs.arrays import save_arrays
from ..runs.checkpoints import Checkpoints, load_experience, load_newest
from ..runs.folder import clear_folder, locked, make_folder, policy_file, versions, write_config
from ..runs.metrics import check_measurements, MetricsLog, read_rows, recent_return, rewrite_rows
from ..runs.presets import algorithm_name
from ..runs.run import read_config, Run
from ..runs.schema import write_json
from ..runs.settings import Settings
from ..runs.times import Times
from .events import Advanced, Compiled, Compiling, Finished, Listener, Planned, Warned
from .loop import BUFFER, CompiledLoop, HostLoop, Iterated, Trainer, TrainingState, with_traced_numbers
from .monitors import Monitors
from .nonfinite import Fault, find_fault
from .options import FaultTolerance
from .placement import begin, device, name_of, side_by_side
from .signals import catch_signals, Interruption

ENDED = ("updates", "interrupted", "signal")  # what a summary says of how far it came
CHUNK_SECONDS = 0.3  # how long the loop runs between two looks at it


@dataclasses.dataclass
class Session:
    """One call of `train` or `resume`."""

    source: Any
    settings: Settings
    seeds: tuple[int, ...]
    rollout: AbstractRollout
    model: Any
    environment: Any
    out: str | Path | None
    overwrite: bool
    listener: Listener
    fault_tolerance: FaultTolerance
    resume: bool = False
    model_name: str = "network"

    def run(self) -> Run:
        """All of it, with the run folder locked."""
        if self.out is None:
            return self._run(None)
        folder = check_path("out", self.out)
        if not self.resume:
            make_folder(folder, overwrite=check_flag("overwrite", self.overwrite))
        with locked(folder):
            return self._run(folder)

    def _run(self, folder: Path | None) -> Run:
        """Start, compile, iterate, save. Then raises what broke."""
        settings = self.settings
        check_measurements(settings.algorithm.measurements)
        self.listener(self._plan())
        trainer = with_traced_numbers(
            Trainer(
                settings.algorithm, self.rollout, settings.reward_scaling, self.fault_tolerance.skip,
                settings.iterations_per_row,
            )
        )  # fmt: skip
        self.listener(Compiling())
        started = time.perf_counter()
        with contextlib.ExitStack() as opened:  # the environments, which are closed however this ends
            states, loop, kept = self._begin(trainer, folder, opened)
            starting = time.perf_counter() - started
            self.listener(Compiled(starting))
            at, fault = self._trained(trainer, folder, loop, states, kept)
            if at.left_behind:  # what does not answer cannot be closed either
                opened.pop_all()
        self.listener(Finished(at.interruption.is_set()))
        run = self._saved(folder, at, starting + loop.late_compile_seconds)
        if fault is not None:
            raise fault
        return run

    def _begin(
        self, trainer: Trainer, folder: Path | None, opened: contextlib.ExitStack
    ) -> tuple[list[TrainingState], CompiledLoop | HostLoop, list[dict[str, Any]]]:
        """The state of every seed, whose environments `opened` will close; the loop; the rows of before."""

        def will_close(state: Any) -> None:
            # A state moves on, but the environments that it began with are those that it ends with.
            if state is not None:
                opened.callback(close_or_warn, self.rollout, state, self._warn)

        network = self.settings.network if self.model is None else self.model
        states, loop = begin(trainer, network, self.settings.num_updates, self.seeds, self.resume, will_close)
        if self.model is not None:
            self.model_name = name_of(trainer.networks(states[0]))
        kept = []
        if folder is not None and self.resume:
            states, kept = self._resumed(trainer, folder, states)
            for state in states:
                will_close(state.rollout)
        elif folder is not None:  # only now: what was here before is not lost to a mistake in what was given
            clear_folder(folder)
            write_config(folder, self._as_run().config())
        return states, loop, kept

    def _resumed(
        self, trainer: Trainer, folder: Path, states: list[TrainingState]
    ) -> tuple[list[TrainingState], list[dict[str, Any]]]:
        """The states of the newest good checkpoint (without any, the first ones), and the rows up to there."""
        found = load_newest(folder, tuple(trainer.stored(state) for state in states), self._warn)
        if found is None:
            self._warn(f"{folder} has no checkpoint yet: the training begins anew.")
        stored, path = found or (states, None)
        _let_go(tuple(state.buffer for state in states))
        resumed = [trainer.resumed(state) for state in stored]
        iterations = dict(zip(self.seeds, (int(state.iteration) for state in resumed), strict=True))
        complete = min(iterations.values()) >= self.settings.num_updates
        if complete:
            self._warn(f"{folder} is complete: nothing is left to do.")
        elif path is not None:
            resumed = self._with_experience(trainer, path, resumed)
        kept = [row for row in read_rows(folder) if row["iteration"] <= iterations.get(row["seed"], 0)]
        rewrite_rows(folder, kept)
        if not complete:  # they were of policies that are not the last any more
            for left in ("fault.json", "evaluation.json"):
                (folder / left).unlink(missing_ok=True)
        return resumed, kept

    def _with_experience(self, trainer: Trainer, path: Path, states: list[TrainingState]) -> list[TrainingState]:
        """With what a checkpoint holds beside the states, and a word on what it does not hold."""
        if states[0].rollout is not None and trainer.stored(states[0]).rollout is None:
            self._warn("environments on the host cannot be stored: they start new episodes here.")
        if not trainer.algorithm.experience.capacity:
            return states
        empty = tuple(state.buffer for state in states)
        shapes = jax.eval_shape(lambda: empty)
        _let_go(empty)
        buffers = load_experience(path, shapes, self._warn)
        if buffers is None:
            self._warn("experience is stored when a training ends, not on the way: it is collected anew here.")
            buffers = [None] * len(states)
        return [trainer.with_experience(state, buffer) for state, buffer in zip(states, buffers, strict=True)]

    def _trained(
        self,
        trainer: Trainer,
        folder: Path | None,
        loop: CompiledLoop | HostLoop,
        states: list[TrainingState],
        kept: list[dict[str, Any]],
    ) -> "tuple[Underway, InputError | None]":
        """Where it stands after all iterations, and what broke."""
        with (
            contextlib.closing(MetricsLog(folder, trainer.names, kept, self._warn)) as log,
            catch_signals() as interruption,
        ):
            checkpoints = Checkpoints(folder, self.fault_tolerance.every, self._warn)
            times = Times(folder, min(int(state.iteration) for state in states))
            monitors = Monitors(trainer.algorithm.measurements, self.rollout.action_space)
            at = Underway(self, trainer, loop, states, log, checkpoints, times, monitors, interruption)
            return at, at.iterate()

    def _saved(self, folder: Path | None, at: "Underway", compile_seconds: float) -> Run:
        """The run, and its folder brought up to it."""
        summary = at.summary(compile_seconds)
        if folder is not None and self.resume and not at.log.new_steps:  # nothing was done: its times stand
            summary = summary | read_config(folder).summary | {name: summary[name] for name in ENDED}
        run = self._as_run(tuple(at.trainer.networks(state) for state in at.states), at.log.all, summary)
        if folder is not None:
            for chosen, trained in zip(self.seeds, run.models, strict=True):
                save_arrays(folder / policy_file(chosen), trained)
            write_config(folder, run.config())
        return run

    def _warn(self, sentence: str) -> None:
        self.listener(Warned(sentence))

    def _plan(self) -> Planned:
        return Planned(
            self.source.name, self.source.note, type(self.settings.algorithm).__name__, self.seeds,
            self.settings.num_updates * self.settings.steps_per_rollout, self.settings.num_envs,
            self.settings.rollout_length, self.settings.source, device(),
            None if self.out is None else str(self.out), self.settings.algorithm.measurements,
            self.settings.iterations_per_row,
        )  # fmt: skip

    def _as_run(
        self,
        models: tuple[Any, ...] = (),
        history: list[dict[str, Any]] | None = None,
        summary: dict[str, Any] | None = None,
    ) -> Run:
        more_than_a_name = None if isinstance(self.environment, str) else self.environment
        return Run(
            self.source.name, self.settings, self.seeds, models, self.rollout.obs_space, self.rollout.action_space,
            history or [], summary or {}, versions(), self.settings.algorithm.measurements, self.model_name,
            more_than_a_name, self.source.named,
        )  # fmt: skip


@dataclasses.dataclass
class Underway:
    """The iterations of a session, and where they stand."""

    session: Session
    trainer: Trainer
    loop: CompiledLoop | HostLoop
    states: list[TrainingState]
    log: MetricsLog
    checkpoints: Checkpoints
    times: Times
    monitors: Monitors
    interruption: Interruption
    started: float = dataclasses.field(default_factory=time.perf_counter)
    seconds: float = 0.0  # of training in this process, without compiling
    count: int = 1  # iterations in the next round
    restarts: int = 0  # of environments that broke down
    left_behind: bool = False  # an environment does not answer, and threads may still be in others

    @property
    def iteration(self) -> int:
        """Iterations that every seed has done. After a fault, other seeds may be further than the one that failed."""
        return min(int(state.iteration) for state in self.states)

    def iterate(self) -> InputError | None:
        """Rounds of some iterations of every seed, until all are done, somebody interrupts, or something breaks.

        However it ends, the last good states are in a checkpoint. Returns what broke.
        """
        total, fault = self.session.settings.num_updates, None
        self.checkpoints.started(self.iteration)
        try:
            while self.iteration < total and not self.interruption.is_set():
                self._round(total)
        except (TrainingFault, EnvironmentFault) as broken:
            fault = broken
        finally:
            self._write(last=True)
            self.seconds = self._seconds()
        return fault

    def _round(self, total: int) -> None:
        """Some iterations of every seed. A thread each: that is faster than a batch of seeds."""
        before, every = time.perf_counter(), self.trainer.every
        count = min(self.count, self.checkpoints.room(self.iteration))
        count = -(-count // every) * every  # whole rows, so that these do not depend on how iterations are grouped
        done = {seed: int(state.iteration) for seed, state in zip(self.session.seeds, self.states, strict=True)}
        results = side_by_side(
            lambda state: self.loop.advance(state, min(count, total - int(state.iteration))), self.states, self._look
        )
        self.states = [result.state for result in results]
        metrics = {seed: result.metrics for seed, result in zip(self.session.seeds, results, strict=True)}
        fresh = self.log.add(done, metrics)
        self.log.flush()
        self._tell(fresh)
        self._stop(results)
        if self.checkpoints.due(self.iteration):
            self._write(last=False)
        ratio = CHUNK_SECONDS / max(time.perf_counter() - before, 1e-6)
        self.count = min(max(1, round(self.count * min(ratio, 8.0))), BUFFER * every)

    def _tell(self, fresh: list[dict[str, Any]]) -> None:
        """What is new, and what went wrong and did not stop anything."""
        for state in self.states:
            for incident in self.session.rollout.incidents(state.rollout):
                self.restarts += 1
                self._warn(f"{incident}; it was made anew, and its step there counts for nothing.")
        for sentence in self.monitors.check(fresh):
            self._warn(sentence)
        self.times.add(self.iteration, self._seconds())
        self.session.listener(Advanced(fresh, self.log.steps, self._seconds()))

    def _look(self) -> None:
        """At environments on the host: whether they answer."""
        try:
            for state in self.states:
                self.session.rollout.check_alive(state.rollout, self.session.fault_tolerance.step_timeout)
        except EnvironmentFault:
            self.left_behind = True
            raise

    def _stop(self, results: list[Iterated]) -> None:
        """Raises what broke: an environment, or the first iteration that was not finite."""
        faults = [
            find_fault(self.trainer, result, seed)
            for seed, result in zip(self.session.seeds, results, strict=True)
            if result.failed is not None
        ]
        if not faults:
            for result in results:
                if result.broken is not None:
                    raise result.broken
            return
        first: Fault = min(faults, key=lambda fault: fault.update)
        if self.session.out is not None:
            write_json(Path(self.session.out) / "fault.json", dataclasses.asdict(first))
        raise first.error()

    def _write(self, last: bool) -> None:
        """A checkpoint; the last of a training holds the experience too, which would cost too much on the way.

        Where a round was left in its middle, what was handed over by then is gone: that may be the experience alone.
        Threads that were left behind may hand it over at any time.
        """
        states = tuple(self.trainer.stored(state) for state in self.states)
        if _is_gone(states):
            return
        self.log.flush(sync=True)  # before the checkpoint after them
        buffers = tuple(state.buffer for state in self.states) if last and not self.left_behind else None
        self.checkpoints.write(states, self.iteration, self._score(), None if _is_gone(buffers) else buffers)

    def _score(self) -> float | None:
        """The recent mean return, averaged over seeds: the best checkpoint has the highest."""
        rows = self.log.all[-4096:]
        recent = [recent_return([row for row in rows if row["seed"] == seed]) for seed in self.session.seeds]
        means = [found[0] for found in recent if found is not None]
        return sum(means) / len(means) if means else None

    def _seconds(self) -> float:
        return time.perf_counter() - self.started - self.loop.late_compile_seconds

    def _warn(self, sentence: str) -> None:
        self.session.listener(Warned(sentence))

    def summary(self, compile_seconds: float) -> dict[str, Any]:
        """What it came to, in plain numbers."""
        session = self.session
        return {
            "env": session.source.name,
            "algorithm": algorithm_name(session.settings.algorithm),
            "seeds": list(session.seeds),
            "steps": self.log.steps,
            "compile_seconds": round(compile_seconds, 3),
            "train_seconds": round(self.times.total, 3),
            "steps_per_second": round(self.log.new_steps / max(self.seconds, 1e-9), 1),
            "updates": self.iteration,
            "interrupted": self.interruption.is_set() and self.iteration < session.settings.num_updates,
            "signal": self.interruption.signal,
            "restarts": self.restarts,
            "checkpoint_seconds": round(self.checkpoints.seconds, 3),
            "out": None if session.out is None else str(session.out),
        }


def _is_gone(tree: Any) -> bool:
    """Whether arrays in it have been handed over to a program."""
    return any(x.is_deleted() for x in jax.tree.leaves(tree) if isinstance(x, jax.Array))


def _let_go(tree: Any) -> None:
    """Gives back the memory of arrays, whoever else holds them: of several of this size there may be no room."""
    for x in jax.tree.leaves(tree):
        x.delete()
