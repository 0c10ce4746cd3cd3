"""The settings of a warm start: from which demonstrations, and how long they are learned from."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from ..errors import check_between, check_fields, check_part, check_path, check_whole, InputError, shown
from ..learners.optimisers import AbstractOptimiser, Adam
from .reading import MINARI, of_arrays, of_file, of_minari
from .rows import checksum

ARRAYS = "arrays"  # in the place of a name, where the rows themselves were given


@dataclasses.dataclass(frozen=True)
class WarmStart:
    r"""A policy that begins by doing what was done in some data: behaviour cloning, before the first update.

    It climbs the mean of $\log \pi_\theta(a | s)$ over the rows, which is the score surrogate with an advantage of 1
    for each of them. Pomerleau 1991 (Neural Computation 3:88) is an early one.

    - `data`: an `.npz` file that has `observations` and `actions` (the parts of either as `observations/NAME`, those of
      a tuple numbered), `"minari:NAME"`, or arrays: a pair of them, or a dictionary by these two names. Actions are as
      the environment gets them; of what follows the last action of an episode there is no row.
    - `epochs`: passes over the rows.
    - `batch_size`: rows of a step.
    - `optimiser`: what climbs.
    - `holdout`: the share of the rows that is not learned from, and shows how likely the policy finds actions that it
      has not seen.
    - `sha256`: of the rows, which a run keeps.

    Raises `InputError` for what cannot be.
    """

    data: Any
    epochs: int = 20
    batch_size: int = 64
    optimiser: AbstractOptimiser = dataclasses.field(default_factory=lambda: Adam(1e-3))
    holdout: float = 0.1
    sha256: str = ""
    rows: Any = dataclasses.field(default=None, repr=False, compare=False, metadata={"written": False})
    """The data themselves, once they are there."""

    def __post_init__(self):
        check_fields(self, check_whole, "epochs", "batch_size", low=1)
        check_fields(self, check_between, "holdout", low=0, high=0.9)
        check_part("optimiser of a warm start", self.optimiser, "Adam(1e-3)")
        if not isinstance(self.data, str | os.PathLike):
            rows = of_arrays(self.data)
            self._set(data=ARRAYS, rows=rows, sha256=checksum(rows))
        elif (name := os.fsdecode(self.data)) != ARRAYS and not name.startswith(MINARI):
            self._set(data=str(check_path("warm_start", name).absolute()))
        if not str(self.data).isprintable():
            raise InputError(f"warm_start is {shown(self.data)}, but it must be on one line: give another name.")

    @property
    def has_name(self) -> bool:
        """Whether there is a name by which its data are read again."""
        return self.data != ARRAYS

    def _set(self, **fields: Any) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def read(self) -> "WarmStart":
        """The same with its rows, and with their checksum.

        Raises `InputError` where they cannot be read, and where they are others than those of the checksum.
        """
        if self.rows is not None:
            return self
        if not self.has_name:
            raise InputError(
                "warm_start was given as arrays, of which a run keeps the checksum alone: give them again, in Python, "
                "as warm_start=."
            )
        found = of_minari(self.data) if self.data.startswith(MINARI) else of_file(Path(self.data))
        if self.sha256 not in ("", checksum(found)):
            raise InputError(
                f"warm_start is {self.data}, but its rows are others than those that the run began from (SHA-256 "
                f"{self.sha256[:12]}...): put these there, or say anew where to begin (--warm-start)."
            )
        return dataclasses.replace(self, rows=found, sha256=checksum(found))


def as_warm_start(given: Any, before: WarmStart | None = None) -> WarmStart:
    """What a user gives: one as it is, or data, with the numbers of the one before, or as usual."""
    if isinstance(given, WarmStart):
        return given
    new = WarmStart(given)
    return new if before is None else dataclasses.replace(before, data=new.data, sha256=new.sha256, rows=new.rows)
