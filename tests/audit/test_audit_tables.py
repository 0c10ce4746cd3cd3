"""docs/audit_tables.md says what the audit finds, and every algorithm climbs the true gradient where it can."""

import jax
import pytest

from logpi import audit
from tools.audit_tables import ALGORITHMS, DOCUMENT, objective_tables


def rows_of(text: str, subject: str) -> list[list[str]]:
    """The cells of one algorithm's table."""
    part = text.split(f"\n## {subject}\n", 1)[1].split("\n## ", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]


def numbers(cell: str) -> tuple[float, float]:
    """A number and its standard error."""
    value, _, error = cell.partition(" ± ")
    return float(value), float(error or 0.0)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_document_holds_what_the_audit_finds(name):
    """Exact rows to their three digits, drawn ones within four standard errors of one another: the key is fixed."""
    report = audit.objective(ALGORITHMS[name], key=jax.random.key(0))
    assert report.passed, str(report)
    exact = [a for a in report.alignments if a.name.endswith("exact")]
    assert len(exact) in (4, 6, 12) and all(a.direction_error < 1e-9 and abs(a.scale - 1) < 1e-9 for a in exact)
    written, found = rows_of(DOCUMENT.read_text("utf-8"), name), rows_of(objective_tables([report]), name)
    assert [r[:2] + r[5:] for r in written] == [r[:2] + r[5:] for r in found]
    for old, new in zip(written[2:], found[2:], strict=True):
        for old_cell, new_cell in zip(old[2:5], new[2:5], strict=True):
            (was, old_error), (now, error) = numbers(old_cell), numbers(new_cell)
            drawn = "as it is" in old[1] or "±" in old[4]
            room = 4 * (old_error**2 + error**2) ** 0.5 + (0.02 * abs(was) if drawn else 0.0051 * abs(was))
            assert abs(now - was) <= room, f"{old} against {new}"


def test_the_order_of_the_known_biases():
    """By the document: what is discounted, cut or later is off; a critic that is wrong is, where it is bootstrapped."""
    text = DOCUMENT.read_text("utf-8")
    off = {(n, *row[:2]): numbers(row[4])[0] for n in ALGORITHMS for row in rows_of(text, n)[2:]}
    for name in ("SAC", "TD3", "DDPG"):
        assert off[name, "LQR", "actor, states of an older policy"] > 0.01
        assert off[name, "LQR, time limit", "critics, truncation as termination"] > 0.5
        assert off[name, "LQR", "critics, wrong targets"] > 0.2
    for name in ALGORITHMS.keys() - {"SAC", "TD3", "DDPG"}:
        assert off[name, "three states", "states not discounted"] > 0.05
        assert off[name, "time limit", "truncation as termination"] > 0.05
    assert off["REINFORCE", "three states", "wrong critic"] == 0  # a baseline, however wrong, moves nothing
    assert off["A2C", "three states", "wrong critic"] == 0  # 5 steps reach the end of 4
    assert off["PPO", "three states", "wrong critic"] > 1e-4
    standard, later, clipped = (off["PPO", "three states", s] for s in ("standardised", "and 4 epochs", "and clipped"))
    assert standard < later < clipped
