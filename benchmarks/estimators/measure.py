"""Times contenders in alternation, each in a process that lives for all rounds or for one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.speed import environments
from benchmarks.speed.measure import hardware, now

from .tasks import Contender, Task

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TOLERANCE = 0.1  # of the exact gradient's norm: without a baseline, 100,000 samples leave 2 %


class Worker:
    """A contender's process: ready once made, a few calls for each `answer`."""

    def __init__(self, contender: Contender, task: Task):
        if contender.venv:
            environments.ensure(contender.venv, HERE)
        python = environments.python_of(contender.venv, HERE) if contender.venv else sys.executable
        command = [str(python), str(HERE / "peers" / contender.script), "--task", task.name]
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        chosen = {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_COMPILATION_CACHE": "false"}
        self.name = contender.name
        self.process = subprocess.Popen(
            [*command, "--contender", contender.name],
            env=kept | chosen | ({} if contender.venv else {"PYTHONPATH": str(ROOT)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            self.ready = self._line()
            check_gradient(self.ready["gradient"], task.gradient)
        except BaseException:
            self.close()
            raise

    def answer(self) -> dict[str, Any]:
        """What a round's calls took. Raises `RuntimeError` if the contender stopped, or compiled something again."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self._line()
        if answer.get("compilations_again"):
            raise RuntimeError(f"{self.name} samples were compiled {answer['compilations_again']} times more.")
        return answer

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.communicate()

    def _line(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} stopped: {self.process.communicate()[1].strip()[-1500:]}")
        return json.loads(line)


def check_gradient(found: list[float], exact: tuple[float, ...]) -> None:
    """Raises `RuntimeError` where a contender solves another problem than the one that it is timed for."""
    if not exact:
        return
    square = sum((a - b) ** 2 for a, b in zip(found, exact, strict=True))
    if square > TOLERANCE**2 * sum(x**2 for x in exact):
        raise RuntimeError(f"The gradient is {found}, but {list(exact)} is right.")


def measure(task: Task, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All rounds of a task: in each, every contender once. A record that JSON can hold.

    A contender that fails is left out from then on, and the record holds the last line of the reason under `failures`.
    """
    measurements: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in task.contenders}
    record: dict[str, Any] = {"date": now(), "hardware": hardware(), "versions": {}, "ready_seconds": {}}
    failures: dict[str, str] = {}
    workers: dict[str, Worker] = {}
    with ExitStack() as stack:
        for number in range(rounds):
            for contender in [c for c in task.contenders if c.name not in failures]:
                try:
                    if contender.name not in workers or task.fresh:
                        worker = workers[contender.name] = Worker(contender, task)
                        stack.callback(worker.close)
                        record["versions"] |= worker.ready["versions"]
                        record["ready_seconds"][contender.name] = worker.ready["ready_seconds"]
                        say(f"{task.name} round {number + 1}: {contender.name} is ready")
                    measurements[contender.name].append(workers[contender.name].answer())
                except (RuntimeError, ValueError, OSError) as error:
                    failures[contender.name] = str(error).strip().splitlines()[-1].replace(str(ROOT), ".")
                    say(f"{task.name}: {contender.name} failed: {error}")
                if task.fresh and contender.name in workers:
                    workers.pop(contender.name).close()
    done = {name: answers for name, answers in measurements.items() if name not in failures}
    return record | {"failures": failures, "measurements": done}
