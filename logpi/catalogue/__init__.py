"""Lists of what there is: environments, presets, algorithms, estimators, and the runs below a folder.

Each is a list of rows in plain values, made from what the library itself goes by.
"""

from collections.abc import Callable
from typing import Any

from .found_runs import runs as runs
from .registries import algorithms as algorithms
from .registries import environments as environments
from .registries import estimators as estimators
from .registries import presets as presets

LISTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "envs": environments, "presets": presets, "algorithms": algorithms, "estimators": estimators, "runs": runs,
}  # fmt: skip


def matching(rows: list[dict[str, Any]], word: str) -> list[dict[str, Any]]:
    """The rows that have a word in one of their texts, whatever its case."""
    return [row for row in rows if any(word.lower() in str(value).lower() for value in row.values())]
