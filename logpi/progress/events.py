"""Events of a training, and the callbacks that hear them: each is a function of one event."""

import dataclasses
from collections.abc import Callable
from typing import Any, TYPE_CHECKING

from ..errors import check_several, InputError, shown
from ..measurements import Measurement

if TYPE_CHECKING:  # it imports JAX, and commands look at events before
    from pathlib import Path

    from ..runs.run import Run
    from ..runs.settings import Settings


@dataclasses.dataclass(frozen=True)
class Planned:
    """The first event: what is about to be done."""

    env: str
    note: str  # which twin of the environment runs, and the like; may be empty
    algorithm: str
    seeds: tuple[int, ...]
    steps: int  # for each seed
    num_envs: int
    rollout_length: int
    source: str  # of the settings
    device: str
    out: str | None
    measurements: tuple[Measurement, ...] = ()  # of the algorithm: columns of the rows to come
    every: int = 1  # iterations that a row is of
    settings: "Settings | None" = None


@dataclasses.dataclass(frozen=True)
class Compiling:
    """The program is about to be compiled."""


@dataclasses.dataclass(frozen=True)
class Compiled:
    """The program has been compiled."""

    seconds: float


@dataclasses.dataclass(frozen=True)
class WarmStarted:
    """The policies were cloned from data, as `warm_start` says, before the first update.

    `rows` are one for each seed: seed, rows (that were learned from), epochs, held_out (rows that were not), and of
    these the mean log-probability of their actions `before` and `after`, in nats, with the standard error of the
    latter, `error`. Where nothing is held out, these three are `None`.
    """

    rows: list[dict[str, Any]]
    seconds: float


@dataclasses.dataclass(frozen=True)
class Advanced:
    """Some iterations of every seed are done: one row of the metrics or more.

    `rows` are theirs, as in `metrics.jsonl`. Every row has seed, iteration, steps, episodes, return_mean,
    return_squares, length_mean and reward; other columns are the algorithm's own, so ask for them by `row.get(name)`.
    What could not be measured is `None`.
    """

    rows: list[dict[str, Any]]
    steps: int  # so far, over all seeds
    seconds: float  # of training so far, without compiling
    training: Any = dataclasses.field(default=None, kw_only=True, repr=False, compare=False)  # where it comes from

    def stop(self, why: Any) -> None:
        """Ends the training before the next update, as if no more steps had been asked for.

        `why` is in its `summary["stopped"]`; of several reasons the first. Raises `InputError` unless it is a text on
        one line.
        """
        self.training.stop(why)

    @property
    def run(self) -> "Run":
        """What the training would leave, if it ended now: to evaluate, or to save anywhere (`event.run.save(folder)`).

        It is made when it is asked for, and does not change as the training goes on.
        """
        return self.training.run()


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """The policies were evaluated on the way, as `evaluate_every` says.

    `rows` are one for each seed, as in `evaluations.jsonl`: seed, iteration, steps, episodes, return_mean with its
    95 % interval from return_low to return_high (`None` where there is none), length_mean, and whether it is the best
    of the seed so far. `stop` and `run` are as of `Advanced`.
    """

    rows: list[dict[str, Any]]
    training: Any = dataclasses.field(default=None, kw_only=True, repr=False, compare=False)

    def stop(self, why: Any) -> None:
        """Ends the training before the next update, as `Advanced.stop` does."""
        self.training.stop(why)

    @property
    def run(self) -> "Run":
        """What the training would leave, if it ended now."""
        return self.training.run()


@dataclasses.dataclass(frozen=True)
class Filmed:
    """A policy was filmed on the way, as `FilmEvery` does."""

    path: "Path"  # of the film, an MP4 file
    seed: int  # whose policy plays
    steps: int  # agent steps that it has learned from


@dataclasses.dataclass(frozen=True)
class Warned:
    """Something is not as it should be, and training goes on."""

    sentence: str


@dataclasses.dataclass(frozen=True)
class Finished:
    """The last event: no more iterations will come. The policies are written after it."""

    interrupted: bool
    stopped: str = ""  # why a callback ended it, in its words


Event = Planned | Compiling | Compiled | WarmStarted | Advanced | Evaluated | Filmed | Warned | Finished

# Hears every event, in the thread that trains. What it returns is dropped. What it raises ends the training as a fault
# does: what was learned is saved for `resume` to go on from, and is the `run` of the exception, which is raised again.
Listener = Callable[[Event], object]


def fan_out(*listeners: Listener) -> Listener:
    """One listener that passes each event on to all of these, in their order."""

    def pass_on(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return pass_on


def as_callbacks(callbacks: Any) -> Listener:
    """One listener of several callbacks, or of one. Raises `InputError` for what is no function."""
    several = [callbacks] if callable(callbacks) else check_several("callbacks", callbacks, "[print]")
    for callback in several:
        if not callable(callback) or isinstance(callback, type):
            raise InputError(
                f"one of the callbacks is {shown(callback)}, but it must be a function of an event "
                "(logpi.progress.events): give print to see them."
            )
    return fan_out(*several)
