"""Experience in checkpoints: each writes what was added since the one before, in files that are merged as they age.

A replay only ever grows at one end, so a checkpoint need not write it whole. A segment is merged with those before it
that are no larger, up to an eighth of the replay, of which there is room for a copy beside it: so of n checkpoints
there are no more than log2(n) + 16 segments, and each row is written log2(n) times at most.
"""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

from ...errors import InputError, shown
from ...experience import AbstractExperience
from ..arrays import arrays_limit, load_arrays, write_arrays
from ..files import beside, removed, sync_folder

SEGMENTS = "experience"  # the folder, beside the checkpoints
SMALL = 2**16  # rows of a stream: pieces of more are worth several files
_NAME = re.compile(r"\d{1,6}-(\d{1,10})-(\d{1,10})-([0-9a-f]{12})\.safetensors")


@dataclasses.dataclass(frozen=True)
class Segment:
    """A file with the rows of each stream from `start` to before `stop`, as they were added to a seed's experience."""

    name: str
    start: int
    stop: int
    bytes: int
    sha256: str


class Kept:
    """What the seeds of a training keep of their experience, and the segments on the disk that hold it."""

    def __init__(self, experience: AbstractExperience, segments: Sequence[Sequence[Segment]] = (), again: int = 0):
        """`again`: rows at the end of the segments that have changed since, and are to be written once more."""
        self._experience, self.segments, self.again = experience, [list(of_seed) for of_seed in segments], again

    def hold(self, segments: list[list[Segment]]) -> None:
        """A checkpoint names these now."""
        self.segments, self.again = segments, 0

    def write(self, folder: Path, buffers: Sequence[PyTree]) -> list[list[Segment]]:
        """Writes what the segments do not hold yet; all that hold it then, for each seed.

        To be told to `hold` once a checkpoint names them. Raises `OSError` where it cannot.
        """
        folder.mkdir(exist_ok=True)
        before = self.segments or [[] for _ in buffers]
        after = [self._of_seed(folder, *each) for each in zip(range(len(before)), before, buffers, strict=True)]
        sync_folder(folder)
        return after

    def _of_seed(self, folder: Path, seed: int, before: list[Segment], buffer: PyTree) -> list[Segment]:
        stop, most = self._experience.added(buffer), self._experience.most(buffer)
        piece = max(most // 8, SMALL)
        kept, start = staying(before, stop, most, piece, self.again)
        while start < stop:
            end = min(start + piece, stop)
            kept.append(self._written(folder, seed, buffer, start, end))
            start = end
        return kept

    def _written(self, folder: Path, seed: int, buffer: PyTree, start: int, stop: int) -> Segment:
        temporary = beside(folder / "new")
        try:
            write_arrays(temporary, self._experience.segment(buffer, start, stop))
            size, checksum = temporary.stat().st_size, sha256_of(temporary)
            # By its checksum too, so that it takes the place of no other, which an older checkpoint may name.
            name = f"{seed}-{start}-{stop}-{checksum[:12]}.safetensors"
            temporary.rename(folder / name)
        finally:
            removed(temporary)
        return Segment(name, start, stop, size, checksum)


def staying(before: list[Segment], stop: int, most: int, piece: int, again: int = 0) -> tuple[list[Segment], int]:
    """Which segments stay as they are, and where the next begins: `stop` rows were added, and `most` are kept.

    None grows beyond a `piece`. The last rows `again` are written once more.
    """
    start = max(before[-1].stop - again, 0) if before else 0
    if stop < start:  # they are counted anew
        before, start = [], 0
    kept = [segment for segment in before if segment.stop > stop - most]  # the others are written over
    new = start < stop
    while new and kept and kept[-1].stop - kept[-1].start <= stop - start and stop - kept[-1].start <= piece:
        start = kept.pop().start
    return kept, max(start, stop - most)


def segments_in(manifest: Any) -> list[list[Segment]]:
    """The segments that a manifest names, for each seed; none where it names none, or none that can be."""
    said = manifest.get("experience") if isinstance(manifest, dict) else None
    try:
        found = [[Segment(*segment) for segment in of_seed] for of_seed in said or []]
    except TypeError:
        return []
    return found if all(_is_good(segment) for of_seed in found for segment in of_seed) else []


def _is_good(segment: Segment) -> bool:
    """Whether its name is one of ours, and says what the rest does."""
    named = _NAME.fullmatch(segment.name) if isinstance(segment.name, str) else None
    numbers = segment.start, segment.stop, segment.bytes
    if named is None or not all(type(x) is int for x in numbers) or not isinstance(segment.sha256, str):
        return False
    said = (str(segment.start), str(segment.stop), segment.sha256[:12])
    return named.groups() == said and 0 <= segment.start < segment.stop < 2**31


def load_experience(
    folder: Path,
    segments: Sequence[Sequence[Segment]],
    experience: AbstractExperience,
    shapes: Sequence[PyTree],
    warn: Callable[[str], None],
) -> list[PyTree] | None:
    """What the segments of a checkpoint hold, in buffers of these shapes; `None` where they hold nothing.

    Likewise where one is damaged, which `warn` hears.
    """
    if len(segments) != len(shapes) or not any(segments):
        return None
    try:
        return [_buffer(folder, *each, experience) for each in zip(segments, shapes, strict=True)]
    except (InputError, OSError) as error:
        warn(f"the experience in {folder} is passed over: {error}")
        return None


def _buffer(folder: Path, segments: Sequence[Segment], shapes: PyTree, experience: AbstractExperience) -> PyTree:
    loaded = ((segment.start, _loaded(folder, segment, experience, shapes)) for segment in segments)
    return experience.filled(shapes, loaded, segments[-1].stop if segments else 0)


def _loaded(folder: Path, segment: Segment, experience: AbstractExperience, shapes: PyTree) -> PyTree:
    skeleton = experience.segment_shapes(shapes, segment.start, segment.stop)
    if reason := file_damage(folder / segment.name, segment.bytes, segment.sha256, arrays_limit(skeleton)):
        raise InputError(f"{reason}.")
    return load_arrays(folder / segment.name, skeleton)


def drop_unused(folder: Path, used: set[str]) -> None:
    """Removes the segments that no checkpoint names, and what was left of one that could not be written."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name not in used:
            removed(path)


def file_damage(path: Path, size: Any, sha256: Any, most: int | None = None) -> str:
    """What is wrong with a file that had so many bytes and this checksum, in a few words; empty if nothing is."""
    if path.is_symlink() or not path.is_file():
        return f"it has no {path.name}"
    found = path.stat().st_size
    if found != size:
        return f"{path.name} has {found:,} bytes where {shown(size)} were written"
    if most is not None and found > most:  # it would take long to read
        return f"{path.name} has {found:,} bytes, and this training needs {most:,} at most"
    return "" if sha256_of(path) == sha256 else f"the checksum of {path.name} is another"


def sha256_of(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
