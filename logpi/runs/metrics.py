"""Metrics of a training: what its iterations showed, as rows of `metrics.jsonl`, kept, and written as they come."""

import contextlib
import dataclasses
import hashlib
import json
import math
import operator
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Reversible, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ..errors import InputError, shown
from ..measurements import Measurement, OF_EPISODES, REWARD
from ..statistics.curves import Curve, learning_curve
from ..statistics.moments import merged_sums, Moments
from .files import finite, LINES_LIMIT, open_checked, read_json_lines, write_atomically

FILE = "metrics.jsonl"
WHOLE = ("seed", "iteration", "steps", "episodes")  # columns of a row that are whole numbers


def real_columns(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """The columns of a row that are real numbers: the training's own, and those of an algorithm's measurements."""
    return (*OF_EPISODES, *measurements, REWARD)


def check_measurements(measurements: Sequence[Measurement]) -> None:
    """Raises `InputError` where two have one name, or one that a column of every row has."""
    names = [m.name for m in measurements]
    taken = [*WHOLE, *(m.name for m in real_columns(())), "dropped"]
    for name in names:
        if name in taken or names.count(name) > 1:
            whose = "a column of every row" if name in taken else "two measurements of an algorithm"
            raise InputError(f"{name!r} is the name of {whose}: give the measurement another.")


class Metrics(eqx.Module):
    """What one row shows, in scalars; or several rows, each leaf with one axis for them."""

    shown: dict[str, Float[Array, "*rows"]]  # by the algorithm's updates: means over the iterations of a row
    iterations: Int[Array, "*rows"]  # that a row is of
    kept: Int[Array, "*rows"]  # of these, those that were finite, of which `shown` and `reward` are
    kept_steps: Int[Array, "*rows"]  # of the agent in them
    episodes: Int[Array, "*rows"]  # that ended in it
    return_sum: Float[Array, "*rows"]  # of their undiscounted returns, in units of reward
    return_spread: Float[Array, "*rows"]  # the squares of their distances from their mean, summed
    length_sum: Float[Array, "*rows"]  # of their lengths, in steps
    reward: Float[Array, "*rows"]  # mean per step
    steps: Int[Array, "*rows"]  # of the agent: rows of a trajectory that only reset are none
    finite: Bool[Array, "*rows"]  # rewards, observations, gradient and parameters all are numbers

    def with_next(self, other: "Metrics") -> "Metrics":
        """Of these iterations and of those that follow them, as one row; what was dropped counts for no mean."""
        episodes = self.episodes + other.episodes
        old, new = (Moments(m.return_sum / jnp.maximum(m.episodes, 1), m.return_spread) for m in (self, other))
        n_old, n_new = (jnp.asarray(m.episodes, jnp.float32) for m in (self, other))
        returns = merged_sums(old, new, n_old, n_new, jnp.maximum(n_old + n_new, 1))
        return Metrics(
            {name: _mean(x, self.kept, other.shown[name], other.kept) for name, x in self.shown.items()},
            self.iterations + other.iterations,
            self.kept + other.kept,
            self.kept_steps + other.kept_steps,
            episodes,
            self.return_sum + other.return_sum,
            returns.spread,
            self.length_sum + other.length_sum,
            _mean(self.reward, self.kept_steps, other.reward, other.kept_steps),
            self.steps + other.steps,
            self.finite & other.finite,
        )


def of_iteration(
    shown: dict[str, Float[Array, ""]],
    episodes: tuple[Array, Array, Array, Array],
    reward: Float[Array, ""],
    steps: Int[Array, ""],
    finite: Bool[Array, ""],
) -> Metrics:
    """Of one iteration; `episodes`: how many ended, the sum and spread of their returns, the sum of their lengths."""
    number, total, spread, lengths = episodes
    one, kept = jnp.ones((), jnp.int32), finite.astype(jnp.int32)
    return Metrics(shown, one, kept, kept * steps, number, total, spread, lengths, reward, steps, finite)


def no_row(names: Sequence[str]) -> Metrics:
    """Of no iteration: what `with_next` begins with."""
    none, count = jnp.zeros(()), jnp.zeros((), jnp.int32)
    shown = dict.fromkeys(names, none)
    return Metrics(shown, count, count, count, count, none, none, none, none, count, jnp.ones((), bool))


def _mean(one: Array, its: Array, other: Array, others: Array) -> Array:
    """Of both, weighted; one of no weight may be NaN."""
    both = one + (other - one) * (others / jnp.maximum(its + others, 1))
    return jnp.where(others == 0, one, jnp.where(its == 0, other, both))


def as_rows(seed: int, iteration: int, steps: int, metrics: Metrics, names: Sequence[str]) -> list[dict[str, Any]]:
    """Lines of `metrics.jsonl`: the numbers of each row of one seed, `null` where there is none.

    They follow `iteration` iterations and `steps` steps; `names` are the algorithm's measurements in their order. By
    columns, as a row by itself takes some 40 microseconds.
    """
    # In 64 bits: 32 would lose the spread.
    episodes, total, spread, lengths, iterations = (
        np.asarray(x, np.float64)
        for x in (metrics.episodes, metrics.return_sum, metrics.return_spread, metrics.length_sum, metrics.iterations)
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # without an episode there is no mean: NaN
        mean = total / episodes
        ended = (mean, np.where(episodes > 0, spread + episodes * mean**2, np.nan), lengths / episodes)
    numbers = dict(zip((m.name for m in OF_EPISODES), ended, strict=True))
    numbers |= {name: metrics.shown[name] for name in names} | {REWARD.name: metrics.reward}
    columns = {
        "seed": [seed] * len(episodes),
        "iteration": (iteration + np.cumsum(iterations, dtype=np.int64)).tolist(),
        "steps": (steps + np.cumsum(metrics.steps, dtype=np.int64)).tolist(),
        "episodes": episodes.astype(int).tolist(),
        **{name: [finite(x) for x in np.asarray(column, np.float64).tolist()] for name, column in numbers.items()},
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [row if good else {**row, "dropped": True} for row, good in zip(rows, metrics.finite, strict=True)]


class Rows(Sequence[dict[str, Any]]):
    """Rows in order, each a dictionary when it is asked for: kept as numbers, in a tenth of the memory of dictionaries.

    A number that there is none of is `None` in a row, and NaN as it is kept; numbers of the same names lie together.
    """

    def __init__(self, rows: Iterable[dict[str, Any]] = ()):
        self._numbers, self._starts, self._names = array("d"), array("Q"), array("H")
        self._kinds: dict[tuple[str, ...], int] = {}  # the names of a row, in each order that there was
        self.extend(rows)

    def extend(self, rows: Iterable[dict[str, Any]]) -> None:
        """More rows, behind those that there are."""
        for row in rows:
            self._starts.append(len(self._numbers))
            self._names.append(self._kinds.setdefault(tuple(row), len(self._kinds)))
            self._numbers.extend(math.nan if value is None else value for value in row.values())

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._row(i) for i in range(*index.indices(len(self)))]
        return self._row(range(len(self))[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return f"<{len(self):,} rows>"

    def _row(self, index: int) -> dict[str, Any]:
        names, start = list(self._kinds)[self._names[index]], self._starts[index]
        numbers = self._numbers[start : start + len(names)]
        return {name: _entry(name, x) for name, x in zip(names, numbers, strict=True)}

    def columns(self, names: Sequence[str]) -> Float[np.ndarray, "rows names"]:
        """Numbers of these names, one row after the other; NaN where a row has none."""
        found = np.full((len(self), len(names)), np.nan)
        kinds, starts, numbers = (np.asarray(x) for x in (self._names, self._starts, self._numbers))
        for theirs, kind in self._kinds.items():
            mine = kinds == kind
            for column, name in enumerate(names):
                if name in theirs:
                    found[mine, column] = numbers[starts[mine] + theirs.index(name)]
        return found


def _entry(name: str, number: float) -> Any:
    if name == "dropped":
        return bool(number)
    if number != number:
        return None
    return int(number) if name in WHOLE else number


def as_columns(
    seeds: Sequence[int], rows: Sequence[dict[str, Any]], names: Sequence[str]
) -> dict[int, dict[str, Float[np.ndarray, " _"]]]:
    """The columns of these names of each seed's rows; NaN where a row has no number."""
    kept = rows if isinstance(rows, Rows) else Rows(rows)
    numbers = kept.columns(["seed", *names])
    by_seed = {seed: numbers[numbers[:, 0] == seed, 1:] for seed in seeds}
    return {seed: dict(zip(names, np.ascontiguousarray(mine.T), strict=True)) for seed, mine in by_seed.items()}


def curve_of(
    columns: dict[str, Float[np.ndarray, " _"]], name: str, edges: Float[np.ndarray, " edges"], smoothing: float = 0.0
) -> Curve:
    """The curve of a column of one seed: of `return_mean` and `length_mean` over episodes, of others over rows."""
    weights = columns["episodes"] if name in ("return_mean", "length_mean") else None
    squares = columns["return_squares"] if name == "return_mean" else None
    return learning_curve(columns["steps"], columns[name], edges, weights, squares, smoothing=smoothing)


def recent_return(rows: Reversible[dict[str, Any]], episodes: int = 100) -> tuple[float, float] | None:
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


@dataclasses.dataclass(frozen=True)
class Mark:
    """How far the rows had come at a checkpoint, which holds it: so rows and checkpoint know each other."""

    bytes: int  # of the file up to there
    sha256: str  # of these bytes
    steps: dict[int, int]  # agent steps of each seed

    def as_dict(self) -> dict[str, Any]:
        """As a manifest has it."""
        return dataclasses.asdict(self)

    @classmethod
    def parse(cls, data: Any) -> "Mark | None":
        """From a manifest; `None` where it has none, as those of an older logpi."""
        if not isinstance(data, dict) or not isinstance(data.get("steps"), dict):
            return None
        numbers = [data.get("bytes"), *data["steps"].values()]
        if not all(type(x) is int and x >= 0 for x in numbers) or not all(map(str.isdecimal, data["steps"])):
            return None
        return cls(data["bytes"], str(data.get("sha256")), {int(seed): n for seed, n in data["steps"].items()})


class MetricsLog:
    """All rows of a training, in memory and, where there is a folder, in its file.

    Where the disk takes no more, the file keeps its whole lines, and what is missing is tried again with the next.
    """

    def __init__(
        self,
        folder: Path | None,
        names: Sequence[str],
        kept: Rows,
        warn: Callable[[str], None],
        steps: dict[int, int] | None = None,
    ):
        self.all, self._names = kept, tuple(names)
        self._steps = {row["seed"]: row["steps"] for row in kept} if steps is None else dict(steps)
        self._before = self.steps
        self._warn, self.waiting, self._warned = warn, b"", False  # what the file lacks as yet
        self._file, self._bytes, self._digest = None, 0, hashlib.sha256()
        if folder is not None:
            if (folder / FILE).exists():
                self._bytes, self._digest = _digested(folder / FILE)
            self._file = (folder / FILE).open("ab", buffering=0)

    @property
    def mark(self) -> Mark:
        """How far the rows have come."""
        return Mark(self._bytes, self._digest.hexdigest(), dict(self._steps))

    @property
    def steps(self) -> int:
        """Agent steps so far, over all seeds."""
        return sum(self._steps.values())

    @property
    def new_steps(self) -> int:
        """Those of this process, without what was done before it resumed."""
        return self.steps - self._before

    def add(self, iterations: dict[int, int], metrics: dict[int, Metrics]) -> list[dict[str, Any]]:
        """The rows of each seed that follow so many iterations of it, in the order of iterations and then of seeds."""
        fresh = []
        for seed, several in metrics.items():
            rows = as_rows(seed, iterations[seed], self._steps.get(seed, 0), several, self._names)
            self._steps[seed] = rows[-1]["steps"] if rows else self._steps.get(seed, 0)
            fresh += rows
        fresh.sort(key=lambda row: row["iteration"])  # stable: seeds stay in their order
        self.all.extend(fresh)
        if self._file is not None:
            lines = "".join(json.dumps(row) + "\n" for row in fresh).encode()
            self.waiting += lines
            self._bytes += len(lines)
            self._digest.update(lines)
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
        if self._file is None or not self.waiting:
            return
        whole, left = self._file.tell(), self.waiting
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(whole)  # or a line would stay in it in part
            self._file.seek(whole)
            raise
        self.waiting = b""

    def close(self) -> None:
        """Writes the rest, as `flush` does, and closes the file."""
        if self._file is not None:
            self.flush()
            with contextlib.suppress(OSError):  # nothing is left in it that `flush` has not written
                self._file.close()


def _digested(path: Path, most: int = LINES_LIMIT) -> tuple[int, Any]:
    """How many bytes a file has, no more than `most`, and their checksum. Raises `InputError` where it is no file."""
    digest, count = hashlib.sha256(), 0
    with open_checked(path, LINES_LIMIT) as file:
        while part := file.read(min(2**20, most - count)):
            digest.update(part)
            count += len(part)
    return count, digest


def rows_up_to(folder: Path, mark: Mark | None, iterations: dict[int, int], warn: Callable[[str], None]) -> Rows:
    """The rows to go on from, after so many iterations of each seed: those before `mark`, and the file cut off there.

    What comes after it is not read: it may be damaged. Where the file holds other rows than were written, those that
    can be read are kept, and `warn` hears of it.
    """
    path = folder / FILE
    if mark is not None and _is_whole(path, mark):
        os.truncate(path, mark.bytes)
        return read_rows(folder)
    kept = Rows(_readable(path, iterations))
    if mark is not None:
        warn(
            f"{path} does not hold the rows that were written up to this checkpoint: the {len(kept):,} that can be "
            "read are kept, and steps are counted on from the checkpoint."
        )
    rewrite_rows(folder, kept)
    return kept


def _is_whole(path: Path, mark: Mark) -> bool:
    """Whether the rows up to a mark are those that were written."""
    try:
        count, digest = _digested(path, mark.bytes)
    except (InputError, OSError):
        return False
    return (count, digest.hexdigest()) == (mark.bytes, mark.sha256)


def _readable(path: Path, iterations: dict[int, int]) -> Iterator[dict[str, Any]]:
    """The rows of these seeds in order, up to so many iterations, as far as the file can be read."""
    last = dict.fromkeys(iterations, 0)
    try:
        for row in read_json_lines(path):
            if _is_row(row) and last.get(row["seed"], math.inf) < row["iteration"] <= iterations[row["seed"]]:
                last[row["seed"]] = row["iteration"]
                yield row
    except (InputError, OSError):
        return


def read_rows(folder: Path) -> Rows:
    """The rows of a run folder. A last line without an end was being written when its process died: it is left out.

    Raises `InputError` where the file is missing or damaged.
    """
    return Rows(_checked(folder / FILE))


def _checked(path: Path) -> Iterator[dict[str, Any]]:
    for row in read_json_lines(path):
        if not _is_row(row):
            raise InputError(f"{path} holds {shown(row)}, which is no row of metrics: the run folder is damaged.")
        yield row


def _is_row(row: Any) -> bool:
    """Whether it has what every row has, and only numbers in it; measurements that it lacks are `null`."""
    whole = isinstance(row, dict) and row.keys() >= {*WHOLE, REWARD.name, *(m.name for m in OF_EPISODES)}
    return whole and all(_is_entry(name, value) for name, value in row.items())


def _is_entry(name: str, value: Any) -> bool:
    if name == "dropped":
        return type(value) is bool
    if name in WHOLE:
        return type(value) is int and value >= 0  # steps too: where all environments break down at once, none counts
    return value is None or type(value) in (int, float)


def rewrite_rows(folder: Path, rows: Iterable[dict[str, Any]]) -> None:
    """The file anew, with these rows alone."""
    write_atomically(folder / FILE, ((json.dumps(row) + "\n").encode() for row in rows))
