"""One training under way: it starts or resumes, compiles, iterates and writes what it finds."""

import concurrent.futures
import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..errors import EnvironmentFault, InputError, TrainingFault
from ..rollout import AbstractRollout, close_or_warn
from ..runs.arrays import save_arrays
from ..runs.checkpoints import Checkpoints, load_newest
from ..runs.folder import clear_folder, locked, make_folder, policy_file, versions, write_config
from ..runs.metrics import read_rows, recent_return, rewrite_rows, Rows
from ..runs.presets import algorithm_name
from ..runs.run import read_config, Run
from ..runs.schema import write_json
from ..runs.settings import Settings
from ..runs.times import Times
from .events import AbstractListener, Plan
from .initial_state import make_model, start_compiled
from .loop import BUFFER, CompiledLoop, HostLoop, make_loop, Trainer, TrainingState, with_traced_numbers
from .monitors import Alarms
from .nonfinite import Fault, find_fault
from .options import Care
from .placement import side_by_side
from .progress import Progress
from .signals import catch_interruption

ENDED = ("updates", "interrupted", "signal")  # what a summary says of how far it came
CHUNK_SECONDS = 0.3  # how long the loop runs between two looks at it


@dataclasses.dataclass
class Session:
    """One call of `train` or `resume` under way."""

    source: Any
    settings: Settings
    seeds: tuple[int, ...]
    rollout: AbstractRollout
    model: Any
    environment: Any
    out: str | Path | None
    overwrite: bool
    listener: AbstractListener
    care: Care
    resume: bool = False
    model_name: str = "network"

    def run(self) -> Run:
        """All of it, with the run folder locked."""
        if self.out is None:
            return self._run(None)
        folder = Path(self.out)
        if not self.resume:
            make_folder(folder, overwrite=self.overwrite)
        with locked(folder):
            return self._run(folder)

    def _run(self, folder: Path | None) -> Run:
        """Start, compile, iterate, save."""
        self.listener.planned(self._plan())
        scaling = self.settings.reward_scaling
        trainer = with_traced_numbers(Trainer(self.settings.algorithm, self.rollout, scaling, self.care.skip))
        self.listener.compiling()
        started = time.perf_counter()
        with contextlib.ExitStack() as opened:  # the environments, which are closed however this ends
            states, loop = self._begin(trainer, opened)
            kept = []
            if folder is not None and self.resume:
                states, kept = self._resumed(trainer, folder, states, opened)
            elif folder is not None:  # only now: what was here before is not lost to a mistake in what was given
                clear_folder(folder)
                write_config(folder, self._as_run().config())
            starting = time.perf_counter() - started
            self.listener.compiled(starting)
            return self._trained(trainer, folder, loop, states, kept, starting, opened)

    def _trained(
        self,
        trainer: Trainer,
        folder: Path | None,
        loop: CompiledLoop | HostLoop,
        states: list[TrainingState],
        kept: list[dict[str, Any]],
        starting: float,
        opened: contextlib.ExitStack,
    ) -> Run:
        """Iterate, and save what came of it. Then raises what broke."""
        checkpoints = Checkpoints(folder, self.care.every, self.listener.warned)
        with contextlib.closing(Rows(folder, kept, self.listener.warned)) as rows, catch_interruption() as interruption:
            times = Times(folder, int(states[0].iteration))
            alarms = Alarms(self.rollout.action_space)
            at = Progress(trainer, loop, states, rows, checkpoints, times, alarms, interruption, time.perf_counter())
            fault = self._iterate(at)
            seconds = at.seconds
        if at.left_behind:  # what does not answer cannot be closed either
            opened.pop_all()
        opened.close()
        self.listener.finished(interruption.is_set())
        compiling = 0.0 if self.rollout.compiled else loop.compile_seconds
        summary = self._summary(at, starting + compiling, seconds)
        if folder is not None and self.resume and not rows.new_steps:  # nothing was done: its times stand
            summary = summary | read_config(folder).summary | {name: summary[name] for name in ENDED}
        run = self._as_run(tuple(trainer.policy(state) for state in at.states), rows.all, summary)
        if folder is not None:
            for chosen, trained in zip(self.seeds, run.models, strict=True):
                save_arrays(folder / policy_file(chosen), trained)
            write_config(folder, run.config())
        if fault is not None:
            raise fault
        return run

    def _plan(self) -> Plan:
        return Plan(
            self.source.name, self.source.note, type(self.settings.algorithm).__name__, self.seeds,
            self.settings.num_updates * self.settings.steps_per_rollout, self.settings.num_envs,
            self.settings.rollout_length, self.settings.source, jax.devices()[0].platform,
            None if self.out is None else str(self.out),
        )  # fmt: skip

    def _begin(
        self, trainer: Trainer, opened: contextlib.ExitStack
    ) -> tuple[list[TrainingState], CompiledLoop | HostLoop]:
        """The state of every seed, whose environments `opened` will close, and the loop for them."""
        if not self.rollout.compiled or self.model is not None:
            states = []
            for seed in self.seeds:
                states.append(self._start(trainer, seed))
                self._will_close(states[-1], opened)
            return states, make_loop(trainer, states[0])
        # The loop needs the shapes of a state only, so the two programs compile side by side.
        num_updates = jnp.asarray(self.settings.num_updates)  # an array: so it is compiled once for all numbers
        keys = [jax.random.key(seed) for seed in self.seeds]
        arguments = (trainer, self.settings.network, num_updates)
        shapes = eqx.filter_eval_shape(start_compiled, *arguments, keys[0])
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            starting = pool.submit(lambda: [start_compiled(*arguments, key) for key in keys])
            loop = make_loop(trainer, shapes)
            return starting.result(), loop

    def _will_close(self, state: TrainingState, opened: contextlib.ExitStack) -> None:
        """A state moves on, but the environments that it began with are those that it ends with."""
        if state.rollout is not None:
            opened.callback(close_or_warn, self.rollout, state.rollout, self.listener.warned)

    def _start(self, trainer: Trainer, seed: int) -> TrainingState:
        num_updates = jnp.asarray(self.settings.num_updates)
        model_key, key = jax.random.split(jax.random.key(seed))
        model, self.model_name = make_model(self.model, self.settings, self.rollout, model_key)
        # Environments on the host are made once it is known where they go on.
        blank = self.resume and not self.rollout.compiled
        return (trainer.blank if blank else trainer.init)(model, num_updates, key)

    def _resumed(self, trainer: Trainer, folder: Path, states: list[TrainingState], opened: contextlib.ExitStack):
        """The states of the newest good checkpoint (without any, the first ones), and the rows up to there."""
        found = load_newest(folder, tuple(trainer.portable(state) for state in states), self.listener.warned)
        if found is None:
            self.listener.warned(f"{folder} has no checkpoint yet: the training begins anew.")
        elif found[1] >= self.settings.num_updates:
            self.listener.warned(f"{folder} is complete: nothing is left to do.")
        elif not self.rollout.compiled:
            self.listener.warned("environments on the host cannot be stored: they start new episodes here.")
        stored, iteration = found or (states, 0)
        kept = [row for row in read_rows(folder) if row["iteration"] <= iteration]
        rewrite_rows(folder, kept)
        if iteration < self.settings.num_updates:  # they were of policies that are not the last any more
            for left in ("fault.json", "evaluation.json"):
                (folder / left).unlink(missing_ok=True)
        resumed = []
        for state in stored:
            resumed.append(trainer.resumed(state))
            self._will_close(resumed[-1], opened)
        return resumed, kept

    def _iterate(self, at: Progress) -> InputError | None:
        """Rounds of some iterations of every seed, until all are done, somebody interrupts, or something breaks.

        However it ends, the last good states are in a checkpoint. Returns what broke.
        """
        total = self.settings.num_updates
        at.checkpoints.started(at.iteration)
        try:
            while at.iteration < total and not at.interruption.is_set():
                self._round(at, total)
        except (TrainingFault, EnvironmentFault) as fault:
            return fault
        finally:
            at.rows.flush(sync=True)  # before the checkpoint after them
            at.checkpoints.write(at.portable(), at.iteration, self._score(at.rows))
        return None

    def _round(self, at: Progress, total: int) -> None:
        """Some iterations of every seed. A thread each: that is faster than a batch of seeds."""
        before = time.perf_counter()
        count = min(at.count, total - at.iteration, at.checkpoints.room(at.iteration))
        results = side_by_side(lambda state: at.loop.advance(state, count), at.states, lambda: self._look(at))
        finite = [metrics.finite | self.care.skip for _, metrics in results]
        if not all(each.all() for each in finite):
            self._stop(at, min(int(each.sum()) for each in finite))
        fresh = at.rows.add(self.seeds, [metrics for _, metrics in results], at.iteration)
        at.states = [state for state, _ in results]
        at.rows.flush()
        self._warn(at, fresh)
        at.times.add(at.iteration, at.seconds)
        self.listener.advanced(fresh, at.rows.steps, at.seconds)
        if at.checkpoints.due(at.iteration):
            at.rows.flush(sync=True)
            at.checkpoints.write(at.portable(), at.iteration, self._score(at.rows))
        ratio = CHUNK_SECONDS / max(time.perf_counter() - before, 1e-6)
        at.count = min(max(1, round(at.count * min(ratio, 8.0))), BUFFER)

    def _warn(self, at: Progress, fresh: list[dict[str, Any]]) -> None:
        """Of what went wrong and did not stop anything."""
        for state in at.states:
            for incident in self.rollout.incidents(state.rollout):
                at.restarts += 1
                self.listener.warned(f"{incident}; it was made anew, and its step there counts for nothing.")
        for sentence in at.alarms.heard(fresh):
            self.listener.warned(sentence)

    def _look(self, at: Progress) -> None:
        """At environments on the host: whether they answer."""
        try:
            for state in at.states:
                self.rollout.check_alive(state.rollout, self.care.step_timeout)
        except EnvironmentFault:
            at.left_behind = True
            raise

    def _stop(self, at: Progress, good: int) -> None:
        """Goes to the last good update of all seeds, and raises what is wrong with the next."""
        if good and self.rollout.compiled:
            results = [at.loop.advance(state, good) for state in at.states]
            at.rows.add(self.seeds, [metrics for _, metrics in results], at.iteration)
            at.states = [state for state, _ in results]
        faults = [find_fault(at.trainer, at.loop, *each) for each in zip(at.states, self.seeds, strict=True)]
        unseen = Fault("gradient", self.seeds[0], at.iteration + 1)  # it was, and was not when it was done again
        first = next((fault for fault in faults if fault is not None), unseen)
        if self.out is not None:
            write_json(Path(self.out) / "fault.json", dataclasses.asdict(first))
        raise first.error()

    def _score(self, rows: Rows) -> float | None:
        """The recent mean return, averaged over seeds: the best checkpoint has the highest."""
        recent = [recent_return([row for row in rows.all[-4096:] if row["seed"] == seed]) for seed in self.seeds]
        means = [found[0] for found in recent if found is not None]
        return sum(means) / len(means) if means else None

    def _summary(self, at: Progress, compile_seconds: float, seconds: float) -> dict[str, Any]:
        return {
            "env": self.source.name,
            "algorithm": algorithm_name(self.settings.algorithm),
            "seeds": list(self.seeds),
            "steps": at.rows.steps,
            "compile_seconds": round(compile_seconds, 3),
            "train_seconds": round(at.times.total, 3),
            "steps_per_second": round(at.rows.new_steps / max(seconds, 1e-9), 1),
            "updates": at.iteration,
            "interrupted": at.interruption.is_set() and at.iteration < self.settings.num_updates,
            "signal": at.interruption.signal,
            "restarts": at.restarts,
            "checkpoint_seconds": round(at.checkpoints.seconds, 3),
            "out": None if self.out is None else str(self.out),
        }

    def _as_run(self, models: tuple = (), history: list | None = None, summary: dict[str, Any] | None = None) -> Run:
        more_than_a_name = None if isinstance(self.environment, str) else self.environment
        return Run(
            self.source.name, self.settings, self.seeds, models, self.rollout.obs_space, self.rollout.action_space,
            history or [], summary or {}, versions(), self.model_name, more_than_a_name, self.source.named,
        )  # fmt: skip
