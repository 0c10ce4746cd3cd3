"""From records to text: for each task a table of contenders and a table of ratios, misses before everything else."""

import statistics
from collections.abc import Sequence
from typing import Any

from .tasks import SOLVED_RETURN, Target, Task, TASKS

Record = dict[str, Any]


def ratios(task: Task, record: Record, target: Target) -> list[float]:
    """Ours over theirs within each round, so that a machine that slows down between rounds moves no ratio.

    None where one of the two could not be measured.
    """
    ours, theirs = (record["measurements"].get(name, []) for name in (target.ours, target.theirs))
    quantity = target.other or task.quantity
    return [a[quantity] / b[quantity] for a, b in zip(ours, theirs, strict=False)]


def is_met(task: Task, record: Record, target: Target) -> bool:
    """Whether the median ratio keeps the bound, and every run of ours solved its task where there is one to solve."""
    found = ratios(task, record, target)
    return bool(found) and task.met(target, statistics.median(found)) and not unsolved(record, target.ours)


def unsolved(record: Record, contender: str) -> int:
    """How many runs of a contender were evaluated below the return that counts as solved."""
    returns = [answer.get("return_mean", SOLVED_RETURN) for answer in record["measurements"].get(contender, [])]
    return sum(value < SOLVED_RETURN for value in returns)


def misses(task: Task, record: Record) -> list[str]:
    """One line for each target that was not met, with its ratio or why there is none."""
    missed = [target for target in task.targets if not is_met(task, record, target)]
    return [f"{task.name}: {_ratio_in_words(task, record, target)}" for target in missed]


def section(task: Task, record: Record) -> str:
    """A task in Markdown, which reads as plain text too."""
    parts = [f"## {task.name}\n\n{task.title}."]
    if record["measurements"]:
        parts += [_contender_table(task, record), _target_table(task, record), _foot(record)]
    parts += [f"{name} failed: `{reason}`" for name, reason in record["failures"].items()]
    return "\n\n".join(parts) + "\n"


def document(records: dict[str, Record]) -> str:
    """All of `results.md`."""
    known = [(task, records[name]) for name, task in TASKS.items() if name in records]
    missed = [line for task, record in known for line in misses(task, record)]
    absent = [f"{name}: not measured" for name in TASKS if name not in records]
    head = "# Speed, measured against peers in alternation\n\nWritten by `python -m benchmarks.speed --write`.\n"
    listed = "\n".join(f"- {line}" for line in missed + absent) or "- none"
    return "\n".join([head, f"## Missed\n\n{listed}\n", *(section(task, record) for task, record in known)])


def _ratio_in_words(task: Task, record: Record, target: Target) -> str:
    found, text = ratios(task, record, target), _name(target)
    if not found:
        return f"{text} was not measured, wanted {_bound(task, target)}"
    spread = f"{statistics.median(found):.2f} [{min(found):.2f}, {max(found):.2f}]"
    failed = unsolved(record, target.ours)
    below = f"; {failed} of {len(found)} runs below a return of {SOLVED_RETURN:g}" if failed else ""
    return f"{text} = {spread}, wanted {_bound(task, target)}{below}"


def _name(target: Target) -> str:
    return f"{target.ours} / {target.theirs}" + (f", {target.other.replace('_', ' ')}" if target.other else "")


def _bound(task: Task, target: Target) -> str:
    return f"{'>=' if task.at_least(target) else '<='} {target.bound:g}"


def _contender_table(task: Task, record: Record) -> str:
    unit = "steps/s" if task.higher_is_better else "seconds"
    rows = [("contender", f"median {unit}", "min", "max", "compile/warm-up s", "notes")]
    for name, answers in record["measurements"].items():
        values = [answer[task.quantity] for answer in answers]
        numbers = [_number(x) for x in (statistics.median(values), min(values), max(values))]
        compiling = [answer["compile_seconds"] for answer in answers if "compile_seconds" in answer]
        compiled = f"{statistics.median(compiling):.1f}" if compiling else "-"
        rows.append((name, *numbers, compiled, _notes(answers)))
    return table(rows)


def _notes(answers: Sequence[Record]) -> str:
    """What a contender said beyond the numbers of the table, of its last call."""
    last, returns = answers[-1], [answer["return_mean"] for answer in answers if answer.get("return_mean") is not None]
    shown = ("vec_env", "torch_threads", "environment_alone", "update_alone", "other_seconds")
    notes = [f"{key.replace('_', ' ')} {last[key]}" for key in shown if key in last]
    memory = [answer["peak_memory"] for answer in answers if "peak_memory" in answer]
    notes += [f"peak memory {statistics.median(memory):.0f} MB"] if memory else []
    return ", ".join(notes + ([f"returns {min(returns):.0f} to {max(returns):.0f}"] if returns else []))


def _target_table(task: Task, record: Record) -> str:
    rows = [("ratio", "median", "min", "max", "wanted", "")]
    for target in task.targets:
        found = ratios(task, record, target)
        numbers = [f"{x:.2f}" for x in (statistics.median(found), min(found), max(found))] if found else ["-"] * 3
        verdict = "met" if is_met(task, record, target) else "MISSED"
        rows.append((_name(target), *numbers, _bound(task, target), verdict))
    return table(rows)


def _foot(record: Record) -> str:
    machine, rounds = record["hardware"], len(next(iter(record["measurements"].values())))
    seen = [answers[-1].get("versions", {}) for answers in record["measurements"].values()]
    versions = sorted({f"{name} {version}" for found in seen for name, version in found.items()})
    where = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, load before {machine['load_before']}"
    )
    quick = "; quick, so short runs" if record["quick"] else ""
    return f"{record['date']}; rounds: {rounds}{quick}; {where}; {', '.join(versions)}."


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as a table of Markdown, its columns aligned; the first row is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
