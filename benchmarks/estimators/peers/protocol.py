"""How a contender is timed: it gets ready, then runs once for each line it reads. Standard library only.

One process lives for all rounds, so that contenders can alternate call by call and not start by start.
"""

import argparse
import importlib.metadata
import json
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Ready(NamedTuple):
    """A contender that has compiled: what to time (it must not return before its work is done), and what it found."""

    call: Callable[[], object]
    gradient: Sequence[float] = ()  # of the first call, for those that must agree
    facts: Callable[[], dict[str, object]] = dict  # more to say after a call


def serve(contenders: dict[str, Callable[[str], Ready]], packages: Sequence[str]) -> None:
    """Prints a line of JSON when ready, and one after each call; ends when its input does."""
    parser = argparse.ArgumentParser(description="Runs once for each line of its input.")
    parser.add_argument("--task", required=True)
    parser.add_argument("--contender", required=True, choices=list(contenders))
    args = parser.parse_args()
    start = time.perf_counter()
    ready = contenders[args.contender](args.task)
    seconds = round(time.perf_counter() - start, 3)
    gradient = [float(x) for x in ready.gradient]
    _say({"ready_seconds": seconds, "gradient": gradient, "versions": versions(packages)})
    for _ in sys.stdin:
        start = time.perf_counter()
        ready.call()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
        _say({"seconds": round(seconds, 7), "peak_mib": round(peak, 1)} | ready.facts())


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
