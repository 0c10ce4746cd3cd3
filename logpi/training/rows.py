"""The rows of `metrics.jsonl`: one for each iteration of each seed, kept, and written as they come."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, shown
from .listener import as_rows, REAL, WHOLE
from .loop import Metrics
from .reading import read_json_lines
from .storage import write_atomically

FILE = "metrics.jsonl"


class Rows:
    """All rows of a training, in memory and, where there is a folder, in its file.

    Where the disk takes no more, the file keeps its whole lines, and what is missing is tried again with the next.
    """

    def __init__(self, folder: Path | None, kept: list[dict[str, Any]], warn: Callable[[str], None]):
        self.all = list(kept)
        self._steps = {row["seed"]: row["steps"] for row in kept}
        self._before = self.steps
        self._warn, self._waiting, self._warned = warn, b"", False
        self._file = (folder / FILE).open("ab", buffering=0) if folder else None

    @property
    def steps(self) -> int:
        """Agent steps so far, over all seeds."""
        return sum(self._steps.values())

    @property
    def new_steps(self) -> int:
        """Those of this process, without what was done before it resumed."""
        return self.steps - self._before

    def add(self, seeds: Sequence[int], metrics: Sequence[Metrics], iteration: int) -> list[dict[str, Any]]:
        """The rows of the iterations of each seed that follow `iteration` of them.

        Their order does not depend on how many come at a time.
        """
        of_seeds = []
        for seed, several in zip(seeds, metrics, strict=True):
            of_seeds.append(as_rows(seed, iteration, self._steps.get(seed, 0), several))
            self._steps[seed] = of_seeds[-1][-1]["steps"]
        fresh = [row for at_once in zip(*of_seeds, strict=True) for row in at_once]
        self.all += fresh
        if self._file is not None:
            self._waiting += "".join(json.dumps(row) + "\n" for row in fresh).encode()
        return fresh

    def flush(self, sync: bool = False) -> None:
        """Writes what is not yet written, with `sync` onto the disk; where that fails, warns once and keeps it."""
        try:
            self._write()
            if sync and self._file is not None:
                os.fsync(self._file.fileno())
            self._warned = False
        except OSError as error:
            if not self._warned:
                self._warn(f"{FILE} cannot be written ({error.strerror}); training goes on: make room.")
            self._warned = True

    def _write(self) -> None:
        if self._file is None or not self._waiting:
            return
        whole, left = self._file.tell(), self._waiting
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(whole)  # or a line would stay in it in part
            self._file.seek(whole)
            raise
        self._waiting = b""

    def close(self) -> None:
        """Writes the rest and closes the file. Raises `OSError` where it cannot be written."""
        if self._file is not None:
            with self._file:
                self._write()


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run folder. A last line without an end was being written when its process died: it is left out.

    Raises `InputError` where the file is missing or damaged.
    """
    path = folder / FILE
    rows = []
    for row in read_json_lines(path):
        if not _is_row(row):
            raise InputError(f"{path} holds {shown(row)}, which is no row of metrics: the run folder is damaged.")
        rows.append(row)
    return rows


def _is_row(row: Any) -> bool:
    """Whether it has every column that `as_rows` writes, and only numbers in them."""
    whole = isinstance(row, dict) and row.keys() >= {*WHOLE, *REAL}
    return whole and all(_is_entry(name, value) for name, value in row.items())


def _is_entry(name: str, value: Any) -> bool:
    if name == "dropped":
        return type(value) is bool
    if name in WHOLE:
        return type(value) is int and value >= 0  # steps too: where all environments break down at once, none counts
    return value is None or type(value) in (int, float)


def rewrite_rows(folder: Path, rows: list[dict[str, Any]]) -> None:
    """The file anew, with these rows alone."""
    write_atomically(folder / FILE, "".join(json.dumps(row) + "\n" for row in rows).encode())
