"""Measurements: what an iteration shows by one number each, declared by whoever measures it.

Rows of `metrics.jsonl`, its schema, monitors, charts and loggers go over what is declared; none of them knows a name.
"""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A number that every iteration shows, and how to read it."""

    name: str
    """The column of `metrics.jsonl`, and the key in what `update` returns."""
    unit: str
    """What it is counted in: nats, a share, a norm."""
    meaning: str
    """What it says, in a sentence."""
    title: str = ""
    """Above its chart; without one it is stored and not drawn."""
    short: str = ""
    """Before the number on the live line; without one it is not shown there."""
    level: float | None = None
    """A value to compare with: a line in the chart."""
    level_meaning: str = ""
    """What that value stands for."""
    log: bool = False
    """Whether a chart of it is logarithmic."""
    watch: Literal["", "explodes", "collapses"] = ""
    """What a monitor looks out for. One that may explode stops the training where it is not finite."""
    tags: tuple[tuple[str, float], ...] = ()
    """What CleanRL and Stable-Baselines3 call it in TensorBoard, each with how much of theirs is 1 of it."""


# What every training measures, whatever its algorithm does; mostly of the episodes that ended.
RETURN = Measurement(
    "return_mean", "reward", "Mean over the episodes that ended.", short="return",
    tags=(("charts/episodic_return", 1.0), ("rollout/ep_rew_mean", 1.0)),
)  # fmt: skip
RETURN_SQUARES = Measurement("return_squares", "squared reward", "Of the returns of the episodes that ended, summed.")
LENGTH = Measurement(
    "length_mean", "steps", "Mean over the episodes that ended.", "Length of an episode",
    tags=(("charts/episodic_length", 1.0), ("rollout/ep_len_mean", 1.0)),
)  # fmt: skip
REWARD = Measurement("reward", "reward", "Mean per step.")
CLIPPED_ACTIONS = Measurement(  # where actions have bounds
    "clipped_actions", "share", "Of the numbers of the actions that were drawn, those beyond the bounds.",
    "Clipped actions",
)  # fmt: skip
ALL_FORBIDDEN = Measurement(  # where observations have a mask
    "all_forbidden", "share of steps",
    "Of the steps, those whose mask forbade every value of a choice. Such a mask forbids nothing.",
    "Masks that forbid everything",
)  # fmt: skip
OF_EPISODES = (RETURN, RETURN_SQUARES, LENGTH)
