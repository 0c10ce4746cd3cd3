"""When iterations were done, in `times.jsonl`: apart from the rows, which are the same whenever they are made."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError, shown
from .files import read_json_lines, write_atomically

FILE = "times.jsonl"


class Times:
    """A line for each round of iterations: how many there have been, and the seconds that they took in all.

    Only time spent in training counts: not compiling, and not the time between an interruption and a resume; `total` is
    all of it so far. Where there is no folder, or the disk takes no more, nothing is written: nothing rests on it.
    """

    def __init__(self, folder: Path | None, iteration: int, check: Callable[[], None] = lambda: None):
        """`check` raises `OSError` where nothing may be written any more."""
        self._check = check
        kept = [] if folder is None else _readable(folder, iteration)
        self.total = self._before = kept[-1]["seconds"] if kept else 0.0
        self._path = None if folder is None else folder / FILE
        if self._path is not None and os.path.lexists(self._path):  # without what came after the last checkpoint
            self._try(lambda path: write_atomically(path, "".join(json.dumps(line) + "\n" for line in kept).encode()))

    def add(self, iteration: int, seconds: float) -> None:
        """After `iteration` iterations of each seed, `seconds` after this process began with them."""
        self.total = self._before + seconds
        line = json.dumps({"iteration": iteration, "seconds": round(self.total, 3)}) + "\n"

        def append(path: Path) -> None:
            with path.open("a", encoding="utf-8") as file:
                file.write(line)

        self._try(append)

    def _try(self, write: Any) -> None:
        if self._path is None:
            return
        try:
            self._check()
            write(self._path)
        except OSError:
            self._path = None


def _readable(folder: Path, iteration: int) -> list[dict[str, Any]]:
    """The lines up to an iteration, as far as they can be read: what is damaged is not worth a training."""
    kept = []
    with contextlib.suppress(InputError, OSError):
        for line in _lines(folder):
            if line["iteration"] <= iteration:
                kept.append(line)
    return kept


def read_times(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run folder, each with `iteration` and `seconds`; none where there is no such file.

    A last line without an end was being written when its process died: it is left out. Raises `InputError` where the
    file is damaged.
    """
    return list(_lines(folder))


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    path = folder / FILE
    if not os.path.lexists(path):
        return
    for line in read_json_lines(path):
        good = (
            isinstance(line, dict) and type(line.get("iteration")) is int and type(line.get("seconds")) in (int, float)
        )
        if not good:
            raise InputError(f"{path} holds {shown(line)}, which is no time: remove it; only wall time is lost.")
        yield line
