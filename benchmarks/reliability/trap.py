"""A trap: lets one operation of the file system under a folder fail, in this process, and counts them all."""

import builtins
import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from unittest.mock import patch

# What Python tells of itself (`sys.addaudithook`), and which argument is the folder that a name is relative to.
_HEARD = {
    "open": None, "os.mkdir": 2, "os.rmdir": 1, "os.remove": 1, "os.rename": 2, "os.link": 2, "os.symlink": 2,
    "os.chmod": 2, "os.truncate": None, "os.listdir": None, "os.scandir": None,
}  # fmt: skip
_CREATES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_TAKES_ROOM = ("write", "fsync", "os.mkdir", "creates")


class Killed(BaseException):
    """In place of a kill: from here on no operation is done, whatever the code does on its way out."""


ERRORS = {name: getattr(errno, name) for name in ("EIO", "EACCES", "ENOSPC", "ESTALE")}
# `full`: from the operation on, none that takes room is done; those that take none are.
HOWS = ("kill", *ERRORS, "full")


class Trap:
    """Counts the operations under a folder: opening, reading, writing, syncing, renaming, removing, listing.

    The `at`-th of them fails. A write that fails has written half of its data before.
    """

    def __init__(self):
        self._folder, self.how, self.at, self.count, self.sprung = "", "", 0, 0, False
        self._meanwhile: Callable[[], None] = lambda: None
        sys.addaudithook(self._hear)  # for good: none can be taken away

    @contextlib.contextmanager
    def under(self, folder: Path, how: str, at: int, meanwhile: Callable[[], None] = lambda: None) -> Generator[None]:
        """In here the `at`-th operation under a folder fails; `meanwhile` is called before each."""
        self.how, self.at, self.count, self.sprung, self._meanwhile = how, at, 0, False, meanwhile
        with (
            patch("io.open", self._open), patch("builtins.open", self._open), patch("os.fsync", self._fsync),
            patch("safetensors.numpy.save_file", _save_file),
        ):  # fmt: skip
            self._folder = str(folder)
            try:
                yield
            finally:
                self._folder = ""

    def meets(self, kind: str, path: str) -> None:
        """Counts an operation, and raises what is due."""
        if not self._folder or not path.startswith(self._folder):
            return
        folder, self._folder = self._folder, ""  # what is done meanwhile is not counted
        self._meanwhile()
        self._folder = folder
        self.count += 1
        if self.count == self.at:
            self.sprung = True
        if not self.sprung or (self.count != self.at and self.how in ERRORS):
            return
        if self.how == "kill":
            raise Killed
        if self.how in ERRORS or kind in _TAKES_ROOM:
            number = ERRORS.get(self.how, errno.ENOSPC)
            raise OSError(number, os.strerror(number), path)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._folder or event not in _HEARD:
            return
        relative_to = _HEARD[event]
        path = _path(arguments[0], None if relative_to is None else arguments[relative_to])
        creates = event == "open" and arguments[2] & _CREATES
        self.meets("creates" if creates else event, path)

    def _fsync(self, handle: int) -> None:
        self.meets("fsync", _path(handle))  # and no more: it takes long, and no power is cut here

    def _open(self, file: Any, mode: str = "r", buffering: int = -1, *more: Any, **named: Any) -> Any:
        """As `open`, with a file that tells what is done with it."""
        path = _path(file)
        if not path.startswith(self._folder or "\0") or named.get("opener"):  # of a file without a name
            return _OPEN(file, mode, buffering, *more, **named)
        raw = _File(self, path, file, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        buffered = io.BufferedReader(raw) if mode.startswith("r") else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *more, **named)


class _File(io.FileIO):
    def __init__(self, trap: Trap, path: str, file: Any, mode: str):
        self._trap, self._path = trap, path
        super().__init__(file, mode)

    def readinto(self, buffer: Any) -> int:
        self._trap.meets("read", self._path)
        return super().readinto(buffer)

    def readall(self) -> bytes:
        self._trap.meets("read", self._path)
        return super().readall()

    def write(self, data: Any) -> int:
        data = bytes(data)
        try:
            self._trap.meets("write", self._path)
        except BaseException:
            if self._trap.count == self._trap.at:
                super().write(data[: len(data) // 2])
            raise
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        self._trap.meets("truncate", self._path)
        return super().truncate(size)


_OPEN = builtins.open


def _path(name: Any, folder: Any = None) -> str:
    """Where an open file, or a name in an open folder, is."""
    if isinstance(name, int):
        return os.readlink(f"/proc/self/fd/{name}")
    relative = isinstance(folder, int) and folder >= 0
    return os.path.join(_path(folder), os.fsdecode(name)) if relative else os.path.abspath(os.fsdecode(name))


def _save_file(arrays: dict[str, Any], path: Any, metadata: dict[str, str] | None = None) -> None:
    """As safetensors' own, which is no Python, so that nothing would be heard of it."""
    from safetensors import SafetensorError
    from safetensors.numpy import save

    try:
        with open(path, "wb") as file:
            file.write(save(arrays, metadata))
    except OSError as error:
        raise SafetensorError(str(error)) from error
