"""A run as a report sees it: its columns of numbers, its times, and how far it came."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import check_path, InputError, printable
from ..runs.files import read_json
from ..runs.journals import read_times
from ..runs.metrics import as_columns, read_rows, real_columns
from ..runs.run import load, read_config, Run, status
from ..runs.schema import name_of_kind

Column = Float[np.ndarray, " _"]  # of a seed: each may have come to another number of rows


@dataclasses.dataclass(frozen=True)
class Told:
    """One run: what it was to do, and all that it tells."""

    name: str
    run: Run  # with models where they could be read
    columns: dict[int, dict[str, Column]]  # of each seed: NaN where a row has no number
    times: tuple[Column, Column]  # iterations done, and the seconds of training that they took; empty if not kept
    status: str  # complete, ended early, interrupted, stopped, running, unfinished
    folder: Path | None = None
    evaluation: dict[str, Any] | None = None
    fault: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()  # what could not be read
    index: int = 0  # its place among the runs of the report, which is its colour
    found: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)  # what was made of its columns already

    @property
    def steps(self) -> int:
        """The agent steps that every seed has done."""
        return int(min((c["steps"][-1] for c in self.columns.values() if len(c["steps"])), default=0))

    @property
    def algorithm(self) -> str:
        """Its name as in papers."""
        return name_of_kind(self.run.settings.algorithm)

    @property
    def empty(self) -> bool:
        """Whether there is a seed without a single row."""
        return any(not len(columns["steps"]) for columns in self.columns.values())


def tell(subject: Run | str | Path, index: int = 0) -> Told:
    """A run, or the folder of one, complete or not.

    Raises `InputError` where there is none, or its configuration or rows are damaged. What is missing beside them is
    named in `notes`.
    """
    if isinstance(subject, Run):
        nothing = np.zeros(0)
        columns = _columns(subject, subject.history, "The run")
        return Told(subject.env, subject, columns, (nothing, nothing), status(subject, None), index=index)
    folder = check_path("a run", subject)
    config, notes = read_config(folder), []
    fault = _optional(folder / "fault.json", notes)
    found = status(config, folder, stopped=fault is not None)
    run = _with_models(folder, config, notes) if config.summary and found != "running" else config
    rows = run.history or read_rows(folder)
    times, evaluation = _times(folder, notes), _optional(folder / "evaluation.json", notes)
    columns = _columns(config, rows, str(folder))
    run = dataclasses.replace(run, history=[])  # the columns say it in a tenth of the memory
    name = printable(folder.resolve().name)
    return Told(name, run, columns, times, found, folder, evaluation, fault, tuple(notes), index)


def with_names(told: list[Told]) -> list[Told]:
    """The runs with the shortest names that tell them apart: algorithm, environment, folder, number."""
    forms = (
        lambda t: t.algorithm,
        lambda t: f"{t.algorithm} on {t.run.env}",
        lambda t: t.name,
        lambda t: f"{t.name} ({t.index + 1})",
    )
    names = next(n for form in forms if len(set(n := [form(t) for t in told])) == len(told))
    return [dataclasses.replace(t, name=name) for t, name in zip(told, names, strict=True)]


def _with_models(folder: Path, config: Run, notes: list[str]) -> Run:
    """With policies and history, where its policies can be read; without either, where they cannot."""
    try:
        return load(folder)
    except InputError as error:
        notes.append(str(error))
        return config


def _optional(path: Path, notes: list[str]) -> dict[str, Any] | None:
    """A file of JSON that may be missing; a damaged one is named."""
    if not path.exists():
        return None
    try:
        found = read_json(path)
    except InputError as error:
        notes.append(str(error))
        return None
    if isinstance(found, dict):
        return found
    notes.append(f"{path} holds {json.dumps(found)[:40]}, which is not what belongs there.")
    return None


def _times(folder: Path, notes: list[str]) -> tuple[Column, Column]:
    try:
        lines = read_times(folder)
    except InputError as error:
        notes.append(str(error))
        lines = []
    iterations, seconds = (np.array([line[key] for line in lines], np.float64) for key in ("iteration", "seconds"))
    return iterations, seconds


def _columns(run: Run, rows: Sequence[dict[str, Any]], where: str) -> dict[int, dict[str, Column]]:
    """Raises `InputError` for what is no number, and for steps that do not grow."""
    names = ("steps", "iteration", "episodes", "dropped", *(m.name for m in real_columns(run.measurements)))
    try:
        columns = as_columns(run.seeds, rows, names)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} has a row that is not of numbers ({error}): the run folder is damaged.") from None
    for seed, each in columns.items():
        if (np.diff(each["steps"]) < 0).any() or (each["steps"] < 0).any():
            raise InputError(f"{where} has steps of seed {seed} that fall: the run folder is damaged.")
    return columns
