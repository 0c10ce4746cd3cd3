"""What an audit found: checks, each with its size, its error and its limit, and what to do about the bad ones."""

import dataclasses
import json
import math
from typing import Any

from ..errors import InputError
from ..runs.files import as_json, spelled
from .alignment import Alignment

FALSE_ALARMS = 1e-7  # of one check, on correct code: a report has some ten


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    key: str  # what programs find it by: no other check of the report has it, and it stays when the words change
    size: float  # how far it is off, in the units that `meaning` says
    error: float  # the standard error of the size; 0 where it is exact
    threshold: float  # the size may be this large
    meaning: str  # what the size is
    cure: str  # what to do if it is larger
    name: str = ""  # what people read; the key in words, if not given
    chart: str | None = None  # the key of the chart of `logpi report` that shows it, where one does

    def __post_init__(self):
        if not self.name:
            object.__setattr__(self, "name", self.key.replace("_", " "))

    @property
    def passed(self) -> bool:
        """Whether the size is within its limit; what is not a number is not."""
        return bool(abs(self.size) <= self.threshold)


@dataclasses.dataclass(frozen=True)
class Report:
    """All that an audit looked at. `print` it for a table."""

    subject: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()  # what else there is to know: what could not be looked at, and why
    alignments: tuple[Alignment, ...] = ()  # of updates with the true gradient, for audits of objectives and losses

    @property
    def passed(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.findings

    @property
    def findings(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    def check(self, key: str) -> Check:
        """The check of that key. Raises `InputError` where it was not looked at."""
        for check in self.checks:
            if check.key == key:
                return check
        raise InputError(f"{key!r} was not looked at: the checks are {', '.join(check.key for check in self.checks)}.")

    def table(self) -> list[dict[str, Any]]:
        """A row of plain numbers and words for each check, ready for JSON."""
        columns = ("key", "name", "size", "error", "threshold", "meaning", "cure", "passed")
        return [{column: getattr(check, column) for column in columns} for check in self.checks]

    def to_json(self) -> str:
        """All of it as a JSON object. Numbers that are not finite are written as words."""
        parts = {"subject": self.subject, "passed": self.passed, "checks": self.table()}
        parts |= {"alignments": [dataclasses.asdict(a) for a in self.alignments], "notes": list(self.notes)}
        return json.dumps(as_json(parts, spelled), indent=2, allow_nan=False)

    def __str__(self) -> str:
        width = max([len(check.name) for check in self.checks], default=5)
        lines = [f"{self.subject}: {'passed' if self.passed else f'{len(self.findings)} found'}"]
        numbers = [f"{check.size:.3g}" + (f" ± {check.error:.2g}" if check.error else "") for check in self.checks]
        right = max([len(number) for number in numbers], default=0)
        for check, number in zip(self.checks, numbers, strict=True):
            mark = "ok   " if check.passed else "WRONG"
            lines.append(f"  {mark} {check.name:<{width}}  {number:>{right}}  {check.meaning}")
        lines += _alignment_lines(self.alignments)
        lines += [f"  -> {check.name}: {check.cure}" for check in self.findings]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def _alignment_lines(alignments: tuple[Alignment, ...]) -> list[str]:
    width = max([len(a.name) for a in alignments], default=0)
    lines = [f"  {'':<{width}}  {'scale':>9} {'cosine':>8} {'direction error':>18}"] if alignments else []
    for a in alignments:
        error = f"{a.direction_error:.2g}" + (f" ± {a.error:.1g}" if a.error else "")
        lines.append(f"  {a.name:<{width}}  {a.scale:>9.4g} {a.cosine:>8.4f} {error:>18}  {a.meaning}".rstrip())
    return lines


def z_limit(tests: int) -> float:
    """How many standard errors one of so many two-sided tests may be off, for `FALSE_ALARMS` of them all together."""
    from scipy.special import ndtri

    return float(-ndtri(FALSE_ALARMS / (2 * max(tests, 1))))


def t_limit(freedom: int) -> float:
    """How many standard errors, each found from `freedom` + 1 numbers, one two-sided test may be off."""
    from scipy.special import stdtrit

    return float(-stdtrit(max(freedom, 1), FALSE_ALARMS / 2))


def significant(
    key: str, size: float, error: float, tests: int, meaning: str, cure: str, *, floor: float = 0.0, name: str = ""
) -> Check:
    """A check whose limit comes from its own error; `floor` is what rounding alone may do."""
    limit = max(z_limit(tests) * error, floor)
    return Check(key, size, error, limit if math.isfinite(limit) else 0.0, meaning, cure, name)
