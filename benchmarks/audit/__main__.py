"""`python -m benchmarks.audit [--minutes M]`: false alarms on correct code under many seeds, and planted bugs found."""

import argparse
import dataclasses
import datetime
import importlib.metadata
import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

from logpi import InputError
from tests.audit.zoo import Bug, found, ZOO

from .subjects import Correct, INTERVALS, REPLICATES, SAMPLES, STEPS, subjects

RESULTS = Path(__file__).with_name("results.md")
AUDITS = ("policy", "program", "objective", "loss", "env", "run")


@dataclasses.dataclass
class Row:
    """What was counted of one audit."""

    reports: int = 0
    wanted: int = 0
    alarms: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    planted: int = 0
    looked_at: int = 0
    missed: list[str] = dataclasses.field(default_factory=list)


def told(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def audit_once(row: Row, subject: Correct, seed: int) -> None:
    """One report of correct code."""
    started = time.perf_counter()
    try:
        names = [check.name for check in subject.report(seed).findings]
    except InputError as error:
        names = [f"InputError: {error}"]
    row.seconds += time.perf_counter() - started
    row.reports += 1
    if names:
        row.alarms.append(f"{subject.name}, seed {seed}: {', '.join(names)}")
        told(f"false alarm: {subject.audit} {row.alarms[-1]}")


def look_for(row: Row, bug: Bug) -> None:
    """One planted bug."""
    started = time.perf_counter()
    right = found(bug, jax.random.key(0))
    row.seconds += time.perf_counter() - started
    row.looked_at += 1
    if not right:
        row.missed.append(bug.name)
        told(f"not found as planted: {bug.audit} {bug.name}")


def document(rows: dict[str, Row], whole: bool) -> str:
    """The table, as Markdown."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "equinox", "numpyro"))
    python, cores = platform.python_version(), os.cpu_count()
    lines = [
        "# Audits: false alarms and planted bugs\n",
        f"By `python -m benchmarks.audit`, {datetime.date.today()}: Python {python}, {versions}, "
        f"{platform.machine()}, {cores} cores, {jax.default_backend()}.",
        f"Sizes: {SAMPLES:,} draws for `policy`, {REPLICATES:,} replicates and {INTERVALS} intervals for `program`, "
        f"{STEPS} steps for `env`; the defaults for the others, and the sizes of the tests for `run`.",
        "Seconds are wall time, with compilation, on a machine that may do other things too.\n",
        "| audit | reports on correct code | false alarms | bugs planted | looked at | found by name | seconds |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in rows.items():
        counts = f"{row.reports} of {row.wanted} | {len(row.alarms)} | {row.planted} | {row.looked_at}"
        lines.append(f"| {name} | {counts} | {row.looked_at - len(row.missed)} | {row.seconds:.0f} |")
    lines.append("")
    if not whole:
        lines.append("The time was up before all was done: what is missing was not looked at.\n")
    lines += [f"- False alarm: `{name}` {alarm}" for name, row in rows.items() for alarm in row.alarms]
    lines += [f"- Not found as planted: `{name}` {missed}" for name, row in rows.items() for missed in row.missed]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    """Status 1 if there was a false alarm, or a bug was not found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="stop after so long; without it, at the end"
    )
    parser.add_argument("--audits", nargs="*", default=AUDITS, choices=AUDITS, help="only these")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    end = time.perf_counter() + 60 * args.minutes
    rows = {name: Row() for name in args.audits}
    correct = [subject for subject in subjects() if subject.audit in rows]
    bugs = [bug for bug in ZOO if bug.audit in rows]
    for subject in correct:
        rows[subject.audit].wanted += subject.seeds
    for bug in bugs:
        rows[bug.audit].planted += 1
    tasks = [(look_for, rows[bug.audit], bug) for bug in bugs]
    rounds = range(max(subject.seeds for subject in correct))
    tasks += [(audit_once, rows[s.audit], s, 1000 + seed) for seed in rounds for s in correct if seed < s.seeds]
    done = 0
    for task, *arguments in tasks:
        if time.perf_counter() > end:
            break
        task(*arguments)
        done += 1
        if args.write and (done % 20 == 0 or done == len(tasks)):
            RESULTS.write_text(document(rows, done == len(tasks)), encoding="utf-8")
    text = document(rows, done == len(tasks))
    print(text, end="")
    if args.write:
        RESULTS.write_text(text, encoding="utf-8")
    return int(any(row.alarms or row.missed for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
