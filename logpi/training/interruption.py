"""Ctrl-C and SIGTERM end a training between two rounds."""

import contextlib
import signal
import threading
from collections.abc import Iterator


class Interruption(threading.Event):
    """Set by Ctrl-C or SIGTERM, and by which."""

    signal: int | None = None


@contextlib.contextmanager
def catch_interruption() -> Iterator[Interruption]:
    """An event that Ctrl-C and SIGTERM set, so that the loop ends between two rounds; a second one ends it at once."""
    event = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def set_event(number, frame):
        event.signal = number
        event.set()
        for which, handler in before.items():
            signal.signal(which, handler)

    for number in before:
        signal.signal(number, set_event)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
