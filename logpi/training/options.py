"""Options of a training: its fault tolerance, which is how often it is stored, and where it stops or goes on."""

import dataclasses
from typing import Any

from ..errors import check_between, choice
from ..runs.checkpoints import Every


@dataclasses.dataclass(frozen=True)
class FaultTolerance:
    """What a training does against loss and trouble. None of it changes what is learned from good numbers."""

    every: Every = dataclasses.field(default_factory=lambda: Every(seconds=30.0))
    skip: bool = False  # updates that lead to NaN, in place of stopping there
    restart: bool = False  # environments that break down, in place of stopping there
    step_timeout: float = 120.0  # seconds that environments on the host may take for a step

    @classmethod
    def parse(cls, checkpoint_every: Any, on_nan: str, on_env_error: str, step_timeout: float) -> "FaultTolerance":
        """From the arguments of `train`. Raises `InputError` for what they cannot be."""
        step_timeout = check_between("step_timeout", step_timeout, 1e-3)
        return cls(
            Every.parse(checkpoint_every),
            choice("on_nan", on_nan, ("stop", "skip")) == "skip",
            choice("on_env_error", on_env_error, ("stop", "restart")) == "restart",
            step_timeout,
        )
