"""Words on stderr while a command works."""

import contextlib
import shutil
import signal
import sys
from collections.abc import Generator
from pathlib import Path

from ..training.signals import signal_handler, SIGNALS

_ERASE = "\r\x1b[2K"


def says(text: str) -> None:
    """A line on stderr; nothing where nobody reads it any more."""
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


def own_name() -> str:
    """What to type for this command: `logpi`, or the way to it where a shell would not find that."""
    if shutil.which("logpi"):
        return "logpi"
    script = Path(sys.argv[0])
    if script.name != "logpi" or not script.is_file():
        return "python -m logpi"
    here, place = Path.cwd(), script.absolute()
    return str(place.relative_to(here) if place.is_relative_to(here) else place)


@contextlib.contextmanager
def transient(text: str) -> Generator[None]:
    """Shows a line while something takes its time, in a terminal only; it leaves no trace.

    What is written meanwhile should begin by erasing the line.
    """
    shown = sys.stderr.isatty()
    if shown:
        print(text, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if shown:
            print(_ERASE, end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def uninterrupted() -> Generator[None]:
    """Keeps Ctrl-C and SIGTERM until the end, and then lets the first that came do what it would have done.

    An import of JAX that is cut short may abort the process, or go on regardless.
    """
    came: list[int] = []
    with signal_handler(SIGNALS, lambda number, frame: came.append(number)):
        yield
    if came:
        signal.raise_signal(came[0])
