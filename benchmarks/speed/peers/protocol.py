"""How a contender is called and how it answers: arguments in, one line of JSON out. Standard library only."""

import argparse
import importlib.metadata
import json
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from settings import SETTINGS

Result = TypeVar("Result")


def arguments(tasks: Sequence[str]) -> argparse.Namespace:
    """`--task --steps --repetitions --seed`, with `steps` (of each seed) made a whole number of iterations."""
    parser = argparse.ArgumentParser(description="Trains for a number of steps and prints how long it took, as JSON.")
    parser.add_argument("--task", required=True, choices=list(tasks))
    parser.add_argument("--steps", type=int, required=True, help="agent steps of each seed")
    parser.add_argument("--repetitions", type=int, default=1, help="timed runs; the median is reported")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overlap", action="store_true", help="the environments step while it learns")
    args = parser.parse_args()
    args.setting = SETTINGS[args.task]
    args.steps = args.setting.whole_iterations(args.steps)
    return args


def timed(function: Callable[[], Result]) -> tuple[float, Result]:
    """Wall time of one call, and what it returned. The call must not return before its work is done."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def versions(*packages: str) -> dict[str, str]:
    """The installed version of each package, and of Python."""
    return {"python": platform.python_version()} | {name: _version(name) for name in packages}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of the working tree"


def peak_memory() -> float:
    """The most that this process has had in memory so far, in MB. Processes that it started do not count."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


class Timing(NamedTuple):
    """One timed run: agent steps of all seeds together, and the seconds that they took."""

    steps: int
    seconds: float

    @property
    def rate(self) -> float:
        """Agent steps a second."""
        return self.steps / self.seconds


def answer(
    peer: str, task: str, compile_seconds: float, runs: Sequence[Timing], packages: Sequence[str], **more: object
) -> None:
    """Prints the one line of JSON: of the median run, with the rates of all of them."""
    by_rate = sorted(runs, key=lambda run: run.rate)
    median = by_rate[len(by_rate) // 2]
    line = {
        "peer": peer,
        "task": task,
        "steps": median.steps,
        "compile_seconds": round(compile_seconds, 3),
        "train_seconds": round(median.seconds, 4),
        "steps_per_second": round(median.rate, 1),
        "repetitions": [round(run.rate, 1) for run in runs],
        "peak_memory": peak_memory(),
        "versions": versions(*packages),
    }
    print(json.dumps(line | more), flush=True)
