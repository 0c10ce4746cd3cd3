"""A kill, and an error of each kind, at every operation of the file system of a command, and what is left.

A trial runs one command in this process, in a copy of the folders that stood there before it, and its k-th operation
fails. Then nothing may be lost: the command ends well or in a sentence, and `logpi resume` brings the run to the bits
of one that nothing befell, from no earlier update than the newest that was stored; or nothing was begun yet, and the
command can be given again. What stands beside the run is as it was.
"""

import contextlib
import io
import itertools
import shutil
import signal
import traceback
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from logpi.cli.main import main
from logpi.progress.events import Advanced, Event
from logpi.runs.checkpoints import damage, listed, load_newest
from logpi.runs.run import read_config
from logpi.training import placement

from .processes import same_files
from .trap import HOWS, Killed, Trap

UPDATES = 4
_TRAIN = [
    "train", "probe:identity", "--steps", str(32 * UPDATES), "--envs", "2", "--rollout-length", "16", "--width", "4",
    "--depth", "1", "--num-epochs", "1", "--num-minibatches", "1", "--checkpoint-every", "1",
    "--evaluate-episodes", "2",
]  # fmt: skip
# Each with the run that stands in the folder before it.
COMMANDS: dict[str, tuple[str | None, list[str]]] = {
    "train": (None, _TRAIN),
    "train --overwrite": ("other", [*_TRAIN, "--out", "run", "--overwrite"]),
    "evaluate": ("whole", ["evaluate", "run", "--episodes", "2"]),
    "resume": ("begun", ["resume", "run", "--evaluate-episodes", "2"]),
}


class Operations:
    """Trials in a folder, all of them with one compiled program."""

    def __init__(self, folder: Path):
        self._folder, self._place, self._trap = folder, folder / "trial", Trap()
        self._stored: dict[str, list[int]] = {}  # the newest checkpoint that is whole at each operation

    @classmethod
    @contextlib.contextmanager
    def prepared(cls, folder: Path) -> Generator["Operations"]:
        """With the runs that the commands begin with."""
        loops: list[Any] = []
        make_loop = placement.make_loop

        def made(trainer: Any, state: Any) -> Any:
            loops[:] = loops or [make_loop(trainer, state)]
            return loops[0]

        with (
            contextlib.chdir(folder), patch("logpi.training.placement.make_loop", made),
            patch("tempfile.gettempdir", lambda: str(folder / "trial")),
        ):  # fmt: skip
            told(*_TRAIN, "--out", "whole")
            told(*_TRAIN, "--out", "other", "--seed", "7")
            with patch("logpi.training.train.progress_display", lambda _: Stopping()):
                told(*_TRAIN, "--out", "begun")
            for name in ("whole", "other", "begun"):
                (folder / name / "notes.txt").write_text("kept")
            yield cls(folder)

    def count(self, name: str) -> int:
        """How many operations a command has where nothing befalls it."""
        if name not in self._stored:
            stored = self._stored[name] = []
            status, said = self._command(name, "kill", 0, lambda: stored.append(_newest(self._place)))
            if status:
                raise RuntimeError(said)
            stored[:] = itertools.accumulate(stored, max)
        return len(self._stored[name])

    def trial(self, name: str, how: str, at: int) -> list[str]:
        """What is lost where the `at`-th operation of a command fails."""
        self.count(name)
        status, said = self._command(name, how, at)
        with contextlib.chdir(self._place / "disk"):
            lost = [*_ended(status, said), *self._after(name, status, at)]
        return [f"{name}, {how} at operation {at}: {fault}" for fault in lost]

    def _command(self, name: str, how: str, at: int, meanwhile: Any = lambda: None) -> tuple[Any, str]:
        """A command on a disk of its own, with a run beside its own."""
        before, command = COMMANDS[name]
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(self._folder / "other", self._place / "disk/beside")
        if before:
            shutil.copytree(self._folder / before, self._place / "disk/run")
        with contextlib.chdir(self._place / "disk"), self._trap.under(self._place / "disk", how, at, meanwhile):
            return told(*command)

    def _after(self, name: str, status: Any, at: int) -> Iterable[str]:
        """What of the promise is not kept in the current folder, once a command has ended."""
        before, command = COMMANDS[name]
        least = 0 if before == "other" else self._stored[name][min(at, len(self._stored[name])) - 1]
        runs = _runs(self._place)
        if not runs:
            if least:
                yield f"update {least} was stored, and no run is left"
            again, said = told(*(word for word in command if word != "--overwrite"))
            runs = _runs(self._place)
            if again or len(runs) != 1:
                yield f"it could not be given again: {said}"
        for run in runs:
            if status == 0:
                yield from self._differences(run)
            yield from self._resumed(run, least)
            yield from self._differences(run)
        if any(path.read_bytes() != (self._folder / "other" / path.relative_to("beside")).read_bytes()
               for path in Path("beside").rglob("*") if path.is_file()):  # fmt: skip
            yield "another run was changed"
        if before and (Path("run/notes.txt").read_text() if Path("run/notes.txt").exists() else "") != "kept":
            yield "a file that is not logpi's is gone"

    def _resumed(self, run: Path, least: int) -> Iterable[str]:
        """What is wrong with resuming a run, from update `least` or a later one."""
        begun_at: list[int] = []

        def found(*given: Any) -> Any:
            newest = load_newest(*given)
            begun_at.append(0 if newest is None else int(newest[1].name))
            return newest

        with patch("logpi.training.session.load_newest", found):
            status, said = told("resume", str(run), "--evaluate-episodes", "0")
        if status:
            yield f"{run.name} could not be resumed: {said}"
        elif begun_at and begun_at[0] < least:
            yield f"{run.name} went back from update {least} to {begun_at[0]}"
        if begun_at and (left := [path.name for path in run.rglob(".*")]):
            yield f"{', '.join(left)} was left in {run.name}"

    def _differences(self, run: Path) -> Iterable[str]:
        """How a run differs from one that nothing befell; a run that should be written over may stand as it was."""
        is_other = read_config(run).run_id == read_config(self._folder / "other").run_id
        whole = self._folder / ("other" if is_other else "whole")
        return [f"{name} of {run.name} differs" for name in same_files(whole, run)]


class Stopping:
    """A listener that ends a training as Ctrl-C does, before its last two updates."""

    def __call__(self, event: Event) -> None:
        """Hears an event."""
        if isinstance(event, Advanced) and event.rows[-1]["iteration"] == UPDATES - 2:
            signal.raise_signal(signal.SIGINT)

    def close(self) -> None:
        """Nothing is open."""


def told(*arguments: str) -> tuple[int | str | None, str]:
    """The exit status of a command, and what it said; no status where it was killed, words where it broke."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            return main(arguments), said.getvalue()
        except Killed:
            return None, said.getvalue()
        except Exception:
            return traceback.format_exc().splitlines()[-1], traceback.format_exc()


def _ended(status: Any, said: str) -> Iterable[str]:
    """What is wrong with how a command ended: well, by a kill, or in a sentence."""
    last = said.splitlines()[-1:]
    if not (status in (0, None) or (status == 2 and last and last[0].startswith("logpi: "))):
        yield f"it ended with {status}: {said[-1500:]}"


def _runs(place: Path) -> list[Path]:
    """The run folders that a command has begun there."""
    return sorted(path.parent for path in place.rglob("config.json") if path.parent.name != "beside")


def _newest(place: Path) -> int:
    """The newest checkpoint there that is whole."""
    whole = (int(path.name) for run in _runs(place) for path in listed(run / "checkpoints") if not damage(path))
    return max(whole, default=0)


def operations(folder: Path, every: int = 1) -> dict[str, Any]:
    """Each `every`-th operation of each command, in each way."""
    lost, numbers, trials = [], {}, 0
    with Operations.prepared(folder) as those:
        for name in COMMANDS:
            numbers[name] = those.count(name)
            for how, at in itertools.product(HOWS, range(1, numbers[name] + 1, every)):
                lost += those.trial(name, how, at)
                trials += 1
    return {"trials": trials, "operations": numbers, "lost": lost}
