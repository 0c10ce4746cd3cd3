"""Checkpoints: all of a training under way, in folders that are there whole or not at all.

`checkpoints/00000128/` holds `state.safetensors`, and `manifest.json` with its checksum, the run that it is of, and how
far the rows of metrics had come. It is written under another name, synced, and renamed. What is damaged, or another
run's, is named and passed over for the one before it. What a training keeps of its experience is beside them, in
segments that their manifests name: see `segments`.
"""

import contextlib
import dataclasses
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

from ..._version import __version__
from ...errors import InputError, shown
from ..arrays import arrays_limit, load_arrays, write_arrays
from ..files import beside, read_json, removed, sync_folder, write_and_sync
from ..folder import HeldFolder
from ..metrics import Mark
from ..options import Every
from .segments import drop_unused, file_damage, Kept, Segment, SEGMENTS, segments_in, sha256_of

SCHEMA = 3
KEPT = 3  # the newest
LIMIT = 2**26  # bytes of a manifest, which names the segments of every seed
FOLDER = "checkpoints"
STATE, MANIFEST = "state.safetensors", "manifest.json"
_NAME = re.compile(r"\d{8,12}")
_ASIDE = re.compile(r"\.(?:old-)?(\d{8,12})(?!\d)")


class Checkpoints:
    """The checkpoints of a run folder, written when they are due. Without a folder, none."""

    def __init__(
        self, held: HeldFolder | None, run_id: str, every: Every, warn: Callable[[str], None], kept: Kept | None = None
    ):
        self._held, self._run_id, self._every, self._warn, self._kept = held, run_id, every, warn, kept
        self._time, self._iteration = time.monotonic(), 0
        self.seconds = 0.0  # spent in writing

    def started(self, iteration: int) -> None:
        """From here on they are counted."""
        self._time, self._iteration = time.monotonic(), iteration

    def room(self, iteration: int) -> int:
        """How many updates may be done before the next is due."""
        return self._iteration + self._every.updates - iteration

    def due(self, iteration: int) -> bool:
        """Whether one is."""
        return self.room(iteration) <= 0 or time.monotonic() - self._time >= self._every.seconds

    def write(self, states: PyTree, iteration: int, mark: Mark, buffers: Sequence[PyTree] = ()) -> None:
        """Writes one, with experience where there are buffers of it.

        Where that cannot be done, warns, and training goes on with those there are.
        """
        self._time, self._iteration, started = time.monotonic(), iteration, time.perf_counter()
        if self._held is None:
            return
        folder = self._held.path / FOLDER
        try:
            self._held.check()
            write_checkpoint(
                folder, states, iteration, run_id=self._run_id, mark=mark, kept=self._kept, buffers=buffers
            )
        except OSError as error:
            self._warn(
                f"the checkpoint of update {iteration:,} could not be written to {folder} ({error.strerror}); "
                "those before it are whole, and training goes on: make room."
            )
        self.seconds += time.perf_counter() - started


def write_checkpoint(
    folder: Path,
    states: PyTree,
    iteration: int,
    *,
    run_id: str = "",
    mark: Mark | None = None,
    kept: Kept | None = None,
    buffers: Sequence[PyTree] = (),
) -> Path:
    """Writes a checkpoint, with what is `kept` of these buffers of experience; and removes all but the newest.

    Raises `OSError` where it cannot.
    """
    folder.mkdir(exist_ok=True)
    path = folder / f"{iteration:08d}"
    if path.exists() and not damage(path, run_id=run_id) and (not buffers or segments_in(_manifest(path))):
        return path  # the same update of the same run is the same state
    temporary = beside(folder / "new")
    temporary.mkdir()
    try:
        experience = _segments(folder, kept, buffers)
        write_arrays(temporary / STATE, states)
        manifest = {
            "schema": SCHEMA, "logpi": __version__, "run": run_id, "iteration": iteration,
            "rows": None if mark is None else mark.as_dict(),
            "files": {STATE: {"sha256": sha256_of(temporary / STATE), "bytes": (temporary / STATE).stat().st_size}},
            "experience": [[dataclasses.astuple(segment) for segment in of_seed] for of_seed in experience],
        }  # fmt: skip
        write_and_sync(temporary / MANIFEST, json.dumps(manifest).encode())
        sync_folder(temporary)
        if os.path.lexists(path):  # damaged, another run's, or it would not be written again
            path.rename(beside(path))
        temporary.rename(path)
        sync_folder(folder)
        if kept and buffers:
            kept.hold(experience)
    finally:
        with contextlib.suppress(OSError):
            removed(temporary)
        put_in_order(folder)
        _prune(folder)
    return path


def _segments(folder: Path, kept: Kept | None, buffers: Sequence[PyTree]) -> list[list[Segment]]:
    """That hold the experience; where it is gone, those that held it last."""
    if kept is None:
        return []
    return kept.write(folder / SEGMENTS, buffers) if buffers else kept.segments


def _manifest(path: Path) -> Any:
    """What a checkpoint says of itself; nothing where that cannot be read."""
    try:
        return read_json(path / MANIFEST, LIMIT)
    except (InputError, OSError):
        return {}


def put_in_order(folder: Path) -> None:
    """After a write that failed, or a process that was killed: what stands aside is put back, or removed if not whole.

    A checkpoint that is written a second time stands aside for a moment, and there may be no other.
    """
    if folder.is_symlink() or not folder.is_dir():
        return
    for hidden in [path for path in folder.iterdir() if path.name.startswith(".")]:
        number = _ASIDE.match(hidden.name)
        path = None if number is None else folder / number[1]
        with contextlib.suppress(OSError):
            if path is not None and not os.path.lexists(path) and not damage(hidden, number=int(path.name)):
                hidden.rename(path)
            else:
                removed(hidden)


def _prune(folder: Path) -> None:
    """Keeps the newest; hides a folder before it is emptied, so that none is ever seen half empty."""
    for path in listed(folder)[KEPT:]:
        hidden = beside(path)
        path.rename(hidden)
        with contextlib.suppress(OSError):
            removed(hidden)
    with contextlib.suppress(InputError, OSError):  # of one that cannot be read now, nobody knows what it names
        manifests = [read_json(path / MANIFEST, LIMIT) for path in listed(folder)]
        drop_unused(folder / SEGMENTS, {s.name for each in manifests for of_seed in segments_in(each) for s in of_seed})


def listed(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first, whole or not. Links are none: they may lead out of the folder."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if _NAME.fullmatch(p.name) and not p.is_symlink()), reverse=True)


def damage(path: Path, most: int | None = None, *, run_id: str | None = None, number: int | None = None) -> str:
    """What is wrong with a checkpoint, in a few words; empty if it is whole.

    `most`: bytes that its state may have. `run_id`: the run that it must be of. `number`: its update, where its name
    does not tell it.
    """
    try:
        return _damage(path, most, run_id, int(path.name) if number is None else number)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def _damage(path: Path, most: int | None, run_id: str | None, number: int) -> str:
    try:
        manifest = read_json(path / MANIFEST, LIMIT)
    except InputError:
        return "its manifest is missing, a link, too large or no JSON"
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        found = manifest.get("schema") if isinstance(manifest, dict) else None
        return f"its schema is {shown(found)}, and this logpi reads {SCHEMA}"
    if manifest.get("iteration") != number:
        return f"it is of update {shown(manifest.get('iteration'))}, as its manifest says"
    if run_id is not None and manifest.get("run", "") != run_id:
        return f"it is of another run ({shown(manifest.get('run'))})"
    said = manifest.get("files", {}).get(STATE) if isinstance(manifest.get("files"), dict) else None
    if not isinstance(said, dict):
        return f"it has no {STATE}"
    return file_damage(path / STATE, said.get("bytes"), said.get("sha256"), most)


def segments_of(path: Path) -> list[list[Segment]]:
    """The segments that a checkpoint's experience is in, for each seed; none where it has none."""
    return segments_in(_manifest(path))


def mark_of(path: Path) -> Mark | None:
    """How far the rows had come at a checkpoint; `None` where its manifest does not say it."""
    return Mark.parse(read_json(path / MANIFEST, LIMIT).get("rows"))


def load_newest(
    folder: Path, skeleton: PyTree, warn: Callable[[str], None], run_id: str | None = None
) -> tuple[Any, Path] | None:
    """The states of the newest checkpoint that is whole and fits, and its folder; `None` if there is none.

    Those passed over are named by `warn`. Raises `InputError` where there are some and none is left.
    """
    reasons, most = [], arrays_limit(skeleton)
    for path in listed(folder / FOLDER):
        reason = damage(path, most, run_id=run_id)
        if not reason:
            try:
                return load_arrays(path / STATE, skeleton), path
            except InputError as error:
                reason = str(error)
        reasons.append(f"{path} is passed over: {reason}.")
        warn(reasons[-1])
    if not reasons:
        return None
    raise InputError(f"{folder} has no good checkpoint left ({reasons[0][:-1]}): train it again with --overwrite.")
