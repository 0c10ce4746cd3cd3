"""Monitors: what is worth a warning while numbers are still numbers, as gradients that explode."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

from ..measurements import Measurement
from ..spaces.actions import num_reals
from ..spaces.kinds import Space

EXPLODED = 100.0  # times the geometric mean of the norm so far
COLLAPSED = 0.01  # of the entropy at the start, for actions that can be counted
NARROWED = 5.0  # nats below the start, for each number of a continuous action: a width of 1/150
LASTING = 5  # rows on end, or it was an outlier
MEMORY = 100.0  # rows that the mean of the norm looks back


@dataclasses.dataclass
class _Watched:
    """A measurement of one seed."""

    rows: int = 0
    log_usual: float = 0.0  # of the geometric mean so far
    first: float | None = None
    in_a_row: int = 0
    told: bool = False


class Monitors:
    """Hears the rows of a training, and says once a seed what is going wrong."""

    def __init__(self, measurements: Iterable[Measurement], action_space: Space):
        self._numbers = num_reals(action_space)
        self._measurements = [m for m in measurements if m.watch]
        self._watched: dict[tuple[int, str], _Watched] = {}

    def check(self, rows: Iterable[dict[str, Any]]) -> list[str]:
        """What is new in these rows."""
        told = []
        for row in rows:
            for m in self._measurements:
                watched = self._watched.setdefault((row["seed"], m.name), _Watched())
                sentence = self._of_one(watched, m, row["seed"], row.get(m.name))
                if sentence and not watched.told:
                    watched.told = True
                    told.append(sentence)
        return told

    def _of_one(self, watched: _Watched, m: Measurement, seed: int, value: float | None) -> str:
        what = (m.title or m.name).lower()
        if m.watch == "explodes":
            return _explodes(watched, what, seed, value)
        return self._collapses(watched, what, seed, value, m.unit)

    def _collapses(self, watched: _Watched, what: str, seed: int, value: float | None, unit: str) -> str:
        if value is None:
            return ""
        first = watched.first = value if watched.first is None else watched.first
        watched.in_a_row = watched.in_a_row + 1 if self._is_low(value, first) else 0
        if watched.in_a_row != LASTING:
            return ""
        return (
            f"the {what} of seed {seed} collapsed from {first:.3g} to {value:.3g} {unit}, so the policy hardly tries "
            "anything new: if its return is not good yet, raise --entropy-coef."
        )

    def _is_low(self, value: float, first: float) -> bool:
        return value < first - NARROWED * self._numbers if self._numbers else value < COLLAPSED * first


def _explodes(watched: _Watched, what: str, seed: int, value: float | None) -> str:
    if not value:
        return ""
    value = abs(value)
    usual = math.exp(watched.log_usual)
    watched.in_a_row = watched.in_a_row + 1 if watched.rows >= LASTING and value > EXPLODED * usual else 0
    if not watched.in_a_row:
        watched.rows += 1
        watched.log_usual += (math.log(value) - watched.log_usual) / min(watched.rows, MEMORY)
    if watched.in_a_row != LASTING:
        return ""
    return (
        f"the {what} of seed {seed} explodes: for {LASTING} rows it, now {value:.3g}, was more than {EXPLODED:g} "
        f"times its usual {usual:.3g}: lower --learning-rate, or scale the rewards."
    )
