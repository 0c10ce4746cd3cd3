"""Everything that is needed to do a run again: its command, settings, versions, hardware and times."""

import json
import re
from typing import Any

from ...training.presets import algorithm_name, preset
from ...training.storage import to_json
from ..charts import NONE
from ..folders import Told

_CHANGED = "; changed: "


def command(told: Told) -> str | None:
    """The command line that makes the same training; `None` where Python made it with settings of its own."""
    run = told.run
    if run.model != "network" or run.environment is not None:
        return None
    base = preset(run.env, algorithm_name(run.settings.algorithm))
    if run.settings != base and not run.settings.source.startswith(base.source + _CHANGED):
        return None
    words = ["logpi train", run.env, f"--algorithm {algorithm_name(run.settings.algorithm)}"]
    mine: Any = run.settings.algorithm
    theirs: Any = base.algorithm
    if type(mine.credit) is not type(theirs.credit):
        words.append("--credit " + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(mine.credit).__name__).lower())
    if run.settings.source != base.source:
        words.append(run.settings.source.partition(_CHANGED)[2])
    if tuple(range(run.seeds[0], run.seeds[0] + len(run.seeds))) != run.seeds:
        return None
    words.append(f"--seed {run.seeds[0]} --seeds {len(run.seeds)}")
    return " ".join(words)


def facts(told: Told) -> list[tuple[str, list[tuple[str, str]]]]:
    """Names and values in groups: where it ran, how long it took, and every setting."""
    run, summary = told.run, told.run.summary
    settings = run.settings
    did = [
        ("environment", run.env),
        ("seeds", ", ".join(map(str, run.seeds))),
        ("steps of each seed", f"{told.steps:,} of {settings.num_updates * settings.steps_per_rollout:,}"),
        ("rollout", f"{settings.num_envs} environments, {settings.rollout_length} steps each"),
        ("status", told.status),
    ]
    seconds = [
        (words, _seconds(summary.get(key)))
        for key, words in (
            ("compile_seconds", "start and compiling"), ("train_seconds", "training"),
            ("checkpoint_seconds", "of that, writing checkpoints"),
        )
        if key in summary
    ]  # fmt: skip
    if isinstance(summary.get("steps_per_second"), int | float):
        seconds.append(("speed", f"{summary['steps_per_second']:,.0f} agent steps a second, all seeds"))
    versions = [(name, str(value)) for name, value in run.versions.items()]
    settings_rows = [(name, _value(value)) for name, value in _flat(to_json(settings))]
    return [("Run", did), ("Time", seconds), ("Versions and hardware", versions), ("Settings", settings_rows)]


def _seconds(value: Any) -> str:
    if not isinstance(value, int | float):
        return NONE
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def _flat(tree: Any, before: str = "") -> list[tuple[str, Any]]:
    """The leaves of nested dictionaries, with dotted names."""
    if not isinstance(tree, dict):
        return [(before, tree)]
    return [
        leaf
        for name, part in tree.items()
        for leaf in _flat(part, before if name == "kind" and before else f"{before}.{name}".strip("."))
    ]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
