"""The table of what was learned, misses first."""

import datetime
import json
from pathlib import Path

import numpy as np

from logpi.statistics.intervals import iqm_interval

HEAD = """# What logpi learns

Made by `python -m benchmarks.learning`. Every number is over seeds, one policy each: the interquartile mean with its
95 % bootstrap interval, and in brackets the least and the greatest seed. *Stochastic* and *deterministic* are fresh
episodes, 100 a seed, of the policy as it was trained and by its modes; *training* is the mean of the last 100 or more
episodes of training, which is what CleanRL reports. Steps are agent steps. Settings are the environments' presets
(`logpi/runs/presets.py`); the MuJoCo ones are CleanRL's.

| task | bar | met | stochastic | deterministic | training | seeds | steps | s a seed | published |
|---|---|---|---|---|---|---|---|---|---|
"""


def _shown(values: list[float]) -> str:
    interval = iqm_interval(np.array(values))
    return f"{interval} ({min(values):.1f} to {max(values):.1f})"


def _line(task, rows: list[dict]) -> tuple[bool, str]:
    key = "stochastic" if task.metric == "evaluation" else "training"
    values = [row[key] for row in rows]
    reached = sum(task.reached(value) for value in values)
    met = reached == len(values) if task.every_seed else task.reached(iqm_interval(np.array(values)).value)
    sign = "<=" if task.at_most else ">="
    bar = f"{key} {sign} {task.bar:g} " + ("on every seed" if task.every_seed else "(IQM)")
    cells = [
        task.name, bar, f"{'yes' if met else '**no**'}, {reached} of {len(values)}",
        *(_shown([row[name] for row in rows]) for name in ("stochastic", "deterministic", "training")),
        str(len(rows)), f"{np.mean([row['steps'] for row in rows]):,.0f}",
        f"{np.mean([row['train_seconds'] for row in rows]):.0f}", task.published,
    ]  # fmt: skip
    return met, "| " + " | ".join(cells) + " |"


def write_table(path: Path, files: dict[str, Path]) -> str:
    """Writes the table of all tasks that have been measured, and returns it."""
    from .tasks import TASKS

    lines, versions = [], {}
    for task in TASKS:
        if files[task.name].exists():
            rows = json.loads(files[task.name].read_text())
            lines.append(_line(task, rows))
            versions = rows[0]["versions"]
    body = "\n".join(line for _, line in sorted(lines, key=lambda pair: pair[0]))
    facts = ", ".join(f"{name} {value}" for name, value in versions.items())
    text = f"{HEAD}{body}\n\n{datetime.date.today()}; {facts}; a process a seed, two side by side.\n"
    path.write_text(text)
    return text
