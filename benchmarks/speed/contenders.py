"""Who runs in a comparison: a command line, and the variables that it runs with."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import environments

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
QUICK_DIVISOR = 8
EPISODES = 100


@dataclass(frozen=True)
class Call:
    """One call of a contender: for which task, with which seed, how long, and a folder that goes away afterwards."""

    task: str
    seed: int
    repetitions: int
    quick: bool
    scratch: Path
    pythons: Mapping[str, str] = field(default_factory=dict)  # interpreters to take in place of pinned environments


@dataclass(frozen=True)
class Script:
    """A script of `peers/` in the environment `venv` (`None`: the Python that runs this)."""

    name: str
    script: str
    steps: int | None = None
    venv: str | None = None
    arguments: tuple[str, ...] = ()  # beside those that every script gets

    def command(self, call: Call) -> list[str]:
        """The command line. A script with `steps` gets the arguments of `peers/protocol.py`; another, a seed alone."""
        python = call.pythons.get(self.venv) or environments.python_of(self.venv) if self.venv else sys.executable
        command = [str(python), str(HERE / "peers" / self.script), "--seed", str(call.seed)]
        if self.steps is None:
            return command
        steps = self.steps // QUICK_DIVISOR if call.quick else self.steps
        counted = ["--task", call.task, "--steps", str(steps), "--repetitions", str(call.repetitions)]
        return [*command, *counted, *self.arguments]

    def variables(self, call: Call) -> dict[str, str]:
        """The process's environment. No compilation cache: compile times are then comparable, and reported apart."""
        shared = _clean_variables() | {"JAX_ENABLE_COMPILATION_CACHE": "false", "JAX_PLATFORMS": "cpu"}
        return shared if self.venv else shared | {"PYTHONPATH": str(ROOT)}

    def prepare(self, call: Call) -> None:
        """Makes the virtual environment where it is missing."""
        if self.venv and self.venv not in call.pythons:
            environments.ensure(self.venv)

    def check(self, call: Call, answer: dict[str, Any]) -> None:
        """Nothing to look at after a call."""


@dataclass(frozen=True)
class TrainCommand:
    """`logpi train CartPole-v1`, as a user types it, with a compilation cache that is warm, or cold (empty)."""

    name: str
    warm: bool
    arguments: tuple[str, ...] = ("train", "CartPole-v1", "--json")

    def command(self, call: Call) -> list[str]:
        """The command line: the `logpi` of this Python's environment, or this Python's `-m logpi` without one."""
        program = Path(sys.executable).with_name("logpi")
        start = [str(program)] if program.exists() else [sys.executable, "-m", "logpi"]
        out = tempfile.mkdtemp(prefix="run-", dir=call.scratch)
        return [*start, *self.arguments, "--seed", str(call.seed), "--out", str(Path(out) / "run")]

    def variables(self, call: Call) -> dict[str, str]:
        """The process's environment, with the folder of the compilation cache."""
        cache = self._warm_cache(call) if self.warm else Path(tempfile.mkdtemp(prefix="cold-", dir=call.scratch))
        chosen = {"LOGPI_CACHE": str(cache), "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
        return _clean_variables() | chosen

    def prepare(self, call: Call) -> None:
        """Nothing: the first round, which is not counted, fills the warm cache."""

    def check(self, call: Call, answer: dict[str, Any]) -> None:
        """Raises `RuntimeError` if the call did not do all that it is timed for.

        Nothing cached where it was asked for: then cold might be warm, and warm cold. Fewer episodes evaluated than the
        peer's: then less was done.
        """
        if self.warm and not any(self._warm_cache(call).iterdir()):
            raise RuntimeError("logpi cached no program in LOGPI_CACHE, so neither cold nor warm is known.")
        folder = Path(answer.pop("out"))  # soon gone, so that no record names it
        evaluation = json.loads((folder / "evaluation.json").read_text())
        if evaluation["episodes"] < EPISODES:
            raise RuntimeError(f"logpi evaluated {evaluation['episodes']} episodes, but {EPISODES} are wanted.")

    def _warm_cache(self, call: Call) -> Path:
        folder = call.scratch / "warm"
        folder.mkdir(exist_ok=True)
        return folder


Contender = Script | TrainCommand


def _clean_variables() -> dict[str, str]:
    """This process's variables, less those that would bring another package or another cache of programs along."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "JAX_COMPILATION_CACHE_DIR")
    }
