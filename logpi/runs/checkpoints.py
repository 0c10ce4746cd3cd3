"""Checkpoints: all of a training under way, in folders that are there whole or not at all.

`checkpoints/00000128/` holds `state.safetensors`, and `manifest.json` with its checksum and the versions. It is written
under another name, synced, and renamed. What is damaged is named and passed over for the one before it. The last one of
a training that keeps experience holds `experience.safetensors` too.
"""

import dataclasses
import hashlib
import json
import math
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PyTree

from .._version import __version__
from ..errors import check_between, check_fields, check_whole, InputError, shown
from .arrays import arrays_limit, load_arrays, write_arrays
from .files import finite, MANIFEST_LIMIT, read_json, sync_folder, write_and_sync

SCHEMA = 3
KEPT = 3  # the newest; and the best
STATE, EXPERIENCE, MANIFEST = "state.safetensors", "experience.safetensors", "manifest.json"
_NAME = re.compile(r"\d{8,12}")


@dataclasses.dataclass(frozen=True)
class Every:
    """How often: after so many seconds, or so many updates. With neither, only at the end."""

    seconds: float = math.inf
    updates: int = 2**31

    def __post_init__(self):
        check_fields(self, check_whole, "updates", low=1, high=2**31)
        check_fields(self, check_between, "seconds", low=1e-3)

    @classmethod
    def parse(cls, text: "str | int | float | Every | None") -> "Every":
        """`"30s"`, `"5m"`, `500` (updates), or `None`. Raises `InputError` for anything else."""
        if isinstance(text, Every):
            return text
        if text is None or str(text).lower() in ("none", "off"):
            return Every()
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", str(text).strip())
        if found is None or float(found[1]) == 0 or (not found[2] and "." in found[1]):
            raise InputError(
                f"checkpoint-every is {text!r}, but it must be a time or a number of updates: give 30s, 5m or 500."
            )
        if not found[2]:
            return Every(updates=int(found[1]))
        return Every(seconds=float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]])


class Checkpoints:
    """The checkpoints of a run folder, written when they are due. Without a folder, none."""

    def __init__(self, folder: Path | None, every: Every, warn: Callable[[str], None]):
        self.folder = None if folder is None else folder / "checkpoints"
        self._every, self._warn = every, warn
        self._time, self._iteration = time.monotonic(), 0
        self.seconds = 0.0  # spent in writing

    def started(self, iteration: int) -> None:
        """From here on they are counted; what a killed process left half done is removed."""
        self._time, self._iteration = time.monotonic(), iteration
        if self.folder is not None and self.folder.is_dir() and not self.folder.is_symlink():
            for left in self.folder.glob(".*"):
                shutil.rmtree(left, ignore_errors=True)

    def room(self, iteration: int) -> int:
        """How many updates may be done before the next is due."""
        return self._iteration + self._every.updates - iteration

    def due(self, iteration: int) -> bool:
        """Whether one is."""
        return self.room(iteration) <= 0 or time.monotonic() - self._time >= self._every.seconds

    def write(self, states: PyTree, iteration: int, score: float | None, experience: PyTree = None) -> None:
        """Writes one; where that cannot be done, warns, and training goes on with those there are."""
        self._time, self._iteration, started = time.monotonic(), iteration, time.perf_counter()
        if self.folder is None:
            return
        try:
            write_checkpoint(self.folder, states, iteration, score, experience)
        except OSError as error:
            self._warn(
                f"the checkpoint of update {iteration:,} could not be written to {self.folder} ({error.strerror}); "
                "those before it are whole, and training goes on: make room."
            )
        self.seconds += time.perf_counter() - started


def write_checkpoint(
    folder: Path, states: PyTree, iteration: int, score: float | None = None, experience: PyTree = None
) -> Path:
    """Writes a checkpoint, and removes all but the newest and the best. Raises `OSError` where it cannot."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{iteration:08d}"
    files = {STATE: states} | ({EXPERIENCE: experience} if jax.tree.leaves(experience) else {})
    if path.exists() and not damage(path) and all((path / name).exists() for name in files):
        return path  # the same update of the same run is the same state
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    try:
        for name, tree in files.items():
            write_arrays(temporary / name, tree)
        manifest = {
            "schema": SCHEMA, "logpi": __version__, "iteration": iteration,
            "score": None if score is None else finite(score),
            "files": {
                name: {"sha256": _sha256(temporary / name), "bytes": (temporary / name).stat().st_size}
                for name in files
            },
        }  # fmt: skip
        write_and_sync(temporary / MANIFEST, json.dumps(manifest, indent=2).encode())
        temporary.chmod(0o755)  # made for its owner alone
        sync_folder(temporary)
        if path.exists():  # damaged, or it would not be written again
            path.rename(folder / f".old-{path.name}-{temporary.name}")
        temporary.rename(path)
        sync_folder(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        _prune(folder)
    return path


def _prune(folder: Path) -> None:
    """Keeps the newest and the best; hides a folder before it is emptied, so that none is ever seen half empty."""
    paths = listed(folder)
    scores = {path: score for path in paths if (score := _score(path)) is not None}
    best = max(scores, key=lambda path: scores[path], default=None)
    for path in paths[KEPT:]:
        if path != best:
            path.rename(folder / f".old-{path.name}")
    for hidden in folder.glob(".old-*"):
        shutil.rmtree(hidden, ignore_errors=True)


def _score(path: Path) -> float | None:
    try:
        score = read_json(path / MANIFEST, MANIFEST_LIMIT)["score"]
    except (InputError, KeyError, TypeError):
        return None
    return finite(float(score)) if isinstance(score, int | float) else None


def listed(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first, whole or not. Links are none: they may lead out of the folder."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if _NAME.fullmatch(p.name) and not p.is_symlink()), reverse=True)


def damage(path: Path, most: int | None = None, file: str = STATE) -> str:
    """What is wrong with a checkpoint, in a few words; empty if it is whole. `most`: bytes that its `file` may have."""
    try:
        manifest = read_json(path / MANIFEST, MANIFEST_LIMIT)
    except InputError:
        return "its manifest is missing, a link, too large or no JSON"
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        found = manifest.get("schema") if isinstance(manifest, dict) else None
        return f"its schema is {shown(found)}, and this logpi reads {SCHEMA}"
    if manifest.get("iteration") != int(path.name):
        return f"it is of update {shown(manifest.get('iteration'))}, as its manifest says"
    said = manifest.get("files", {}).get(file) if isinstance(manifest.get("files"), dict) else None
    state = path / file
    if not isinstance(said, dict) or state.is_symlink() or not state.is_file():
        return f"it has no {file}"
    if state.stat().st_size != said.get("bytes"):
        return f"{file} has {state.stat().st_size:,} bytes where {shown(said.get('bytes'))} were written"
    if most is not None and state.stat().st_size > most:  # it would take long to read
        return f"{file} has {state.stat().st_size:,} bytes, and this training needs {most:,} at most"
    return "" if _sha256(state) == said.get("sha256") else f"the checksum of {file} is another"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_experience(path: Path, skeleton: PyTree, warn: Callable[[str], None]) -> Any | None:
    """The experience in a checkpoint; `None` where there is none, or where it is damaged, which `warn` hears."""
    if not (path / EXPERIENCE).exists():
        return None
    reason = damage(path, arrays_limit(skeleton), EXPERIENCE)
    if not reason:
        try:
            return load_arrays(path / EXPERIENCE, skeleton)
        except InputError as error:
            reason = str(error)
    warn(f"the experience in {path} is passed over: {reason}.")
    return None


def load_newest(folder: Path, skeleton: PyTree, warn: Callable[[str], None]) -> tuple[Any, Path] | None:
    """The states of the newest checkpoint that is whole and fits, and its folder; `None` if there is none.

    Those passed over are named by `warn`. Raises `InputError` where there are some and none is left.
    """
    reasons, most = [], arrays_limit(skeleton)
    for path in listed(folder / "checkpoints"):
        reason = damage(path, most)
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
