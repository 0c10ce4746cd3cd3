"""Ctrl-C, SIGTERM and SIGHUP: who meets them, and that they end a training between two rounds."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # SIGHUP: the terminal or the connection was closed


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, its number the one argument: it ends a command wherever Ctrl-C would."""


class Interruption(threading.Event):
    """Set by one of `SIGNALS`, and by which."""

    signal: int | None = None


def signal_of(stop: KeyboardInterrupt) -> int:
    """The signal that raised it: an exit status is 128 more."""
    return int(stop.args[0] if isinstance(stop, Terminated) else signal.SIGINT)


@contextlib.contextmanager
def signal_handler(numbers: tuple[int, ...], handler: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """In here `handler` meets these signals; elsewhere than in the main thread, nothing can be done about them.

    A handler that was not installed from Python could not be put back, so it stays. A forked child inherits `handler`,
    which is not meant for it: there a signal does what it did before. `nohup` has a process ignore SIGHUP: so be it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    process = os.getpid()
    before = {number: old for number in numbers if (old := signal.getsignal(number)) is not None}
    if before.get(signal.SIGHUP) is signal.SIG_IGN:
        del before[signal.SIGHUP]

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            handler(number, frame)
        else:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    try:
        for number in before:
            signal.signal(number, handle)
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def catch_signals() -> Generator[Interruption]:
    """An event that `SIGNALS` set, so that the loop ends between two rounds; a second one ends it at once."""
    event = Interruption()
    with contextlib.ExitStack() as until_the_first:

        def set_event(number: int, _frame: FrameType | None) -> None:
            event.signal = number
            event.set()
            until_the_first.close()

        until_the_first.enter_context(signal_handler(SIGNALS, set_event))
        yield event
