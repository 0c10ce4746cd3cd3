"""What a training tells while it goes on."""

import abc
import dataclasses
import math
from typing import Any

import numpy as np

from .loop import Metrics

WHOLE = ("seed", "iteration", "steps", "episodes")  # columns of a row that are whole numbers
REAL = (
    "return_mean", "return_squares", "length_mean", "entropy", "kl", "clipped", "surrogate", "value_error",
    "explained_variance", "gradient_norm", "signal_to_noise", "reward",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is about to be done."""

    env: str
    note: str  # which twin of the environment runs, and the like; may be empty
    algorithm: str
    seeds: tuple[int, ...]
    steps: int  # for each seed
    num_envs: int
    rollout_length: int
    source: str  # of the settings
    device: str
    out: str | None


class AbstractListener(abc.ABC):
    """Hears what a training does. All calls come from the thread that trains."""

    @abc.abstractmethod
    def planned(self, plan: Plan) -> None:
        """First of all."""

    @abc.abstractmethod
    def compiling(self) -> None:
        """Before the program is compiled."""

    @abc.abstractmethod
    def compiled(self, seconds: float) -> None:
        """After it was."""

    @abc.abstractmethod
    def advanced(self, rows: list[dict[str, Any]], steps: int, seconds: float) -> None:
        """After some iterations: their rows of all seeds, the steps so far over all seeds, and the time for them."""

    @abc.abstractmethod
    def warned(self, sentence: str) -> None:
        """When something is not as it should be, and training goes on."""

    @abc.abstractmethod
    def finished(self, interrupted: bool) -> None:
        """When no more will come."""


class Silent(AbstractListener):
    """Says nothing."""

    def planned(self, plan: Plan) -> None:
        """Nothing."""

    def compiling(self) -> None:
        """Nothing."""

    def compiled(self, seconds: float) -> None:
        """Nothing."""

    def advanced(self, rows: list[dict[str, Any]], steps: int, seconds: float) -> None:
        """Nothing."""

    def warned(self, sentence: str) -> None:
        """Nothing."""

    def finished(self, interrupted: bool) -> None:
        """Nothing."""


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
