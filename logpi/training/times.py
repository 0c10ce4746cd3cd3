"""When iterations were done, in `times.jsonl`: apart from the rows, which are the same whenever they are made."""

import json
from pathlib import Path
from typing import Any

from ..errors import InputError
from .storage import write_atomically

FILE = "times.jsonl"


class Times:
    """A line for each round of iterations: how many there have been, and the seconds that they took in all.

    Only time spent in training counts: not compiling, and not the time between an interruption and a resume. Where
    there is no folder, or the disk takes no more, nothing is written: nothing rests on it.
    """

    def __init__(self, folder: Path | None, iteration: int):
        lines = [] if folder is None else read_times(folder)
        kept = [line for line in lines if line["iteration"] <= iteration]
        self._before = kept[-1]["seconds"] if kept else 0.0
        self._path = None if folder is None else folder / FILE
        if lines:
            self._try(lambda path: write_atomically(path, "".join(json.dumps(line) + "\n" for line in kept).encode()))

    def add(self, iteration: int, seconds: float) -> None:
        """After `iteration` iterations of each seed, `seconds` after this process began with them."""
        line = json.dumps({"iteration": iteration, "seconds": round(self._before + seconds, 3)}) + "\n"

        def append(path: Path) -> None:
            with path.open("a", encoding="utf-8") as file:
                file.write(line)

        self._try(append)

    def _try(self, write: Any) -> None:
        if self._path is None:
            return
        try:
            write(self._path)
        except OSError:
            self._path = None


def read_times(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run folder, each with `iteration` and `seconds`; none where there is no such file.

    A last line without an end was being written when its process died: it is left out. Raises `InputError` where the
    file is damaged.
    """
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable ({error}): remove it, and only the wall time is lost.") from None
    for line in lines:
        good = isinstance(line, dict) and isinstance(line.get("iteration"), int)
        if not good or not isinstance(line.get("seconds"), int | float):
            raise InputError(f"{path} holds {str(line)[:60]!r}, which is no time: remove it; only wall time is lost.")
    return lines
