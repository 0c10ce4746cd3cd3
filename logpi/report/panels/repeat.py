"""Everything that is needed to do a run again: its command, settings, versions, hardware and times."""

import json
import shlex
from typing import Any

from ...errors import InputError
from ...progress.console import warm_start_line
from ...runs.config import own_env
from ...runs.schema import own_parts, to_json
from ..charts import NONE
from ..folders import Told


def command(told: Told) -> str | None:
    """The command line that makes the same training again; `None` where there is no folder, or Python made it.

    It names the folder, which has every setting: nothing that a file says is put into words that somebody may run.
    """
    if told.folder is None or told.run.model != "network" or not told.run.named or own_parts(told.run.settings):
        return None
    if (warm := told.run.settings.warm_start) is not None and not warm.has_name:
        return None
    try:
        own_env(told.run.named.name)
    except InputError:
        return None
    return f"logpi train --from {shlex.quote(str(told.folder))}"


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
    if run.warm_started:
        did.append(("warm start", warm_start_line(run.warm_started).partition(": ")[2]))
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
