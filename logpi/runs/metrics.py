"""Metrics of a training: what an iteration showed, as rows of `metrics.jsonl`, kept, and written as they come."""

import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float

from ..algorithms import UpdateInfo
from ..errors import InputError, shown
from .files import read_json_lines, write_atomically

WHOLE = ("seed", "iteration", "steps", "episodes")  # columns of a row that are whole numbers
REAL = (
    "return_mean", "return_squares", "length_mean", "entropy", "kl", "clipped", "surrogate", "value_error",
    "explained_variance", "gradient_norm", "signal_to_noise", "reward",
)  # fmt: skip


class Metrics(eqx.Module):
    """What one iteration showed, in scalars; or several iterations, each leaf with one axis for them."""

    update: UpdateInfo
    episodes: Float[Array, "*iterations"]  # that ended in it
    return_sum: Float[Array, "*iterations"]  # of their undiscounted returns, in units of reward
    return_spread: Float[Array, "*iterations"]  # the squares of their distances from their mean, summed
    length_sum: Float[Array, "*iterations"]  # of their lengths, in steps
    reward: Float[Array, "*iterations"]  # mean per step
    steps: Float[Array, "*iterations"]  # of the agent: rows that only reset are none
    finite: Bool[Array, "*iterations"]  # rewards, observations, gradient and parameters all are numbers


def as_rows(seed: int, iteration: int, steps: int, metrics: Metrics) -> list[dict[str, Any]]:
    """Lines of `metrics.jsonl`: the numbers of each iteration of one seed, `null` where there is none.

    They follow `iteration` iterations and `steps` steps. By columns, as a row by itself takes some 40 microseconds.
    """
    update, record = metrics.update, metrics.update.record
    # In 64 bits: 32 would lose the spread.
    episodes, total, spread, lengths = (
        np.asarray(x, np.float64)
        for x in (metrics.episodes, metrics.return_sum, metrics.return_spread, metrics.length_sum)
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # without an episode there is no mean: NaN
        mean = total / episodes
        ended = {
            "return_mean": mean,
            "return_squares": np.where(episodes > 0, spread + episodes * mean**2, np.nan),
            "length_mean": lengths / episodes,
        }
    numbers = {
        "entropy": record.entropy,
        "kl": record.kl,
        "clipped": record.clipped,
        "surrogate": record.surrogate,
        "value_error": record.value_error,
        "explained_variance": update.explained_variance,
        "gradient_norm": update.gradient_norm,
        "signal_to_noise": update.signal_to_noise,
        "reward": metrics.reward,
    }
    done = len(episodes)
    columns = {
        "seed": [seed] * done,
        "iteration": range(iteration + 1, iteration + 1 + done),
        "steps": (steps + np.cumsum(metrics.steps, dtype=np.int64)).tolist(),
        "episodes": episodes.astype(int).tolist(),
        **{name: _numbers(column) for name, column in (ended | numbers).items()},
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [row if finite else {**row, "dropped": True} for row, finite in zip(rows, metrics.finite, strict=True)]


def _numbers(column: Any) -> list[float | None]:
    """Python's floats, and `None` for what is not finite."""
    return [x if math.isfinite(x) else None for x in np.asarray(column, np.float64).tolist()]


def recent_return(rows: list[dict[str, Any]], episodes: int = 100) -> tuple[float, float] | None:
    """The mean return of at least the last `episodes` episodes of rows in order, and its standard error.

    `None` if no episode has ended. What CleanRL reports, over whole iterations.
    """
    count = total = squares = 0.0
    for row in reversed(rows):
        if row["return_mean"] is not None and row["return_squares"] is not None:  # beyond 1e19 squares are infinite
            count += row["episodes"]
            total += row["return_mean"] * row["episodes"]
            squares += row["return_squares"]
        if count >= episodes:
            break
    if not count:
        return None
    mean = total / count
    variance = max(squares / count - mean**2, 0.0) * count / max(count - 1, 1)
    return mean, (variance / count) ** 0.5 if count > 1 else float("nan")


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
