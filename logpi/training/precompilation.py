"""Precompilation of the evaluation's program, on a core that would be idle while the policy is trained.

It takes a quarter off a first `logpi train CartPole-v1` (40 s in place of 53), and nothing off one with a full cache.
"""

import contextlib
import dataclasses
import threading
from collections.abc import Generator
from typing import Any

from ..envs import EnvSource
from ..progress.events import Compiled, Compiling, Event, Listener
from ..runs.settings import Settings

LATEST_START = 1.0  # seconds


@contextlib.contextmanager
def precompiled_evaluation(source: EnvSource, settings: Settings, episodes: int) -> Generator[Listener]:
    """A listener that has the evaluation's program compiled in a thread while the policy is trained.

    The thread begins once the training's own program is compiled. If that takes longer than `LATEST_START`, XLA is at
    work, which needs no Python: then both compile side by side. Where it is of no use (environments on the host), or
    fails, nothing happens: the evaluation compiles what it needs, or says what is wrong. At the end the thread is
    waited for while it compiles a program, and begins no other.
    """
    go, ended = threading.Event(), threading.Event()

    def compile_in_time() -> None:
        go.wait(LATEST_START)
        if not ended.is_set():
            with contextlib.suppress(Exception):  # the evaluation will meet it again, and say it
                compile_evaluation(source, settings, episodes)

    thread = threading.Thread(target=compile_in_time, daemon=True)

    def listen(event: Event) -> None:
        match event:
            case Compiling() if source.either(episodes, 0):
                thread.start()
            case Compiled():
                go.set()
            case _:
                pass

    try:
        yield listen
    finally:
        ended.set()
        go.set()
        if thread.is_alive():
            thread.join()


def compile_evaluation(source: EnvSource, settings: Settings, episodes: int) -> None:
    """Plays some episodes as `Run.evaluate` does, with a policy of the same shapes that knows nothing."""
    import jax
    import numpy as np

    from ..runs.run import Run, skeleton

    run = Run(source.name, settings, (0,), (), source.obs_space, source.action_space, [], {}, {}, environment=source)

    def zeros(leaf: Any) -> Any:
        return jax.device_put(np.zeros(leaf.shape, leaf.dtype)) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf

    run = dataclasses.replace(run, models=(jax.tree.map(zeros, skeleton(run, settings.network)),))
    evaluation = run.evaluate(min(episodes, 128))  # as many environments as it takes for more
    evaluation.as_dict()  # imports what intervals need
