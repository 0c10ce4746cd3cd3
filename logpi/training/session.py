"""One training under way: it starts or resumes, compiles, iterates and writes what it finds."""

import contextlib
import dataclasses
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from ..envs.sources import processes_of
from ..errors import check_flag, check_path, InputError, interruption, shown
from ..measurements import Measurement
from ..progress.events import Compiled, Compiling, Planned, WarmStarted, Warned
from ..rollout import AbstractRollout, close_or_warn
from ..runs.arrays import check_storable, save_arrays
from ..runs.checkpoints import (
    Checkpoints,
    FOLDER,
    Kept,
    load_newest,
    mark_of,
    put_in_order,
    write_checkpoint,
)
from ..runs.config import check_readable
from ..runs.files import removed
from ..runs.folder import (
    claimed,
    clear_folder,
    films_up_to,
    HeldFolder,
    locked,
    new_folder,
    policy_file,
    remove_unfinished,
    versions,
    write_config,
)  # fmt: skip
from ..runs.journals import evaluations_up_to, Times
from ..runs.metrics import check_measurements, MetricsLog, rewrite_rows, Rows, rows_up_to
from ..runs.options import EvaluationPlan
from ..runs.run import Best, read_config, Run
from ..runs.schema import differences, to_json
from ..spaces.actions import is_far, note_on
from ..spaces.encoding import layout_note
from .evaluating import Evaluating, evaluation_rollout
from .loop import CompiledLoop, HostLoop, measured, Trainer, TrainingState, with_traced_numbers
from .monitors import Monitors
from .placement import begin, device, name_of
from .signals import catch_signals
from .underway import Before, let_go, Task, Underway, with_experience

ENDED = ("updates", "interrupted", "stopped", "signal")  # what a summary says of how far it came


@dataclasses.dataclass
class Session:
    """One call of `train` or `resume`."""

    task: Task
    model_name: str = "network"
    held: HeldFolder | None = None  # while it goes on

    def run(self) -> Run:
        """All of it, with the run folder held."""
        task = self.task
        if task.out is None:
            return self._run()
        folder = check_path("out", task.out)
        with (
            locked(folder) if task.resume else claimed(folder, overwrite=check_flag("overwrite", task.overwrite))
        ) as self.held:
            return self._run()

    def _run(self) -> Run:
        """Start, compile, iterate, save. Then raises what broke."""
        settings = self.task.settings
        check_measurements(self._measurements)
        check_readable(self._as_run().config())
        where = None if self._plan is None else evaluation_rollout(self._as_run(), self._plan, self.task.source)
        on_actions = note_on(self.task.rollout.action_space, settings.way_of_actions)
        rescaled = settings.way_of_actions == "auto" and is_far(self.task.rollout.action_space)
        notes = [self.task.source.note, on_actions if rescaled else "", layout_note(self.task.rollout.obs_space)]
        self.task.listener(self._planned(" ".join(filter(None, notes))))
        if on_actions and not rescaled:
            self._warn(on_actions)
        trainer = with_traced_numbers(
            Trainer(
                settings.algorithm, self.task.rollout, settings.reward_transform, self.task.fault_tolerance.skip,
                settings.iterations_per_row,
            )
        )  # fmt: skip
        self.task.listener(Compiling())
        started = time.perf_counter()
        with contextlib.ExitStack() as opened:  # the environments, which are closed however this ends
            states, loop, kept = self._begin(trainer, opened)
            starting = self._tell_begun(time.perf_counter() - started)
            at, fault = self._trained(trainer, loop, states, kept, starting, where)
            if at.left_behind:  # what does not answer cannot be closed either
                opened.pop_all()
        fault = at.finish(fault)
        run = self._saved(at)
        if fault is not None:
            with contextlib.suppress(AttributeError, TypeError):  # a callback may raise what takes no attribute
                setattr(fault, "run", run)  # noqa: B010 - of an exception of anybody's
            raise fault
        if at.interruption.signal is not None:
            kept = "the `run` of this exception" if self.held is None else f"in {self.held.path}"
            done, planned = at.iteration, settings.num_updates
            raise interruption(
                f"interrupted after {done:,} of {planned:,} updates: what was learned is {kept}.", run,
                at.interruption.signal,
            )  # fmt: skip
        return run

    def _tell_begun(self, seconds: float) -> float:
        """Tells of the states that there are after so many seconds, and returns how many of these went by compiling."""
        warming = self.task.warming
        compiling = seconds if warming is None else seconds - warming.seconds
        self.task.listener(Compiled(compiling))
        if warming is not None:
            self.task.listener(WarmStarted(list(self.task.warm_started), warming.seconds))
            if concern := warming.concern:
                self._warn(concern)
        return compiling

    def _begin(
        self, trainer: Trainer, opened: contextlib.ExitStack
    ) -> tuple[list[TrainingState], CompiledLoop | HostLoop, "Before"]:
        """The state of every seed, whose environments `opened` will close; the loop; what was done before."""

        def will_close(state: Any) -> None:
            # A state moves on, but the environments that it began with are those that it ends with.
            if state is not None:
                opened.callback(close_or_warn, self.task.rollout, state, self._warn)

        network = self.task.settings.network if self.task.model is None else self.task.model
        states, loop = begin(
            trainer, network, self.task.settings.num_updates, self.task.seeds, self.task.resume, will_close,
            warming=(warming := self.task.warming),
        )  # fmt: skip
        if warming is not None:
            self.task.warm_started = warming.of_seeds(self.task.seeds)
        if self.task.model is not None:
            self.model_name = name_of(trainer.networks(states[0]))
            check_storable(trainer.stored(states[0]))
        for state in states if not self.task.resume else []:
            self.task.rollout.incidents(state.rollout)  # before anything is written
        before = Before()
        if self.held is not None and self.task.resume:
            states, before = self._resumed(trainer, self.held.path, states)
            for state in states:
                will_close(state.rollout)
        elif self.held is not None:  # only now: what was here before is not lost to a mistake in what was given
            self.held.check()
            clear_folder(self.held.path)
            write_config(self.held.path, self._as_run().config())
        return states, loop, before

    def _resumed(
        self, trainer: Trainer, folder: Path, states: list[TrainingState]
    ) -> tuple[list[TrainingState], "Before"]:
        """The states of the newest good checkpoint (without any, the first ones), and what was done up to there."""
        config = read_config(folder)  # again, now that nobody else writes it
        if config.run_id != self.task.run_id:
            raise InputError(f"{folder} holds another run by now: resume it again.")
        now = versions()
        if other := [name for name in now if config.versions.get(name, now[name]) != now[name]]:
            change = "; ".join(f"{name} was {shown(config.versions[name])} and is {now[name]}" for name in other)
            self._warn(f"this is not where the training began ({change}): its numbers may differ in the last bits.")
        remove_unfinished(folder)
        put_in_order(folder / FOLDER)
        found = load_newest(folder, tuple(trainer.stored(state) for state in states), self._warn, self.task.run_id)
        if found is None:
            self._warn(f"{folder} has no checkpoint yet: the training begins anew.")
        stored, path = found or (states, None)
        let_go(tuple(state.buffer for state in states))
        resumed = [trainer.resumed(state) for state in stored]
        iterations = dict(zip(self.task.seeds, (int(state.iteration) for state in resumed), strict=True))
        complete = min(iterations.values()) >= self.task.settings.num_updates
        if complete:
            self._warn(f"{folder} is complete: nothing is left to do.")
        experience: Kept | None = None
        if path is not None and not complete:
            resumed, experience = with_experience(trainer, path, resumed, self._warn)
        mark = None if path is None else mark_of(path)
        kept = rows_up_to(folder, mark, iterations, self._warn)
        options = {"fault_tolerance": self.task.fault_tolerance, "evaluation_plan": self._plan}
        if (now := dataclasses.replace(config, **options)) != config:
            write_config(folder, now.config())
        if not complete:  # they were of policies that are not the last any more
            for left in ("fault.json", "evaluation.json"):
                removed(folder / left)
        steps = None if mark is None else mark.steps
        films_up_to(folder, (steps or {}).get(self.task.seeds[0], 0))
        evaluations, bests = evaluations_up_to(folder, iterations), self._bests(folder, trainer, resumed)
        if any(differences(to_json(config.evaluation_plan), to_json(self._plan))):  # it was bet on something else
            evaluations = [{name: x for name, x in line.items() if name != "evidence"} for line in evaluations]
        return resumed, Before(kept, steps, evaluations, bests, experience)

    def _bests(self, folder: Path, trainer: Trainer, states: list[TrainingState]) -> dict[int, Best]:
        """The best policies that evaluations had found; one that cannot be read is named, and looked for anew."""
        found = {}
        for seed, state in zip(self.task.seeds, states, strict=True):
            path = folder / policy_file(seed, best=True)
            if self._plan is not None and os.path.lexists(path):
                try:
                    found[seed] = Best.load(path, trainer.networks(state))
                except InputError as error:
                    self._warn(f"the best policy so far is passed over: {error}")
        return found

    def _trained(
        self,
        trainer: Trainer,
        loop: CompiledLoop | HostLoop,
        states: list[TrainingState],
        before: "Before",
        starting: float,
        where: AbstractRollout | None,
    ) -> tuple[Underway, Exception | None]:
        """Where it stands after all iterations, and what broke."""
        folder, check = (None, lambda: None) if self.held is None else (self.held.path, self.held.check)
        with (
            contextlib.closing(MetricsLog(folder, trainer.names, before.rows, self._warn, before.steps)) as log,
            catch_signals() as interruption,
        ):
            kept = before.kept or Kept(trainer.algorithm.experience)
            every = self.task.fault_tolerance.every
            checkpoints = Checkpoints(self.held, self.task.run_id, every, self._warn, kept)
            times = Times(folder, min(int(state.iteration) for state in states), check)
            monitors = Monitors(trainer.algorithm.measurements, self.task.rollout.action_space)
            at = Underway(
                self.task, self.held, trainer, loop, states, log, checkpoints, times, monitors, interruption, starting,
                self._as_run,
            )  # fmt: skip
            if self._plan is not None and where is not None:
                total = self.task.settings.num_updates
                at.evaluating = Evaluating(self._plan, where, total, self.held, before.evaluations, before.bests)
            return at, at.iterate()

    def _saved(self, at: "Underway") -> Run:
        """The run, and its folder brought up to it."""
        summary, held = at.summary(), self.held
        if held is not None and self.task.resume and not at.log.new_steps:  # nothing was done: its times stand
            summary = summary | read_config(held.path).summary | {name: summary[name] for name in ENDED}
        run = dataclasses.replace(self._as_run(at), summary=summary)
        if held is None:
            return run
        try:
            held.check()
            if at.log.waiting:
                rewrite_rows(held.path, at.log.all)
            for chosen, trained in zip(self.task.seeds, run.models, strict=True):
                save_arrays(held.path / policy_file(chosen), trained)
            if at.evaluating is not None:
                at.evaluating.finish()
            write_config(held.path, run.config())
        except OSError as error:
            raise self._rescued(run, at, error) from None
        return run

    def _rescued(self, run: Run, at: "Underway", error: OSError) -> InputError:
        """Saves what was learned in another place, where its own cannot be written; and the words for it."""
        out = Path(str(self.task.out)).absolute()
        for place in (out.parent, Path.cwd(), Path(tempfile.gettempdir())):
            with contextlib.suppress(OSError, InputError):
                folder = new_folder(place / f"{out.name}-rescued")
                try:
                    dataclasses.replace(run, summary={**run.summary, "out": str(folder)}).save(folder, overwrite=True)
                    states = tuple(at.trainer.stored(state) for state in at.states)
                    kept = Kept(at.trainer.algorithm.experience)
                    write_checkpoint(
                        folder / FOLDER, states, at.iteration, run_id=self.task.run_id, mark=at.log.mark, kept=kept,
                        buffers=at.buffers(),
                    )  # fmt: skip
                except (OSError, InputError):
                    removed(folder)  # half a run is none
                    continue
                return InputError(
                    f"{out} cannot be written ({error.strerror}): what was learned is in {folder}, a run folder too."
                )
        return InputError(f"{out} cannot be written ({error.strerror}), nor can a folder beside it: make room.")

    @property
    def _plan(self) -> EvaluationPlan | None:
        """Of evaluations, at whole rows of metrics."""
        plan = self.task.evaluation_plan
        return None if plan is None else plan.whole(self.task.settings.iterations_per_row)

    @property
    def _measurements(self) -> tuple[Measurement, ...]:
        return measured(self.task.settings.algorithm, self.task.rollout)

    def _warn(self, sentence: str) -> None:
        self.task.listener(Warned(sentence))

    def _planned(self, note: str) -> Planned:
        task = self.task
        return Planned(
            task.source.name, note, type(task.settings.algorithm).__name__, task.seeds,
            task.settings.num_updates * task.settings.steps_per_rollout, task.settings.num_envs,
            task.settings.rollout_length, task.settings.source, device(),
            None if task.out is None else str(task.out), self._measurements,
            task.settings.iterations_per_row, task.settings,
        )  # fmt: skip

    def _as_run(self, at: Underway | None = None) -> Run:
        """What there is of it, without policies before the iterations are under way."""
        task = self.task
        run = Run(
            task.source.name, task.settings, task.seeds, (), task.rollout.obs_space, task.rollout.action_space, (), {},
            versions(), self._measurements, self.model_name,
            None if isinstance(task.environment, str) else task.environment, task.source.named, task.run_id,
            task.fault_tolerance, processes_of(task.source), self._plan, warm_started=task.warm_started,
        )  # fmt: skip
        if at is None:
            return run
        found = {} if at.evaluating is None else at.evaluating.bests
        bests = tuple(found[seed] for seed in task.seeds) if len(found) == len(task.seeds) else ()
        return dataclasses.replace(
            run, models=at.networks, history=Rows(at.log.all), summary=at.summary(), bests=bests,
            evaluations=() if at.evaluating is None else tuple(at.evaluating.lines),
        )  # fmt: skip
