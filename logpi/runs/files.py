"""Files of a run folder, and the JSON in them: read with limits, written atomically."""

import json
import math
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError, said, shown

JSON_LIMIT = 16 * 2**20  # bytes of a `config.json`: bounds for a picture's every number take some
LINES_LIMIT = 2**34  # bytes of a `metrics.jsonl`: 40 million rows, which take a third of it in memory
LINE_LIMIT = 2**14  # bytes of one of its lines
DEPTH_LIMIT = 96  # brackets within brackets
DIGITS = 18  # of a whole number


def open_checked(path: Path, limit: int) -> BinaryIO:
    """A file to read, once it is known to be a plain file, no link, of at most `limit` bytes.

    A link may lead out of the folder, and a pipe or a device may wait for ever. Raises `InputError` for them, for what
    is larger, and for what cannot be opened.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        check_file(path, limit)
        file = os.fdopen(os.open(path, flags), "rb")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give the folder of a run, as `logpi train --out` makes.") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise InputError(f"{path} is not readable ({error}): the run folder is damaged.") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # it has been exchanged since
        file.close()
        raise InputError(f"{path} is no plain file: the run folder is damaged, put the file itself there.")
    return file


def check_file(path: Path, limit: int) -> None:
    """Raises `InputError` for a link, a pipe, a device or a folder, and for more than `limit` bytes.

    Raises `OSError` where there is nothing.
    """
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise InputError(f"{path} is a symbolic link, which may lead out of the run folder: put the file itself there.")
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path} is not readable, for it is no plain file: the run folder is damaged.")
    if found.st_size > limit:
        raise InputError(
            f"{path} has {found.st_size:,} bytes, but at most {limit:,} are read: the run folder is damaged."
        )


def read_bytes_checked(path: Path, limit: int) -> bytes:
    """All of a file that `open_checked` lets pass; raises as that does, and where it grows beyond `limit` meanwhile."""
    with open_checked(path, limit) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise InputError(f"{path} is not readable ({error}): the run folder is damaged.") from None
    if len(data) > limit:
        raise InputError(f"{path} has more than the {limit:,} bytes that are read: the run folder is damaged.")
    return data


def read_json(path: Path, limit: int = JSON_LIMIT) -> Any:
    """Plain JSON from a file of at most `limit` bytes. Raises `InputError` where it is missing or is none."""
    data = read_bytes_checked(path, limit)
    try:
        return parse_json(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON ({said(error, 120)}): the run folder is damaged.") from None


def read_json_lines(path: Path) -> Iterator[Any]:
    """The JSON of each line of a file, one after the other; a last line without an end is left out.

    Raises `InputError` where a line is none, or is too long to be one of logpi's.
    """
    with open_checked(path, LINES_LIMIT) as file:
        number = 0
        while line := file.readline(LINE_LIMIT + 1):
            number += 1
            if len(line) > LINE_LIMIT:
                raise InputError(
                    f"{path} is not readable (line {number} has more than {LINE_LIMIT:,} bytes): the run folder is "
                    "damaged."
                )
            try:
                if not line.endswith(b"\n"):
                    line.decode("utf-8")  # or it was no line of ours
                    return
                yield parse_json(line)
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{path} is not readable (line {number}: {said(error, 120)}): the run folder is damaged."
                ) from None


def parse_json(data: bytes) -> Any:
    """What JSON says in UTF-8, more strictly than Python's `json`, which takes NaN, names twice and any depth.

    Raises `ValueError` or `RecursionError`.
    """
    if data.count(b"[") + data.count(b"{") > DEPTH_LIMIT:
        _check_depth(data)
    return _DECODER.decode(data.decode("utf-8"))


def _check_depth(data: bytes) -> None:
    """Raises `ValueError` for too many open brackets, those in texts not counted."""
    if _depth(data) > DEPTH_LIMIT and _depth(_TEXT.sub(b"", data)) > DEPTH_LIMIT:
        raise ValueError(f"brackets are more than {DEPTH_LIMIT} deep")


def _depth(data: bytes) -> int:
    """How many brackets are open at once; no further than one more than may be."""
    depth = deepest = 0
    for byte in data.translate(None, _NO_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
        if deepest > DEPTH_LIMIT:
            break
    return deepest


_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _whole(text: str) -> int:
    if len(text) > DIGITS + 1:
        raise ValueError(f"a whole number has more than {DIGITS} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{shown(text)} is no finite number")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_int=_whole, parse_float=_finite, parse_constant=_finite)


# What is written: JSON has no word for a number that is not finite, and `json.dumps` writes one that no reader takes.


def finite(x: float) -> float | None:
    """The number, or `None`, which JSON writes as `null`."""
    return x if math.isfinite(x) else None


def spelled(x: float) -> float | str:
    """The number, or its name as text: inf, -inf, nan."""
    return x if math.isfinite(x) else str(x)


def as_json(
    value: Any,
    number: Callable[[float], Any] = finite,
    other: Callable[[Any], Any] | None = None,
    text: Callable[[str], Any] = str,
) -> Any:
    """Lists and dictionaries of what JSON knows, from lists, tuples, dictionaries, numbers and words.

    `number` says what becomes of a float, `text` of a text. `other` says what becomes of what is none of these, in
    words that are; without it that stays as it is.
    """
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, dict):
        return {str(name): as_json(item, number, other, text) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item, number, other, text) for item in value]
    return value if other is None else as_json(other(value), number, other, text)


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """A file that is there whole or not at all: written beside its place, synced, renamed.

    Its permissions are those of any new file of this process.
    """
    temporary = beside(path)
    try:
        write_and_sync(temporary, data)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def beside(path: Path) -> Path:
    """A name beside a path that nothing has: hidden, and known by it as what was never finished."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def check_writable(folder: Path) -> None:
    """Raises `OSError` where no file can be made in a folder."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def removed(path: Path) -> None:
    """Removes a folder or whatever else is there, if anything is. No pipe is opened for it, which would wait for ever.

    Raises `OSError` where it cannot.
    """
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        pass


def write_and_sync(path: Path, data: bytes | Iterable[bytes]) -> None:
    """A new file, on the disk when this returns."""
    with path.open("xb") as file:
        file.writelines([data] if isinstance(data, bytes) else data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """The names in a folder, on the disk when this returns: renaming is only as lasting as that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
