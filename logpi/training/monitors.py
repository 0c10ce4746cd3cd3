"""What is worth a warning while numbers are still numbers: gradients that explode, entropy that collapses."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..spaces.kinds import Box, Space

EXPLODED = 100.0  # times the geometric mean of the norm so far
COLLAPSED = 0.01  # of the entropy at the start, for actions that can be counted
NARROWED = 5.0  # nats below the start, for each number of a continuous action: a width of 1/150
LASTING = 5  # updates in a row, or it was an outlier
MEMORY = 100.0  # updates that the mean of the norm looks back


@dataclasses.dataclass
class _Seen:
    """Of one seed."""

    rows: int = 0
    log_norm: float = 0.0
    entropy: float | None = None
    high: int = 0
    low: int = 0
    told: set[str] = dataclasses.field(default_factory=set)


class Alarms:
    """Listens to the rows of a training, and says once a seed what is going wrong."""

    def __init__(self, action_space: Space):
        self._numbers = int(np.prod(action_space.shape)) if isinstance(action_space, Box) else 0
        self._seeds: dict[int, _Seen] = {}

    def heard(self, rows: Iterable[dict[str, Any]]) -> list[str]:
        """What is new in these rows."""
        told = []
        for row in rows:
            seen = self._seeds.setdefault(row["seed"], _Seen())
            told += [self._norm(seen, row), self._entropy(seen, row)]
        return [sentence for sentence in told if sentence]

    def _norm(self, seen: _Seen, row: dict[str, Any]) -> str:
        norm = row["gradient_norm"]
        if not norm:
            return ""
        usual = math.exp(seen.log_norm)
        seen.high = seen.high + 1 if seen.rows >= LASTING and norm > EXPLODED * usual else 0
        if not seen.high:
            seen.rows += 1
            seen.log_norm += (math.log(norm) - seen.log_norm) / min(seen.rows, MEMORY)
        if seen.high != LASTING or "norm" in seen.told:
            return ""
        seen.told.add("norm")
        return (
            f"the gradient of seed {row['seed']} explodes: for {LASTING} updates its norm, now {norm:.3g}, was more "
            f"than {EXPLODED:g} times its usual {usual:.3g}: lower --learning-rate, or scale the rewards."
        )

    def _entropy(self, seen: _Seen, row: dict[str, Any]) -> str:
        entropy = row["entropy"]
        if entropy is None:
            return ""
        first = seen.entropy = entropy if seen.entropy is None else seen.entropy
        seen.low = seen.low + 1 if self._is_low(entropy, first) else 0
        if seen.low != LASTING or "entropy" in seen.told:
            return ""
        seen.told.add("entropy")
        return (
            f"the entropy of seed {row['seed']} collapsed from {first:.3g} to {entropy:.3g} nats, so the policy "
            "hardly tries anything new: if its return is not good yet, raise --entropy-coef."
        )

    def _is_low(self, entropy: float, first: float) -> bool:
        return entropy < first - NARROWED * self._numbers if self._numbers else entropy < COLLAPSED * first
