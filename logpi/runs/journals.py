"""What a run folder holds beside its rows, line by line: when iterations were done, and evaluations on the way.

`times.jsonl` is apart from the rows, which are the same whenever they are made.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import InputError, shown
from ..statistics.intervals import mean_interval
from .files import read_json_lines, write_atomically

TIMES, EVALUATIONS = "times.jsonl", "evaluations.jsonl"
# What every line has, and of what kinds.
_TIME = {"iteration": (int,), "seconds": (int, float)}
_EVALUATION = {
    "seed": (int,), "iteration": (int,), "steps": (int,), "episodes": (int,),
    **dict.fromkeys(("return_mean", "return_low", "return_high", "length_mean"), (int, float, type(None))),
    "best": (bool,),
}  # fmt: skip


class Journal:
    """A file of lines in JSON, which begins with those that are kept and gets more at its end.

    Without a folder, nothing is written. Nor is anything after the disk has taken no more: `whole` is false then.
    """

    def __init__(self, folder: Path | None, file: str, kept: list[dict[str, Any]], check: Callable[[], None]):
        """`check` raises `OSError` where nothing may be written any more."""
        self.whole, self._check, self._path = True, check, None if folder is None else folder / file
        if self._path is not None and os.path.lexists(self._path):  # without what came after the last checkpoint
            self.rewrite(kept)

    def add(self, *lines: dict[str, Any]) -> None:
        """More lines."""

        def append(path: Path) -> None:
            with path.open("ab") as file:
                file.write(_as_text(lines))

        if self.whole:
            self._try(append)

    def rewrite(self, lines: list[dict[str, Any]]) -> None:
        """The file anew, with these lines alone."""
        self._try(lambda path: write_atomically(path, _as_text(lines)))

    def _try(self, write: Callable[[Path], None]) -> None:
        if self._path is None:
            return
        try:
            self._check()
            write(self._path)
            self.whole = True
        except OSError:
            self.whole = False


def _as_text(lines: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


class Times:
    """A line for each round of iterations: how many there have been, and the seconds that they took in all.

    Only time spent in training counts: not compiling, not evaluating, and not the time between an interruption and a
    resume; `total` is all of it so far. Nothing rests on the file.
    """

    def __init__(self, folder: Path | None, iteration: int, check: Callable[[], None] = lambda: None):
        """`check` raises `OSError` where nothing may be written any more."""
        before = _readable(folder / TIMES, _TIME, lambda line: line["iteration"] <= iteration) if folder else ()
        kept = list(before)
        self.total = self._before = kept[-1]["seconds"] if kept else 0.0
        self._journal = Journal(folder, TIMES, kept, check)

    def add(self, iteration: int, seconds: float) -> None:
        """After `iteration` iterations of each seed, `seconds` after this process began with them."""
        self.total = self._before + seconds
        self._journal.add({"iteration": iteration, "seconds": round(self.total, 3)})


def read_times(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run folder, each with `iteration` and `seconds`; none where there is no such file.

    A last line without an end was being written when its process died: it is left out. Raises `InputError` where the
    file is damaged.
    """
    return list(_lines(folder / TIMES, _TIME, "remove it; only wall time is lost"))


def read_evaluations(folder: Path) -> list[dict[str, Any]]:
    """What evaluations on the way showed, a line for each and each seed; none where there were none.

    Raises `InputError` where the file is damaged.
    """
    return list(_lines(folder / EVALUATIONS, _EVALUATION, "remove it; only evaluations on the way are lost"))


def evaluation_curve(lines: Sequence[dict[str, Any]], seeds: int) -> Float[np.ndarray, "4 evaluations"]:
    """Steps, mean return, and the bounds of its 95 % interval, of each evaluation of so many seeds.

    The interval is over episodes for one seed, over seeds for several; NaN where there is none.
    """
    found: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        found.setdefault(line["iteration"], []).append(line)
    rows = []
    for iteration in sorted(found):
        if len(several := found[iteration]) == seeds:
            means = np.array([line["return_mean"] for line in several], np.float64)
            over = mean_interval(means)
            bounds = (over.low, over.high) if seeds > 1 else map(several[0].get, ("return_low", "return_high"))
            rows.append([np.mean([line["steps"] for line in several]), over.value, *bounds])
    return np.array(rows, np.float64).reshape(-1, 4).T


def write_evaluations(folder: Path, lines: Sequence[dict[str, Any]]) -> None:
    """The file anew, with these lines alone."""
    write_atomically(folder / EVALUATIONS, _as_text(lines))


def evaluations_up_to(folder: Path, iterations: dict[int, int]) -> list[dict[str, Any]]:
    """Those after at most so many iterations of each seed, as far as they can be read."""
    return list(
        _readable(folder / EVALUATIONS, _EVALUATION, lambda line: line["iteration"] <= iterations.get(line["seed"], -1))
    )


def _readable(path: Path, kinds: dict[str, Any], wanted: Callable[[dict[str, Any]], bool]) -> Iterator[dict[str, Any]]:
    """The wanted lines, as far as they can be read: what is damaged is not worth a training."""
    with contextlib.suppress(InputError, OSError):
        yield from filter(wanted, _lines(path, kinds, "remove it"))


def _lines(path: Path, kinds: dict[str, Any], cure: str) -> Iterator[dict[str, Any]]:
    if not os.path.lexists(path):
        return
    for line in read_json_lines(path):
        if not isinstance(line, dict) or not all(type(line.get(name)) in kind for name, kind in kinds.items()):
            raise InputError(f"{path} holds {shown(line)}, which is no line of it: {cure}.")
        yield line
