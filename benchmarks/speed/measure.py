"""Runs contenders in alternation, each call in a process of its own, and keeps what they answered."""

import datetime
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .contenders import Call, Contender, ROOT
from .tasks import Task

LONGEST_CALL_SECONDS = 900


def measure(
    task: Task,
    rounds: int,
    repetitions: int,
    quick: bool,
    say: Callable[[str], None],
    pythons: Mapping[str, str],
) -> dict[str, Any]:
    """All rounds of a task: in each, every contender once, in the same order. A record that JSON can hold.

    A contender that fails is left out from then on, and the record holds the last line of the reason under `failures`.
    """
    measurements: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in task.contenders}
    failures: dict[str, str] = {}
    record = {"date": now(), "hardware": hardware(), "quick": quick, "failures": failures}
    with tempfile.TemporaryDirectory(prefix="logpi-speed-") as scratch:
        for number in range(-task.uncounted_rounds, rounds):
            for contender in [contender for contender in task.contenders if contender.name not in failures]:
                call = Call(task.name, max(number, 0), repetitions, quick, Path(scratch), pythons)
                try:
                    answer = call_once(contender, call)
                except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
                    failures[contender.name] = str(error).strip().splitlines()[-1].replace(str(ROOT), ".")
                    say(f"{task.name}: {contender.name} failed: {error}")
                    continue
                say(f"{task.name} round {number + 1}: {contender.name} {_in_words(task, answer)}")
                if number >= 0:
                    measurements[contender.name].append(answer)
    return record | {"measurements": {name: done for name, done in measurements.items() if name not in failures}}


def call_once(contender: Contender, call: Call) -> dict[str, Any]:
    """The answer of one process, the last line of its output, with `wall_seconds` from its start to its end."""
    contender.prepare(call)
    command, variables = contender.command(call), contender.variables(call)
    start = time.perf_counter()
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, check=False, timeout=LONGEST_CALL_SECONDS
    )
    wall_seconds = time.perf_counter() - start
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise RuntimeError(f"{contender.name} ended with status {done.returncode}: {done.stderr.strip()[-1500:]}")
    answer = json.loads(lines[-1])
    contender.check(call, answer)
    return answer | {"wall_seconds": round(wall_seconds, 3)}


def hardware() -> dict[str, Any]:
    """What the numbers hold for: the processor, the cores this process may use, and how busy they were before."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    table = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(table) if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines() if path.exists() else []


def now() -> str:
    """Date and time, for a record."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _in_words(task: Task, answer: dict[str, Any]) -> str:
    value = answer[task.quantity]
    return f"{value:,.0f} steps/s" if task.higher_is_better else f"{value:.2f} s, return {answer['return_mean']:.1f}"
