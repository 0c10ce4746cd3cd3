"""Words on stderr while a command works."""

import contextlib
import sys
from collections.abc import Iterator

_ERASE = "\r\x1b[2K"


def says(text: str) -> None:
    """A line on stderr; nothing where nobody reads it any more."""
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def transient(text: str) -> Iterator[None]:
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
