"""The tables of docs/audit_tables.md: each algorithm's expected update beside the true gradient."""

import math
from collections.abc import Sequence

import jax

from ..algorithms import A2C, PPO, REINFORCE
from .alignment import Alignment
from .objective import objective
from .report import Report

ZERO = 1e-9  # of a direction error: rounding

INTRODUCTION = """\
# What each algorithm climbs

Each row is the expected update of an algorithm with its default settings, on a problem whose gradient ∇J is known
exactly, written as `scale` times ∇J and a rest at right angles to it. `direction error` is the norm of the rest over
the norm of the multiple: 0 is the right direction. Rows without a ± count every episode with its probability, in
float64; the others are drawn, with a standard error. `exact` has an exact critic and discounted states, and nothing
else. The other rows of a problem switch one source of bias on; those that begin with "and" add one to the row before.
The discount is 0.8, so that what discounting does can be seen; the numbers belong to these problems, the zeros do not.
The command `logpi audit objective` and the function `logpi.audit.objective` find the same of your own objective.

"""


def objective_tables(reports: Sequence[Report] | None = None) -> str:
    """The whole of docs/audit_tables.md as Markdown: REINFORCE, A2C and PPO with default settings, key 0.

    `reports` are of `audit.objective`, where they are there already. It takes some 20 seconds for each algorithm.
    """
    if reports is None:
        reports = [objective(algorithm, key=jax.random.key(0)) for algorithm in (REINFORCE(), A2C(), PPO())]
    parts = [INTRODUCTION]
    for report in reports:
        parts.append(f"## {report.subject}\n\n| problem | what is switched on | scale | cosine | direction error | |\n")
        parts.append("|---|---|---:|---:|---:|---|\n")
        parts += [_line(row) for row in report.alignments]
        parts.append("\n" + "".join(f"{note[0].upper()}{note[1:]}.\n\n" for note in report.notes))
    return "".join(parts).rstrip("\n") + "\n"


def _line(row: Alignment) -> str:
    problem, source = row.name.split(": ", 1)
    error = f" ± {row.error:.1g}" if row.error > ZERO else ""
    cells = (
        problem,
        source,
        _number(row.scale),
        f"{row.cosine:.4f}",
        _number(row.direction_error) + error,
        row.meaning,
    )
    return "| " + " | ".join(cells) + " |\n"


def _number(x: float) -> str:
    """Two or three digits; what is only rounding is 0."""
    if not math.isfinite(x):
        return str(x)
    return "0" if abs(x) < ZERO else f"{x:.3g}"
