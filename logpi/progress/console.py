"""What a training tells while it goes on: a live line in a terminal, a plain line every few seconds elsewhere."""

import collections
import dataclasses
import sys
import time
from typing import Any

import numpy as np

from ..runs.metrics import recent_return
from ..statistics.intervals import mean_interval
from ..training.events import AbstractListener, Plan

SECONDS_BETWEEN_LINES = 5.0
RATE_WINDOW = 10.0  # seconds that the remaining time is estimated from


def plan_lines(plan: Plan) -> list[str]:
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
    return lines


@dataclasses.dataclass(frozen=True)
class Numbers:
    """What the live line shows. `None` where there is nothing to show yet."""

    done: float  # share of the training
    steps: int  # agent steps of all seeds
    steps_per_second: float
    seconds_left: float
    average: float | None  # return of the last 100 episodes of each seed, averaged over seeds
    margin: float | None  # half of its 95 % interval: over episodes for one seed, over seeds for several
    last: dict[str, float | None]  # means over the newest rows

    def measurements(self) -> list[tuple[str, str]]:
        """Names and numbers, as text."""
        margin = "" if self.margin is None else f" ± {_short(self.margin)}"
        names = {
            "entropy": "entropy",
            "kl": "KL",
            "explained_variance": "expl. var.",
            "gradient_norm": "grad. norm",
            "signal_to_noise": "signal/noise",
        }
        shown = [("return", "-" if self.average is None else f"{_short(self.average)}{margin}")]
        return shown + [(label, _short(self.last.get(name))) for name, label in names.items()]


class Tally:
    """Follows the rows of a training and says where it stands."""

    def __init__(self, plan: Plan):
        self._iterations = max(1, plan.steps // (plan.num_envs * plan.rollout_length)) * len(plan.seeds)
        self._rows: dict[int, list[dict[str, Any]]] = {seed: [] for seed in plan.seeds}
        self._newest: list[dict[str, Any]] = []
        self._marks: collections.deque[tuple[float, int, float]] = collections.deque()  # seconds, steps, share done

    def add(self, rows: list[dict[str, Any]], steps: int, seconds: float) -> None:
        """More rows, with the steps and seconds so far."""
        for row in rows:
            self._rows[row["seed"]].append(row)
        self._newest = rows or self._newest
        done = sum(mine[-1]["iteration"] for mine in self._rows.values() if mine) / self._iterations
        if not self._marks:  # a training that is resumed did not begin at 0
            share = len(rows) / self._iterations
            self._marks.append((0.0, round(steps * (1 - share / done)) if done > share else 0, done - share))
        self._marks.append((seconds, steps, done))
        while len(self._marks) > 2 and self._marks[1][0] < seconds - RATE_WINDOW:
            self._marks.popleft()

    def numbers(self) -> Numbers:
        """Where it stands."""
        marks = self._marks or [(0.0, 0, 0.0)]
        (then, steps_then, done_then), (now, steps, done) = marks[0], marks[-1]
        seconds = max(now - then, 1e-9)
        speed = (done - done_then) / seconds
        average, margin = self._average()
        last = {name: _mean(row[name] for row in self._newest) for name in self._newest[0]} if self._newest else {}
        left = (1 - done) / speed if speed > 0 else float("inf")
        return Numbers(min(done, 1.0), steps, (steps - steps_then) / seconds, left, average, margin, last)

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


class PlainProgress(AbstractListener):
    """Lines of text: for a log, or a pipe. `file` is stderr if not given."""

    def __init__(self, file: Any = None):
        self._say = Speaker(file or sys.stderr)
        self._last, self._told = 0.0, False  # when the last line was said, and whether it says all there is to say

    def planned(self, plan: Plan) -> None:
        """What is about to be done."""
        self._tally = Tally(plan)
        for line in plan_lines(plan):
            self._say(line)

    def compiling(self) -> None:
        """That it compiles."""
        self._say("compiling ...")

    def compiled(self, seconds: float) -> None:
        """How long that took."""
        self._say(f"compiled in {seconds:.1f} s")
        self._last = time.monotonic()

    def advanced(self, rows: list[dict[str, Any]], steps: int, seconds: float) -> None:
        """A line, if the last is some seconds old."""
        self._tally.add(rows, steps, seconds)
        self._told = time.monotonic() - self._last >= SECONDS_BETWEEN_LINES
        if self._told:
            self._last = time.monotonic()
            self._say(plain_line(self._tally.numbers()))

    def warned(self, sentence: str) -> None:
        """A line of its own."""
        self._say(f"warning: {sentence}")

    def finished(self, interrupted: bool) -> None:
        """Where it stands in the end."""
        if not self._told:
            self._say(plain_line(self._tally.numbers()))
        if interrupted:
            self._say("interrupted: what was learned so far is kept")

    def close(self) -> None:
        """Nothing: a line is whole once it is written."""


class Speaker:
    """Writes lines. Once nobody reads them it is silent: the training that it reports on goes on."""

    def __init__(self, file: Any):
        self._file = file

    def __call__(self, line: str) -> None:
        """One line, at once."""
        try:
            if self._file is not None:
                self._file.write(line + "\n")
                self._file.flush()
        except BrokenPipeError:
            self._file = None


def plain_line(numbers: Numbers) -> str:
    """One line of text."""
    measured = "  ".join(f"{name} {number}" for name, number in numbers.measurements())
    return f"{numbers.steps:,} steps  {numbers.done:.0%}  {pace(numbers)}  {measured}"


def pace(numbers: Numbers) -> str:
    """Speed and remaining time."""
    left = f"  {_duration(numbers.seconds_left)} left" if numbers.done < 1 else ""
    return f"{numbers.steps_per_second:,.0f} steps/s{left}"


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
