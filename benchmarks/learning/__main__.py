"""`python -m benchmarks.learning [TASK ...] [--seeds 10] [--jobs 2]`: trains, and writes the table."""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import re
import sys
from pathlib import Path

from .table import write_table
from .tasks import TASKS, train_named

RESULTS = Path(__file__).parent / "results"


def _file(name: str) -> Path:
    return RESULTS / (re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-") + ".json")


def _record(name: str, row: dict) -> None:
    """Adds a seed's row to the task's file: what has been measured stays, whatever happens to the rest."""
    path = _file(name)
    rows = [r for r in json.loads(path.read_text()) if r["seed"] != row["seed"]] if path.exists() else []
    path.write_text(json.dumps(sorted([*rows, row], key=lambda r: r["seed"]), indent=1) + "\n")


def main() -> int:
    """Trains every task that is named (all, if none is) and writes `results.md` from all that has been measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    names = [task.name for task in TASKS]
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="; ".join(names))
    parser.add_argument("--seeds", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes side by side")
    parser.add_argument("--table", action="store_true", help="only write the table from what has been measured")
    arguments = parser.parse_args()
    unknown = set(arguments.tasks) - set(names)
    if unknown:
        parser.error(f"unknown task {', '.join(unknown)}; there are {', '.join(names)}")
    RESULTS.mkdir(exist_ok=True)
    if not arguments.table:
        _train(arguments.tasks or names, arguments.seeds, arguments.jobs)
    print(write_table(RESULTS.parent / "results.md", {task.name: _file(task.name) for task in TASKS}))
    return 0


def _train(names: list[str], seeds: int, jobs: int) -> None:
    # A process a seed, each on one core: they share nothing, and none waits for another.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    context = multiprocessing.get_context("spawn")
    work = [(name, seed) for name in names for seed in range(seeds)]
    with concurrent.futures.ProcessPoolExecutor(jobs, context, max_tasks_per_child=1) as pool:
        for future in concurrent.futures.as_completed([pool.submit(train_named, *item) for item in work]):
            name, row = future.result()
            _record(name, row)
            shown = {key: row[key] for key in ("seed", "training", "stochastic", "deterministic", "train_seconds")}
            print(name, json.dumps(shown), flush=True)


if __name__ == "__main__":
    sys.exit(main())
