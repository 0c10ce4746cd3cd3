"""`python -m benchmarks.learning [TASK ...] [--seeds 10] [--jobs 2]`: trains, and writes the table."""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from logpi.envs import resolve

from .table import write_table
from .tasks import TASKS, train_seeds

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
    # Processes of one core each: they share nothing, and none waits for another.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, context, max_tasks_per_child=1) as pool:
        work = [pool.submit(train_seeds, *item) for item in _work(names, seeds)]
        for future in concurrent.futures.as_completed(work):
            name, rows = future.result()
            for row in rows:
                _record(name, row)
                shown = {key: row[key] for key in ("seed", "training", "stochastic", "deterministic", "train_seconds")}
                print(name, json.dumps(shown), flush=True)


def _work(names: list[str], seeds: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What each process does: all seeds where the environment is compiled, because they share a program; else one."""
    for task in (task for task in TASKS if task.name in names):
        if resolve(task.env).compiled:
            yield task.name, tuple(range(seeds))
        else:
            yield from ((task.name, (seed,)) for seed in range(seeds))


if __name__ == "__main__":
    sys.exit(main())
