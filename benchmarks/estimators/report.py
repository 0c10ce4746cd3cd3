"""From records to text: for each task its contenders and its ratios, misses before everything else."""

import statistics
from typing import Any

from benchmarks.speed.report import table

from .tasks import Target, Task, TASKS

Record = dict[str, Any]


def misses(task: Task, record: Record) -> list[str]:
    """One line for each target that was not met, with its ratio or why there is none."""
    lines = [f"{task.name}: {name} failed: {reason}" for name, reason in record["failures"].items()]
    for target in task.targets:
        if target.bound is not None and not target.is_met(record["measurements"]):
            median, low, high = _spread(target.ratios(record["measurements"]))
            lines.append(f"{task.name}: {target.name} = {median} [{low}, {high}], wanted <= {target.bound:g}")
    return lines


def section(task: Task, record: Record) -> str:
    """A task in Markdown, which reads as plain text too."""
    parts = [f"## {task.name}\n\n{task.title}.", _contender_table(task, record), _target_table(task, record)]
    if task.fresh and not record["failures"]:
        parts.append("Nothing was compiled again for another number of samples.")
    parts += [f"{name} failed: `{reason}`" for name, reason in record["failures"].items()]
    return "\n\n".join([*parts, _foot(record)]) + "\n"


def document(records: dict[str, Record]) -> str:
    """All of `results.md`."""
    known = [(task, records[name]) for name, task in TASKS.items() if name in records]
    missed = [line for task, record in known for line in misses(task, record)]
    absent = [f"{name}: not measured" for name in TASKS if name not in records]
    head = (
        "# Gradients with errors: what they cost\n\nWritten by `python -m benchmarks.estimators --write`. Contenders "
        "alternate, each in a process of its\nown, ten calls at a time. The first of the ten finds the caches as "
        "another contender has left them; `median ms` and\nthe ratios without `first` are of the others. Ratios are "
        "taken within rounds, and given as median [lower quartile,\nupper quartile].\n"
    )
    listed = "\n".join(f"- {line}" for line in missed + absent) or "- none"
    return "\n".join([head, f"## Missed\n\n{listed}\n", *(section(task, record) for task, record in known)])


def _contender_table(task: Task, record: Record) -> str:
    rows = [("contender", "median ms", "quartiles", "least", "first ms", "ready s", "peak MiB", "what it does")]
    for contender in task.contenders:
        answers = record["measurements"].get(contender.name)
        if answers:
            times = [1000 * answer["seconds"] for answer in answers]
            low, median, high = _quartiles(times)
            ready, memory = record["ready_seconds"][contender.name], max(answer["peak_mib"] for answer in answers)
            first = statistics.median(1000 * answer["first_seconds"] for answer in answers)
            spread = (_short(median), f"{_short(low)} to {_short(high)}", _short(min(times)))
            numbers = (*spread, _short(first), f"{ready:.1f}")
            rows.append((contender.name, *numbers, f"{memory:,.0f}", contender.note))
    return table(rows)


def _target_table(task: Task, record: Record) -> str:
    rows = [("ratio", "median", "quartiles", "wanted", "")]
    for target in task.targets:
        median, low, high = _spread(target.ratios(record["measurements"]))
        rows.append((target.name, median, f"{low} to {high}", *_verdict(target, record)))
    return table(rows)


def _verdict(target: Target, record: Record) -> tuple[str, str]:
    if target.bound is None:
        return "", ""
    return f"<= {target.bound:g}", "met" if target.is_met(record["measurements"]) else "MISSED"


def _foot(record: Record) -> str:
    machine, rounds = record["hardware"], max(map(len, record["measurements"].values()), default=0)
    versions = ", ".join(f"{name} {version}" for name, version in sorted(record["versions"].items()))
    where = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, load before {machine['load_before']}"
    )
    return f"{record['date']}; rounds: {rounds}; {where}; {versions}."


def _spread(ratios: list[float]) -> tuple[str, str, str]:
    """Median, lower and upper quartile in words."""
    if not ratios:
        return "-", "-", "-"
    low, median, high = _quartiles(ratios)
    return _short(median), _short(low), _short(high)


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
