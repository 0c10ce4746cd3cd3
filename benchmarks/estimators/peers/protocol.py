"""How a contender is timed: it gets ready, then runs a few times for each line it reads. Standard library only.

One process lives for all rounds, so that contenders can alternate and need not start anew. The first call of each round
finds the caches as another contender has left them; those after it are what a loop of calls takes.
"""

import argparse
import importlib.metadata
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

CALLS, LONG = 10, 0.2  # calls in a round, and the seconds from which on no more are made


class Ready(NamedTuple):
    """A contender that has compiled: what to time (it must not return before its work is done), and what it found."""

    call: Callable[[], object]
    gradient: Sequence[float] = ()  # of the first call, for those that must agree
    facts: Callable[[], dict[str, object]] = dict  # more to say after a call


def serve(contenders: dict[str, Callable[[str], Ready]], packages: Sequence[str]) -> None:
    """Prints a line of JSON when ready, and one after each round; ends when its input does."""
    parser = argparse.ArgumentParser(description="Runs a few times for each line of its input.")
    parser.add_argument("--task", required=True)
    parser.add_argument("--contender", required=True, choices=list(contenders))
    args = parser.parse_args()
    start = time.perf_counter()
    ready = contenders[args.contender](args.task)
    seconds = round(time.perf_counter() - start, 3)
    gradient = [float(x) for x in ready.gradient]
    _say({"ready_seconds": seconds, "gradient": gradient, "versions": versions(packages)})
    for _ in sys.stdin:
        times = []
        while len(times) < CALLS and sum(times) < LONG:
            start = time.perf_counter()
            ready.call()
            times.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
        answer = {"first_seconds": times[0], "seconds": statistics.median(times[1:] or times), "peak_mib": peak}
        _say({name: round(number, 7) for name, number in answer.items()} | ready.facts())


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The installed version of each package, and of Python."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "of the working tree"
    return found


def _say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)
