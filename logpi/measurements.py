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
