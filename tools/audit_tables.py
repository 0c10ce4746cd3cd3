"""Writes docs/audit_tables.md: each algorithm's and each loss's expected update beside the true gradient.

`python -m tools.audit_tables` makes it anew, which takes some minutes.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from logpi.algorithms import A2C, DDPG, IMPALA, NPG, PPO, REINFORCE, SAC, TD3, TRPO
from logpi.audit import Alignment, gallery, objective, Report

DOCUMENT = Path(__file__).parents[1] / "docs" / "audit_tables.md"
_EACH = (REINFORCE(), A2C(), PPO(), TRPO(), NPG(), IMPALA(), SAC(), TD3(), DDPG())
ALGORITHMS = {type(a).__name__: a for a in _EACH}
ZERO = 1e-9  # of a direction error: rounding

INTRODUCTION = """\
# What each algorithm and each loss climbs

Each row is the expected update of an algorithm with its default settings, on a problem whose gradient ∇J is known
exactly, written as `scale` times ∇J and a rest at right angles to it. `direction error` is the norm of the rest over
the norm of the multiple: 0 is the right direction. Rows without a ± count every episode with its probability, in
float64; the others are drawn, with a standard error. `exact` has an exact critic and discounted states, and nothing
else. The other rows of a problem switch one source of bias on; those that begin with "and" add one to the row before.
The discount is 0.8, so that what discounting does can be seen; the numbers belong to these problems, the zeros do not.
The command `logpi audit objective` and the function `logpi.audit.objective` find the same of your own objective.

"""


LOSSES = """\
## Losses of sequences

Each row of the gallery (`logpi.audit.gallery`) is a loss of arrays with groups of 4, whose expected gradient is found
by enumeration, on policy. `scale` and `direction error` are on 15 random sequences of up to 3 tokens with rewards of 0
and 1. `difficulty` is the direction error for two prompts of one token that are right with probability 0.05 and 0.5.
`end, right` and `end, wrong` are what the update adds to the logit of the end after a first token that is right or
wrong, where the first token alone earns: 0 is right, and + after right with - after wrong makes answers shorter where
they are right and longer where they are wrong. The command `logpi audit loss dr-grpo` audits one of them.

| loss | scale | claimed | direction error | difficulty | end, right | end, wrong | bias |
|---|---:|---|---:|---:|---:|---:|---|
"""
KL_TERMS = """\
## KL terms

Each term alone, with rewards of 0: its scale over its weight, and how its expected gradient lies to that of the KL of
sequences from the reference.

| term | scale | direction error | what it is the gradient of |
|---|---:|---:|---|
"""


def loss_tables(rows: Sequence[dict[str, Any]] | None = None, terms: Sequence[dict[str, Any]] | None = None) -> str:
    """The tables of the gallery's losses and KL terms as Markdown. All is exact: nothing is drawn but the problem.

    `rows` and `terms` are `gallery.table()` and `gallery.kl_table()`, where they are there already.
    """
    lines = [LOSSES]
    for row in gallery.table() if rows is None else rows:
        numbers = [row["direction_error"], row["difficulty"], row["end_after_right"], row["end_after_wrong"]]
        cells = [row["name"], _number(row["scale"]), row["formula"], *map(_number, numbers), row["bias"]]
        lines.append("| " + " | ".join(cells) + " |\n")
    lines.append("\n" + KL_TERMS)
    for row in gallery.kl_table() if terms is None else terms:
        what = row["really"] or row["bias"] or "the KL"
        cells = [row["name"], _number(row["scale"]), _number(row["direction_error"]), what]
        lines.append("| " + " | ".join(cells) + " |\n")
    return "".join(lines)


def objective_tables(reports: Sequence[Report] | None = None) -> str:
    """The part of docs/audit_tables.md on algorithms: each with default settings, key 0.

    `reports` are of `audit.objective`, where they are there already. It takes some 20 seconds for each algorithm.
    """
    if reports is None:
        reports = [objective(algorithm, key=jax.random.key(0)) for algorithm in ALGORITHMS.values()]
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


if __name__ == "__main__":
    DOCUMENT.write_text(objective_tables() + "\n" + loss_tables(), encoding="utf-8")
