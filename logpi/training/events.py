"""Events of a training: what it tells while it goes on."""

import abc
import dataclasses
from typing import Any


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
