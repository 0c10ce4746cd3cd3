"""`python -m benchmarks.speed [TASK ...]`: logpi and its peers in alternation, and the ratios with their spread."""

import argparse
import functools
import json
import sys
from pathlib import Path

from . import report
from .measure import measure
from .tasks import TASKS

RESULTS = Path(__file__).with_name("results.md")
RECORDS = Path(__file__).with_name("results.json")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"any of {', '.join(TASKS)}; all of them without")
    parser.add_argument("--rounds", type=int, help="how often each contender runs (5; 1 with --quick)")
    parser.add_argument("--repetitions", type=int, default=1, help="timed runs within each process (1)")
    parser.add_argument("--quick", action="store_true", help="an eighth of the steps")
    parser.add_argument("--write", action="store_true", help=f"keep the results in {RESULTS.name} and {RECORDS.name}")
    parser.add_argument("--gate", action="store_true", help="exit with status 1 if a target is missed")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="an interpreter that has the peer NAME (rejax, sb3, sbx), in place of an environment made of its pins",
    )
    args = parser.parse_args()
    args.pythons = dict(each.partition("=")[::2] for each in args.python)
    unknown = [name for name in args.tasks if name not in TASKS]
    if unknown:
        parser.error(f"there is no task {', '.join(unknown)}; there are {', '.join(TASKS)}")
    if (args.rounds is not None and args.rounds < 1) or args.repetitions < 1:
        parser.error("--rounds and --repetitions must be 1 or more")
    return args


def write(records: dict[str, report.Record]) -> None:
    """Puts these records over those of earlier calls, and both files in order."""
    kept = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
    kept |= records
    RECORDS.write_text(json.dumps(kept, indent=1) + "\n")
    RESULTS.write_text(report.document(kept))


def main() -> int:
    """Status 1 if a contender could not be measured, or, with `--gate`, if a target was missed."""
    args = arguments()
    rounds = args.rounds or (1 if args.quick else 5)
    records = {}
    for name in args.tasks or TASKS:
        say = functools.partial(print, file=sys.stderr, flush=True)
        record = measure(TASKS[name], rounds, args.repetitions, args.quick, say, args.pythons)
        records[name] = record
        print(report.section(TASKS[name], record), flush=True)
        if args.write:
            write({name: record})
    missed = [line for name, record in records.items() for line in report.misses(TASKS[name], record)]
    print("Missed:\n" + "\n".join(f"- {line}" for line in missed) if missed else "Every target was met.")
    failed = any(record["failures"] for record in records.values())
    return int(failed or (args.gate and bool(missed)))


if __name__ == "__main__":
    sys.exit(main())
