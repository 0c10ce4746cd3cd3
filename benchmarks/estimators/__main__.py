"""`python -m benchmarks.estimators [TASK ...]`: what gradients with errors cost, beside plain ones and beside peers."""

import argparse
import json
import sys
from pathlib import Path

from . import report
from .measure import measure
from .tasks import TASKS

RESULTS = Path(__file__).with_name("results.md")
RECORDS = Path(__file__).with_name("results.json")
ROUNDS, FRESH_ROUNDS = 60, 3


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"any of {', '.join(TASKS)}; all of them without")
    parser.add_argument("--rounds", type=int, help=f"rounds of calls ({ROUNDS}; {FRESH_ROUNDS} for memory)")
    parser.add_argument("--write", action="store_true", help=f"keep the results in {RESULTS.name} and {RECORDS.name}")
    parser.add_argument("--gate", action="store_true", help="exit with status 1 if a target is missed")
    args = parser.parse_args()
    unknown = [name for name in args.tasks if name not in TASKS]
    if unknown:
        parser.error(f"there is no task {', '.join(unknown)}; there are {', '.join(TASKS)}")
    if args.rounds is not None and args.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return args


def write(records: dict[str, report.Record]) -> None:
    """Puts these records over those of earlier calls, and both files in order."""
    kept = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
    kept |= records
    ordered = {name: kept[name] for name in TASKS if name in kept}
    RECORDS.write_text(json.dumps(ordered) + "\n")
    RESULTS.write_text(report.document(ordered))


def main() -> int:
    """Status 1 if a contender could not be measured, or, with `--gate`, if a target was missed."""
    args = arguments()
    records = {}
    for name in args.tasks or TASKS:
        task = TASKS[name]
        rounds = args.rounds or (FRESH_ROUNDS if task.fresh else ROUNDS)
        records[name] = measure(task, rounds, lambda line: print(line, file=sys.stderr))
        print(report.section(task, records[name]), flush=True)
        if args.write:
            write({name: records[name]})
    missed = [line for name, record in records.items() for line in report.misses(TASKS[name], record)]
    print("Missed:\n" + "\n".join(f"- {line}" for line in missed) if missed else "Every target was met.")
    failed = any(record["failures"] for record in records.values())
    return int(failed or (args.gate and bool(missed)))


if __name__ == "__main__":
    sys.exit(main())
