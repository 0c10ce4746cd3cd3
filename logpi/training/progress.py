"""Where a training stands, while it goes on."""

import dataclasses
import time

from ..runs.checkpoints import Checkpoints
from ..runs.metrics import Rows
from ..runs.times import Times
from .loop import CompiledLoop, HostLoop, Trainer, TrainingState
from .monitors import Alarms
from .signals import Interruption


@dataclasses.dataclass
class Progress:
    """Where the iterations stand."""

    trainer: Trainer
    loop: CompiledLoop | HostLoop
    states: list[TrainingState]
    rows: Rows
    checkpoints: Checkpoints
    times: Times
    alarms: Alarms
    interruption: Interruption
    started: float
    count: int = 1  # iterations in the next round
    restarts: int = 0  # of environments that broke down
    left_behind: bool = False  # an environment does not answer, and threads may still be in others

    @property
    def iteration(self) -> int:
        """Iterations done, of every seed."""
        return int(self.states[0].iteration)

    @property
    def seconds(self) -> float:
        """Of training in this process, without compiling."""
        compiling = 0.0 if self.trainer.rollout.compiled else self.loop.compile_seconds
        return time.perf_counter() - self.started - compiling

    def portable(self) -> tuple[TrainingState, ...]:
        """What a checkpoint holds."""
        return tuple(self.trainer.portable(state) for state in self.states)
