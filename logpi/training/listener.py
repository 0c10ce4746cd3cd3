"""What a training tells while it goes on."""

import abc
import dataclasses
from typing import Any

import numpy as np

from .loop import Metrics


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


def as_row(seed: int, iteration: int, steps: int, metrics: Metrics) -> dict[str, Any]:
    """One line of `metrics.jsonl`: the numbers of one iteration of one seed, `null` where there is none."""
    update, record, episodes = metrics.update, metrics.update.record, float(metrics.episodes)
    mean = float(metrics.return_sum) / max(episodes, 1)
    ended = {
        "return_mean": mean,
        "return_squares": float(metrics.return_spread) + episodes * mean**2,  # of Python: 32 bits would lose the spread
        "length_mean": float(metrics.length_sum) / max(episodes, 1),
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
    return {
        "seed": seed,
        "iteration": iteration,
        "steps": steps,
        "episodes": int(episodes),
        **{name: _number(x) if episodes else None for name, x in ended.items()},
        **{name: _number(x) for name, x in numbers.items()},
        **({} if metrics.finite else {"dropped": True}),
    }


def _number(x: Any) -> float | None:
    return float(x) if np.isfinite(x) else None


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
