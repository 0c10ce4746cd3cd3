"""`python -m benchmarks.reliability [EXPERIMENT ...]`: what a training survives, measured; the table in the docs.

All of it takes about two hours, an hour of it the soak and half of one the file operations. The disks need the right to
mount (root, on Linux).
"""

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import Any

from logpi.runs.folder import versions

from .experiments import EXPERIMENTS, run

RECORDS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
MEANINGS = {
    "kills": "SIGKILL at random moments, with a checkpoint after every update, until the training was done",
    "file operations": "a kill, EIO, EACCES, ENOSPC, ESTALE at each operation of a command, and a disk full from there "
    "on; then resumed to the same bits, from no earlier update than was stored",
    "signals": "SIGINT and SIGTERM: status 130 and 143, policies saved, resumed to the same bits",
    "full disk": "a disk filled up under a training; given room, it was resumed to the same bits",
    "read-only folder": "a train, a train --overwrite and a resume there: one sentence each, nothing changed",
    "two processes": "a second train and a resume in the folder of one that runs: refused, the first undisturbed",
    "together": "three trainings started together by one shell, with and without one `--out`: whole runs or sentences",
    "bit flips": "bits flipped and ends cut off in the newest checkpoint: each seen",
    "changed bytes": "files of a run folder with bytes changed at random: loaded, or refused in a clear sentence",
    "cost": "share of a training that its checkpoints took: one after each whole 30 s, and one at the end",
    "memory": "resident memory after a tenth and after all of the updates, the returned history included",
    "soak": "kill and resume, beside a training that nobody stops, then both to one update: the same bits",
}


def write(name: str, found: dict[str, Any]) -> None:
    """Keeps a result, and writes the table anew."""
    kept = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
    kept[name] = {**found, "date": datetime.date.today().isoformat(), "versions": versions()}
    RECORDS.write_text(json.dumps({n: kept[n] for n in EXPERIMENTS if n in kept}, indent=1) + "\n")
    if PAGE.exists() and BEGIN in (page := PAGE.read_text()):
        before, rest = page.split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{table(kept)}\n\n{END}{rest.split(END)[1]}")


def table(records: dict[str, Any]) -> str:
    """A row for each experiment: what was done, how often, and what was lost."""
    lines = ["| | what was done | numbers | lost |", "|---|---|---|---|"]
    for name in EXPERIMENTS:
        if name in records:
            lost = records[name]["lost"]
            lines.append(f"| {name} | {MEANINGS[name]} | {_numbers(records[name])} | {'; '.join(lost) or 'nothing'} |")
    dates = {f"{r['date']}, logpi {r['versions']['logpi']}, jax {r['versions']['jax']}, {r['versions']['machine']}"
             for r in records.values()}  # fmt: skip
    return "\n".join([*lines, "", *sorted(dates)])


def _numbers(record: dict[str, Any]) -> str:
    shown = {name: value for name, value in record.items() if name not in ("lost", "date", "versions", "seconds")}
    return "; ".join(_number(name, value) for name, value in shown.items())


def _number(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"{name}: {', '.join(f'{key} {number}' for key, number in value.items())}"
    return f"{value:,} {name}"


def main() -> int:
    """Status 1 where something was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=f"any of {', '.join(EXPERIMENTS)}")
    parser.add_argument("--write", action="store_true", help=f"keep the results in {RECORDS.name} and {PAGE.name}")
    args = parser.parse_args()
    if unknown := [name for name in args.experiments if name not in EXPERIMENTS]:
        parser.error(f"there is no experiment {', '.join(unknown)}; there are {', '.join(EXPERIMENTS)}")
    lost = []
    for name in args.experiments or EXPERIMENTS:
        found = run(name)
        lost += found["lost"]
        print(f"{name}: {json.dumps(found)}", flush=True)
        if args.write:
            write(name, found)
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
