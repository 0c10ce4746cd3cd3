"""The runs in a folder and below it, as rows of plain values."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import check_path, InputError, printable
from ..runs.files import read_json
from ..runs.run import read_config, status
from ..runs.schema import name_of_kind

Row = dict[str, Any]
DEEPEST = 6  # folders below the one that runs are looked for in


def runs(folder: str | Path = ".") -> list[Row]:
    """Each run in a folder or below it: where, of what, how far it came, and what it earned when it was last evaluated.

    `return` is `None` without an evaluation. Of a folder that is damaged, `status` says so. Raises `InputError` where
    there is no folder.
    """
    folder = check_path("folder", folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give one that run folders are in, as runs.")
    return [_run(path) for path in sorted(_run_folders(folder))]


def _run_folders(folder: Path) -> Iterator[Path]:
    """Without hidden folders, and what is within a run."""
    for place, inside, files in os.walk(folder):
        deep = len(Path(place).relative_to(folder).parts)
        if "config.json" in files and {"metrics.jsonl", "checkpoints"} & {*files, *inside}:
            yield Path(place)
            inside.clear()
        inside[:] = [name for name in inside if not name.startswith(".")] if deep < DEEPEST else []


def _run(folder: Path) -> Row:
    row: Row = {"folder": printable(str(folder)), "env": "", "algorithm": "", "seeds": None, "steps": None}
    try:
        run = read_config(folder)
        found = status(run, folder, stopped=(folder / "fault.json").exists())
    except InputError as error:
        return row | {"status": printable(f"damaged: {error}"), "return": None}
    told = {"env": run.env, "algorithm": name_of_kind(run.settings.algorithm), "seeds": len(run.seeds)}
    return row | told | {"steps": run.summary.get("steps"), "status": found, "return": _earned(folder)}


def _earned(folder: Path) -> Row | None:
    """The mean of the last evaluation with its interval."""
    try:
        mean = read_json(folder / "evaluation.json")["mean"]
        return {name: float(mean[name]) for name in ("value", "low", "high")}
    except (InputError, KeyError, TypeError, ValueError):  # there is none, or it is not what belongs there
        return None
