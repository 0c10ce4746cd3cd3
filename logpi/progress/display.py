"""How a training is shown, by where it runs."""

import sys
from typing import Any, Literal

from ..errors import check_flag, choice
from .console import PlainProgress
from .events import fan_out

SECONDS_BETWEEN_DRAWINGS = 0.25  # in a notebook


def progress_display(progress: bool | Literal["all"] | None) -> Any:
    """A listener with a `close`: a live line in a terminal or a notebook, plain lines elsewhere.

    It shows the return, or "all" that is measured. `None` shows nothing elsewhere, `False` nothing anywhere. Raises
    `InputError` for anything else.
    """
    everything = isinstance(progress, str)
    if everything:
        choice("progress", progress, ("all",))
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    notebook = hasattr(shell, "kernel")  # of IPython: in a terminal it has none
    terminal = sys.stderr is not None and sys.stderr.isatty()
    if progress is None:
        progress = notebook or terminal
    if not everything and not check_flag("progress", progress):
        return _Nothing()
    if notebook:
        return PlainProgress(lines=NotebookLines(), every=SECONDS_BETWEEN_DRAWINGS, everything=everything)
    if terminal:
        from .live import TerminalProgress

        return TerminalProgress(everything=everything)
    return PlainProgress(everything=everything)


class _Nothing:
    """Shows nothing."""

    __call__ = staticmethod(fan_out())

    def close(self) -> None:
        """Nothing."""


class NotebookLines:
    """A piece of a notebook's output that is kept up to date: what was said, and what is shown now as its last line."""

    def __init__(self):
        self._lines: list[str] = []
        self._handle: Any = None

    def say(self, line: str) -> None:
        """A line more."""
        self._lines.append(line)
        self._draw(self._lines)

    def show(self, line: str) -> None:
        """A line until the next comes."""
        self._draw([*self._lines, line])

    def _draw(self, lines: list[str]) -> None:
        from IPython.display import display  # pyright: ignore[reportMissingImports] - a notebook has it

        output = {"text/plain": "\n".join(lines)}
        if self._handle is None:
            self._handle = display(output, raw=True, display_id=True)
        else:
            self._handle.update(output, raw=True)
