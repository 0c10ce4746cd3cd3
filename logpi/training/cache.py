"""The cache of compiled programs on disk, which spares the next process their compilation."""

import contextlib
import importlib
import os
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

LARGEST = 4 * 2**30  # bytes that the cache may take
SETTLED = 10.0  # seconds after which an entry is written, or its process died over it
_CHECKED = ".checked"  # a file whose time says up to when entries have been looked at
_ZSTD = b"\x28\xb5\x2f\xfd"  # with which its data begins


def compilation_cache() -> None:
    """Keeps compiled programs on disk between processes, unless JAX has been told where to, or not to.

    In `LOGPI_CACHE`, or the user's cache folder; an empty `LOGPI_CACHE` turns it off.
    """
    given = os.environ.get("LOGPI_CACHE")
    folder = _users_cache() if given is None else given
    config = jax.config.values
    if not folder or config["jax_compilation_cache_dir"] or not config["jax_enable_compilation_cache"]:
        return
    with contextlib.suppress(OSError):  # then it is as JAX finds it
        tidy(Path(folder))
    # An entry that cannot be read is compiled anew, and removed here by the next process.
    warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _users_cache() -> str:
    """The folder for it among the user's own; empty where the user has none, as in many containers."""
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return ""
    return str(Path(cache) / "logpi" / "xla")


def tidy(folder: Path) -> None:
    """Removes entries that were cut off while they were written, and the oldest of too many.

    JAX writes over no entry, so a damaged one would be of no use for ever. Each is looked at once. Raises `OSError`.
    """
    now, stamp = time.time(), folder / _CHECKED
    before = stamp.stat().st_mtime if stamp.exists() else 0.0
    until = now - SETTLED
    for path, _, written in _entries(folder):
        if before < written <= until and not _is_whole(path):
            path.unlink(missing_ok=True)
    if folder.is_dir():
        stamp.touch()
        os.utime(stamp, (until, until))
    entries = sorted(_entries(folder), key=lambda entry: entry[2], reverse=True)
    room = LARGEST
    for path, size, _ in entries:
        room -= size
        if room < 0:
            path.unlink(missing_ok=True)


def _entries(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Each entry with its size, and when it was written."""
    for path in folder.glob("*-cache"):
        with contextlib.suppress(OSError):
            found = path.stat()
            yield path, found.st_size, found.st_mtime


def _is_whole(path: Path) -> bool:
    """Whether all that was compressed is there."""
    data = path.read_bytes()
    if data[:4] != _ZSTD:
        return _ends(zlib.decompressobj(), data)
    try:
        zstandard = importlib.import_module("zstandard")  # as JAX does
    except ImportError:
        return True  # nobody reads it either
    return _ends(zstandard.ZstdDecompressor().decompressobj(), data)


def _ends(decompressor: Any, data: bytes) -> bool:
    try:
        decompressor.decompress(data)
    except Exception:  # each library has errors of its own
        return False
    return bool(decompressor.eof)
