"""Words on stderr while a command works."""

import contextlib
import os
import sys
from collections.abc import Callable, Generator
from typing import Any

from ..errors import printable

_ERASE = "\r\x1b[2K"


class Unfailing:
    """A text stream that drops what it cannot write: a full disk under stderr, or no reader, is no reason to stop."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        """All of a text, as far as anybody is concerned."""
        with contextlib.suppress(OSError, ValueError):  # a closed stream raises ValueError
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """What was written, if it can be."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def open_streams() -> None:
    """Opens stdin, stdout and stderr where a process was started without: they lead nowhere.

    Otherwise the next files that are opened would take their places, and words would be written into them.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def says(text: str) -> None:
    """Lines on stderr, in place of a line that passes; names in them may hold what a terminal would obey."""
    begin = _ERASE if sys.stderr.isatty() else ""
    print(begin + "\n".join(map(printable, text.split("\n"))), file=sys.stderr, flush=True)


def own_name() -> str:
    """What to type for this command: `logpi`, or the way to it where a shell would not find that."""
    # Here, for both take as long to import as the rest of the command does.
    import shutil
    from pathlib import Path

    if shutil.which("logpi"):
        return "logpi"
    script = Path(sys.argv[0])
    if script.name != "logpi" or not script.is_file():
        return "python -P -m logpi"
    here, place = Path.cwd(), script.absolute()
    return str(place.relative_to(here) if place.is_relative_to(here) else place)


@contextlib.contextmanager
def transient(text: str) -> Generator[Callable[[str], None]]:
    """Shows a line while something takes its time, in a terminal only; it leaves no trace.

    What it gives shows another line in place of it. What is written meanwhile should begin by erasing the line.
    """
    shown = sys.stderr.isatty()

    def shows(line: str) -> None:
        if shown:
            print(f"{_ERASE}{line}", end="", file=sys.stderr, flush=True)

    if shown:
        print(text, end="", file=sys.stderr, flush=True)
    try:
        yield shows
    finally:
        if shown:
            print(_ERASE, end="", file=sys.stderr, flush=True)
