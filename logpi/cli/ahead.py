"""The evaluation's program, compiled on a core that would be idle while the policy is trained."""

import threading
from typing import Any

from ..envs import EnvSource
from ..runs.settings import Settings
from ..training.events import AbstractListener, Plan

LATEST_START = 1.0  # seconds


class EvaluationAhead(AbstractListener):
    """Passes on what a training tells, and has the evaluation's program compiled in the meantime, in a thread.

    The thread begins once the training's own program is compiled. If that takes longer than `LATEST_START`, XLA is at
    work, which needs no Python: then both compile side by side. Where it is of no use (environments on the host), or
    fails, nothing happens: the evaluation compiles what it needs, or says what is wrong.
    """

    def __init__(self, source: EnvSource, settings: Settings, episodes: int, listener: AbstractListener):
        self._arguments = (source, settings, episodes)
        self._listener = listener
        self._go, self._stop = threading.Event(), False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def planned(self, plan: Plan) -> None:
        """Passed on."""
        self._listener.planned(plan)

    def compiling(self) -> None:
        """Passed on; the thread waits."""
        self._listener.compiling()
        if self._arguments[0].compiled and self._arguments[2]:
            self._thread.start()

    def compiled(self, seconds: float) -> None:
        """Passed on; the thread goes to work, if it has not yet."""
        self._go.set()
        self._listener.compiled(seconds)

    def advanced(self, rows: list[dict[str, Any]], steps: int, seconds: float) -> None:
        """Passed on."""
        self._listener.advanced(rows, steps, seconds)

    def warned(self, sentence: str) -> None:
        """Passed on."""
        self._listener.warned(sentence)

    def finished(self, interrupted: bool) -> None:
        """Passed on."""
        self._listener.finished(interrupted)

    def close(self) -> None:
        """Ends the thread: it waits for a program that is being compiled, and begins no other."""
        self._stop = True
        self._go.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        self._go.wait(LATEST_START)
        if not self._stop:
            try:
                compile_evaluation(*self._arguments)
            except Exception:  # the evaluation will meet it again, and say it
                return


def compile_evaluation(source: EnvSource, settings: Settings, episodes: int) -> None:
    """Plays some episodes as `Run.evaluate` does, with a policy of the same shapes that knows nothing."""
    import equinox as eqx
    import jax
    import numpy as np

    from ..models import make_actor_critic
    from ..runs.run import Run

    spaces = source.obs_space, source.action_space
    shapes = eqx.filter_eval_shape(make_actor_critic, *spaces, settings.network, key=jax.random.key(0))

    def zeros(leaf: Any) -> Any:
        return jax.device_put(np.zeros(leaf.shape, leaf.dtype)) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf

    run = Run(source.name, settings, (0,), (jax.tree.map(zeros, shapes),), *spaces, [], {}, {}, environment=source)
    evaluation = run.evaluate(min(episodes, 128))  # as many environments as it takes for more
    evaluation.as_dict()  # imports what intervals need
