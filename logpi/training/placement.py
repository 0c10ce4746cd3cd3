"""Work for several seeds at once, in threads that nobody has to wait for."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

LOOK = 0.5  # seconds between two looks at what is going on


def side_by_side(work: Callable[[Any], Any], items: Sequence[Any], look: Callable[[], None]) -> list[Any]:
    """`work` of each item, in as many threads as there are cores. Raises what the first of them raised.

    `look` is called twice a second and may raise too: then the threads are left behind, as one that hangs must be.
    """
    results: dict[int, Any] = {}
    errors: dict[int, BaseException] = {}
    cores = threading.Semaphore(max(1, os.cpu_count() or 1))

    def run(i: int) -> None:
        with cores:
            try:
                results[i] = work(items[i])
            except BaseException as error:  # it is raised in the thread that waits
                errors[i] = error

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(items))]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(LOOK)
            look()
    for i in sorted(errors):
        raise errors[i]
    return [results[i] for i in range(len(items))]
