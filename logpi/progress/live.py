"""The live line in a terminal, drawn by Rich."""

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import ControlType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ..errors import printable
from .console import evaluation_line, pace, plan_lines, ProgressSnapshot, ProgressTracker, warm_start_line
from .events import Advanced, Compiled, Compiling, Evaluated, Event, Filmed, Finished, Planned, WarmStarted, Warned


class TerminalProgress:
    """A listener that draws a spinner while the program is compiled, then a bar with the newest numbers beneath.

    `file` is stderr if not given. `everything` is shown, or the return alone.
    """

    def __init__(self, file: Any = None, everything: bool = False):
        self._console = Console(file=file or sys.stderr, highlight=False)
        self._live: Live | None = None
        self._everything = everything

    def __call__(self, event: Event) -> None:
        """Draws what is new."""
        match event:
            case Planned():
                self._tracker = ProgressTracker(event, self._everything)
                self._steps = event.steps * len(event.seeds)
                self._print_plan(event)
            case Compiling():
                self._start(Spinner("dots", Text("compiling")), refreshing=True)
            case Compiled(seconds):
                self._stop()
                self._console.print(Text(f"compiled in {seconds:.1f} s", "dim"))
                self._start(Spinner("dots", Text("the first rollout")), refreshing=True)
            case WarmStarted(rows, seconds):
                self._console.print(Text(f"{warm_start_line(rows)}, in {seconds:.1f} s", "dim"))
            case Advanced(rows, steps, seconds):
                self._tracker.add(rows, steps, seconds)
                if self._live is None or self._live.auto_refresh:
                    # From here on it is drawn when there is news, and no thread takes time from the training.
                    self._start(Text(), refreshing=False)
                self._draw()
            case Evaluated(rows):
                self._console.print(Text(evaluation_line(rows), "dim"))
            case Filmed(path):
                self._console.print(Text(printable(f"filmed: {path}"), "dim"), soft_wrap=True)
            case Warned(sentence):  # above the numbers
                self._console.print(printable(f"warning: {sentence}"), markup=False, highlight=False)
            case Finished(interrupted, stopped):  # the last numbers stay
                self._draw()
                self._stop(leave=True)
                if interrupted:
                    self._console.print("interrupted: what was learned so far is kept")
                elif stopped:
                    self._console.print(f"ended early: {stopped}", markup=False, highlight=False)

    def close(self) -> None:
        """Leaves the terminal as it was, whatever went wrong. Harmless when all went well."""
        self._stop()

    def _print_plan(self, plan: Planned) -> None:
        first, *rest = plan_lines(plan)
        # What said that something takes its time may still stand on the line.
        self._console.control(Control((ControlType.CARRIAGE_RETURN,), (ControlType.ERASE_IN_LINE, 2)))
        self._console.print(Text(first, "bold"), soft_wrap=True)
        for line in rest:
            self._console.print(Text(line, "dim"), soft_wrap=True)

    def _draw(self) -> None:
        if self._live is not None and not self._live.auto_refresh:
            self._live.update(Drawn(self._tracker.snapshot(), self._steps), refresh=True)

    def _start(self, shown: RenderableType, *, refreshing: bool) -> None:
        self._stop()
        self._live = Live(shown, console=self._console, auto_refresh=refreshing, refresh_per_second=8, transient=True)
        self._live.start()

    def _stop(self, leave: bool = False) -> None:
        if self._live is not None:
            self._live.transient = not leave
            self._live.stop()
        self._live = None


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The bar, and the numbers beneath, each line as long as there is room: what has none is left out, not cut."""

    now: ProgressSnapshot
    total: int  # steps

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """The two lines; Rich asks for them."""
        beside = _fitting([f"{self.now.steps:,} of {self.total:,} steps", *pace(self.now)], options.max_width)
        room = options.max_width - len(beside) - 2
        line = Table.grid(padding=(0, 2))
        bar = [ProgressBar(total=1.0, completed=self.now.done, width=min(room, 24))] if room >= 8 else []
        line.add_row(*bar, Text(beside))
        yield line
        numbers = [f"{name} {number}" for name, number in self.now.measurements()]
        yield Text(_fitting(numbers, options.max_width), "bold", no_wrap=True)


def _fitting(pieces: list[str], width: int) -> str:
    """As many of the pieces as there is room for, from the first on."""
    while len(pieces) > 1 and len("  ".join(pieces)) > width:
        pieces = pieces[:-1]
    return "  ".join(pieces)[:width]
