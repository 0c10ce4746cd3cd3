"""A run in a terminal: what it is, its settings, its curve, its evaluation, and what is worth knowing of it."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import printable
from ..progress.console import warm_start_line
from ..progress.terminal_curve import HEIGHT, learning_curve
from ..runs.metrics import read_rows
from ..runs.run import Run
from ..runs.schema import to_json
from .findings import findings
from .folders import tell, Told

NARROWEST = 20  # characters of a curve
WIDEST = 100


def summary(subject: Run | str | Path, width: int = 80, *, ascii: bool = False) -> str:
    """A run, or the folder of one, as text of at most `width` characters a line; words are not cut.

    With `ascii` without the characters that some terminals lack. Raises `InputError` where there is no run, or a
    damaged one.
    """
    told = tell(subject)
    history = subject.history if isinstance(subject, Run) else read_rows(Path(subject))
    parts = [
        _head(told),
        _settings(told),
        [_curve(history, min(width, WIDEST), ascii)],
        _evaluation(told),
        [f"{finding.level}: {finding.text}" for finding in findings(told)],
        [f"warning: {printable(note)}" for note in told.notes],
    ]
    return "\n\n".join("\n".join(_wrapped(line, width) for line in part) for part in parts if any(part))


def as_dict(folder: str | Path) -> dict[str, Any]:
    """The same in plain values: what `logpi show --json` prints."""
    told = tell(folder)
    return {
        "env": told.run.env,
        "algorithm": told.algorithm,
        "seeds": list(told.run.seeds),
        "status": told.status,
        "steps": told.steps,
        "settings": to_json(told.run.settings),
        "summary": told.run.summary,
        "evaluation": told.evaluation,
        "findings": [{"level": finding.level, "text": finding.text} for finding in findings(told)],
        "notes": list(told.notes),
    }


def _wrapped(line: str, width: int) -> str:
    """A line over several, the later ones further in; a drawing as it is."""
    if "\n" in line or len(line) <= width:
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(
        line, max(width, NARROWEST), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _head(told: Told) -> list[str]:
    run, settings = told.run, told.run.settings
    seeds = f"seed {run.seeds[0]}" if len(run.seeds) == 1 else f"{len(run.seeds)} seeds"
    wanted = settings.num_updates * settings.steps_per_rollout
    far = "" if told.status == "complete" else f" of {wanted:,}"
    first = f"{told.algorithm} on {run.env}, {seeds}: {told.status}, {told.steps:,}{far} steps"
    lines = [f"{told.name}: {first}" if told.folder else first]
    seconds, speed = run.summary.get("train_seconds"), run.summary.get("steps_per_second")
    if isinstance(seconds, int | float) and isinstance(speed, int | float):
        lines.append(f"  trained in {seconds:,.1f} s, at {speed:,.0f} steps/s")
    lines += [f"  {warm_start_line(run.warm_started)}"] if run.warm_started else []
    named = ", ".join(f"{name} {run.versions[name]}" for name in ("logpi", "jax", "device") if name in run.versions)
    return [printable(line) for line in [*lines, f"  {named}" if named else ""] if line]


def _settings(told: Told) -> list[str]:
    """A line for each object, with its plain values."""
    data = to_json(told.run.settings)
    return [printable(f"settings: {data['source']}"), *(printable(f"  {line}") for line in _objects(data, "Settings"))]


def _objects(data: dict[str, Any], name: str) -> Iterator[str]:
    plain = {key: value for key, value in data.items() if not isinstance(value, dict)}
    values = (f"{key} {_value(value)}" for key, value in plain.items() if key not in ("kind", "source"))
    yield ": ".join(filter(None, (str(data.get("kind", name)), ", ".join(values))))
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _objects(value, key)


def _value(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _curve(history: Any, width: int, ascii: bool) -> str:
    """The learning curve within a width, whatever its labels take; nothing where there is no room or no curve."""
    within = width
    while within >= NARROWEST:
        drawn = learning_curve(history, within, HEIGHT, ascii)
        too_wide = max(map(len, drawn.splitlines()), default=0) - width
        if too_wide <= 0:
            return drawn
        within -= too_wide
    return ""


def _evaluation(told: Told) -> list[str]:
    found, folder = told.evaluation, told.folder
    if folder is None:
        return []
    if found is None:
        return [f"not evaluated: logpi evaluate {folder}"]
    try:
        count = "1 episode" if found["episodes"] == 1 else f"{found['episodes']:,} episodes"
        each = " a seed" if len(found["by_seed"]) > 1 else ""
        how = "likeliest actions" if found["deterministic"] else "actions drawn as in training"
        lines = [f"evaluation: return {_interval(found['mean'])}, {count}{each}, {how}"]
        if each:
            lines += [f"  interquartile mean of the seeds {_interval(found['iqm'])}"]
            lines += [f"  seed {seed}: {_interval(interval)}" for seed, interval in found["by_seed"].items()]
    except (AttributeError, KeyError, TypeError, ValueError):
        return [f"warning: {folder / 'evaluation.json'} is not what belongs there: evaluate the run again."]
    return [printable(line) for line in lines]


def _interval(found: dict[str, Any]) -> str:
    value, low, high = (found[name] for name in ("value", "low", "high"))
    bounds = f" [{low:.1f}, {high:.1f}]" if isinstance(low, int | float) else ""
    return f"{value:.1f}{bounds}"
