"""What an audit found: checks, each with its size, its error and its limit, and what to do about the bad ones."""

import dataclasses
import math
from typing import Any

FALSE_ALARMS = 1e-7  # of one check, on correct code: a report has some ten


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    size: float  # how far it is off, in the units that `meaning` says
    error: float  # the standard error of the size; 0 where it is exact
    threshold: float  # the size may be this large
    meaning: str  # what the size is
    cure: str  # what to do if it is larger

    @property
    def passed(self) -> bool:
        """Whether the size is within its limit; what is not a number is not."""
        return bool(abs(self.size) <= self.threshold)


@dataclasses.dataclass(frozen=True)
class Report:
    """All that an audit looked at. `print` it for a table."""

    subject: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()  # what could not be looked at, and why

    @property
    def passed(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.findings

    @property
    def findings(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    def table(self) -> list[dict[str, Any]]:
        """A row of plain numbers and words for each check, ready for JSON."""
        return [dataclasses.asdict(check) | {"passed": check.passed} for check in self.checks]

    def __str__(self) -> str:
        width = max([len(check.name) for check in self.checks], default=5)
        lines = [f"{self.subject}: {'passed' if self.passed else f'{len(self.findings)} found'}"]
        for check in self.checks:
            mark = "ok   " if check.passed else "WRONG"
            lines.append(f"  {mark} {check.name:<{width}}  {check.size:.3g} ± {check.error:.2g}  {check.meaning}")
        lines += [f"  -> {check.name}: {check.cure}" for check in self.findings]
        lines += [f"  not looked at: {note}" for note in self.notes]
        return "\n".join(lines)


def z_limit(tests: int) -> float:
    """How many standard errors one of so many two-sided tests may be off, for `FALSE_ALARMS` of them all together."""
    from scipy.special import ndtri

    return float(-ndtri(FALSE_ALARMS / (2 * max(tests, 1))))


def significant(name: str, size: float, error: float, tests: int, meaning: str, cure: str, floor: float = 0.0) -> Check:
    """A check whose limit comes from its own error; `floor` is what rounding alone may do."""
    limit = max(z_limit(tests) * error, floor)
    return Check(name, size, error, limit if math.isfinite(limit) else 0.0, meaning, cure)
