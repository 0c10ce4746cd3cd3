"""What a training tells while it goes on: a live line in a terminal, a plain line every few seconds elsewhere."""

import collections
import dataclasses
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import printable
from ..runs.files import finite
from ..runs.metrics import recent_return
from ..statistics.intervals import mean_interval
from .events import Advanced, Compiled, Compiling, Evaluated, Event, Filmed, Finished, Planned, WarmStarted, Warned

SECONDS_BETWEEN_LINES = 5.0
NEWEST_ROWS = 4096
RATE_WINDOW = 10.0  # seconds that the remaining time is estimated from


def plan_lines(plan: Planned) -> list[str]:
    """What is about to be done, in words."""
    seeds = f"seed {plan.seeds[0]}" if len(plan.seeds) == 1 else f"seeds {', '.join(map(str, plan.seeds))}"
    if plan.seeds == tuple(range(plan.seeds[0], plan.seeds[0] + len(plan.seeds))) and len(plan.seeds) > 3:
        seeds = f"seeds {plan.seeds[0]} to {plan.seeds[-1]}"
    each = " each" if len(plan.seeds) > 1 else ""
    environments = "1 environment" if plan.num_envs == 1 else f"{plan.num_envs} environments"
    lines = [
        f"{plan.env} with {plan.algorithm}, {seeds}: {plan.steps:,} steps{each}, "
        f"{environments} x {plan.rollout_length} steps a rollout, on {plan.device}"
    ]
    lines += [f"  {plan.note}"] if plan.note else []
    lines += [f"  settings: {plan.source}"]
    lines += [f"  folder:   {plan.out}"] if plan.out else []
    return [printable(line) for line in lines]


@dataclasses.dataclass(frozen=True)
class ProgressSnapshot:
    """Where a training stands: what the live line shows. `None` where there is nothing to show yet."""

    done: float  # share of the training
    steps: int  # agent steps of all seeds
    steps_per_second: float
    seconds_left: float
    average: float | None  # return of the last 100 episodes of each seed, averaged over seeds
    margin: float | None  # half of its 95 % interval: over episodes for one seed, over seeds for several
    last: dict[str, float | None]  # means over the newest rows, by what they are called on a line

    def measurements(self) -> list[tuple[str, str]]:
        """Names and numbers, as text: the return, and what the algorithm measures that has a short name."""
        margin = "" if self.margin is None else f" ± {_short(self.margin)}"
        shown = [("return", "-" if self.average is None else f"{_short(self.average)}{margin}")]
        return shown + [(label, _short(number)) for label, number in self.last.items()]


class ProgressTracker:
    """Follows the rows of a training and says where it stands: by the return, and by `everything` that has a name."""

    def __init__(self, plan: Planned, everything: bool = False):
        self._iterations = max(1, plan.steps // (plan.num_envs * plan.rollout_length)) * len(plan.seeds)
        # Of each seed the newest: enough for a mean return, and no more however long it trains.
        self._rows: dict[int, collections.deque[dict[str, Any]]] = {
            seed: collections.deque(maxlen=NEWEST_ROWS) for seed in plan.seeds
        }
        self._every = plan.every
        self._labels = {m.name: m.short for m in plan.measurements if m.short and everything}
        self._newest: list[dict[str, Any]] = []
        self._marks: collections.deque[tuple[float, int, float]] = collections.deque()  # seconds, steps, share done

    def add(self, rows: list[dict[str, Any]], steps: int, seconds: float) -> None:
        """More rows, with the steps and seconds so far, as in `Advanced`."""
        for row in rows:
            self._rows[row["seed"]].append(row)
        self._newest = rows or self._newest
        done = sum(mine[-1]["iteration"] for mine in self._rows.values() if mine) / self._iterations
        if not self._marks:  # a training that is resumed did not begin at 0
            firsts = [mine[0]["iteration"] for mine in self._rows.values() if mine]
            begun = sum(self._every * ((first - 1) // self._every) for first in firsts) / self._iterations
            self._marks.append((0.0, round(steps * begun / done) if done else 0, begun))
        self._marks.append((seconds, steps, done))
        while len(self._marks) > 2 and self._marks[1][0] < seconds - RATE_WINDOW:
            self._marks.popleft()

    def snapshot(self) -> ProgressSnapshot:
        """Where it stands."""
        marks = self._marks or [(0.0, 0, 0.0)]
        (then, steps_then, done_then), (now, steps, done) = marks[0], marks[-1]
        seconds = max(now - then, 1e-9)
        speed = (done - done_then) / seconds
        average, margin = self._average()
        last = {label: _mean(row.get(name) for row in self._newest) for name, label in self._labels.items()}
        left = (1 - done) / speed if speed > 0 else float("inf")
        return ProgressSnapshot(min(done, 1.0), steps, (steps - steps_then) / seconds, left, average, margin, last)

    def _average(self) -> tuple[float | None, float | None]:
        found = [pair for rows in self._rows.values() if (pair := recent_return(rows)) is not None]
        if not found:
            return None, None
        means = np.array([mean for mean, _ in found])
        if len(found) == 1:
            margin = 1.96 * found[0][1]
            return float(means[0]), margin if np.isfinite(margin) else None
        interval = mean_interval(means)
        return interval.value, interval.high - interval.value


class PlainProgress:
    """A listener that says in lines of text how it goes.

    `lines` says them, and shows some until the next; if not given they are written to `file`, or to stderr. `every` is
    how many seconds the numbers on a line may be old; `everything` is shown, or the return alone.
    """

    def __init__(
        self,
        file: Any = None,
        *,
        lines: Any = None,
        every: float = SECONDS_BETWEEN_LINES,
        everything: bool = False,
    ):
        self._lines, self._every, self._everything = lines or LineWriter(file or sys.stderr), every, everything
        self._last = 0.0  # when the numbers were shown

    def __call__(self, event: Event) -> None:
        """A line for each event; for iterations, if the last is some seconds old."""
        match event:
            case Planned():
                self._tracker = ProgressTracker(event, self._everything)
                for line in plan_lines(event):
                    self._lines.say(line)
            case Compiling():
                self._lines.show("compiling ...")
            case Compiled(seconds):
                self._lines.say(f"compiled in {seconds:.1f} s")
                self._last = time.monotonic()
            case WarmStarted(rows, seconds):
                self._lines.say(f"{warm_start_line(rows)}, in {seconds:.1f} s")
            case Advanced(rows, steps, seconds):
                self._tracker.add(rows, steps, seconds)
                if time.monotonic() - self._last >= self._every:
                    self._last = time.monotonic()
                    self._lines.show(plain_line(self._tracker.snapshot()))
            case Evaluated(rows):
                self._lines.say(evaluation_line(rows))
            case Filmed(path):
                self._lines.say(printable(f"filmed: {path}"))
            case Warned(sentence):
                self._lines.say(printable(f"warning: {sentence}"))
            case Finished(interrupted, stopped):
                self._lines.say(plain_line(self._tracker.snapshot()))
                if interrupted:
                    self._lines.say("interrupted: what was learned so far is kept")
                elif stopped:
                    self._lines.say(f"ended early: {stopped}")

    def close(self) -> None:
        """Nothing: a line is whole once it is written."""


class LineWriter:
    """Writes lines. Once nobody reads them it is silent: the training that it reports on goes on."""

    def __init__(self, file: Any):
        self._file, self._newest = file, ""

    def say(self, line: str) -> None:
        """One line, at once, unless it has just been written."""
        if line == self._newest:
            return
        self._newest = line
        try:
            if self._file is not None:
                self._file.write(line + "\n")
                self._file.flush()
        except BrokenPipeError:
            self._file = None
        except OSError:  # a full disk: the next line may find room
            pass

    def show(self, line: str) -> None:
        """The same: no line is drawn over."""
        self.say(line)


def plain_line(now: ProgressSnapshot) -> str:
    """One line of text."""
    measured = "  ".join(f"{name} {number}" for name, number in now.measurements())
    return "  ".join([f"{now.steps:,} steps", f"{now.done:.0%}", *pace(now), measured])


def evaluation_line(rows: list[dict[str, Any]]) -> str:
    """What an evaluation on the way came to: its mean return, over seeds if there are several."""
    seeds = f" of {len(rows)} seeds" if len(rows) > 1 else ""
    update = min(row["iteration"] for row in rows)
    if len(rows) == 1:
        low, mean, high = (rows[0][name] for name in ("return_low", "return_mean", "return_high"))
    else:
        found = mean_interval(np.array([row["return_mean"] for row in rows], np.float64))
        low, mean, high = (finite(x) for x in (found.low, found.value, found.high))
    between = "" if low is None or high is None else f" [{_short(low)}, {_short(high)}]"
    return f"evaluated after {update:,} updates: return{seeds} {_short(mean)}{between}"


def warm_start_line(rows: Sequence[dict[str, Any]]) -> str:
    """What a warm start came to: the log-probability of held-out actions, over seeds if there are several.

    Behind ± is the half of a 95 % interval, of one seed over its rows, as if these were independent.
    """
    first, seeds = rows[0], f" of {len(rows)} seeds" if len(rows) > 1 else ""
    line = f"warm start: {first['rows']:,} rows, {first['epochs']:,} epochs"
    if first["after"] is None:
        return line
    before, after = (np.array([row[name] for row in rows], np.float64) for name in ("before", "after"))
    if len(rows) == 1:
        margin = 1.96 * first["error"]
    else:
        found = mean_interval(after)
        margin = found.high - found.value
    return f"{line}; held-out log-probability{seeds} {before.mean():.3g} -> {after.mean():.3g} ± {margin:.2g}"


def pace(now: ProgressSnapshot) -> list[str]:
    """Speed, and the remaining time while there is some."""
    left = [f"{_duration(now.seconds_left)} left"] if now.done < 1 else []
    return [f"{now.steps_per_second:,.0f} steps/s", *left]


def _mean(values) -> float | None:
    finite = [value for value in values if value is not None]
    return sum(finite) / len(finite) if finite else None


def _short(number: float | None) -> str:
    """Three or four significant digits."""
    if number is None:
        return "-"
    return f"{number:.1f}" if 10 <= abs(number) < 1e5 else f"{number:.3g}"


def _duration(seconds: float) -> str:
    if not np.isfinite(seconds):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
