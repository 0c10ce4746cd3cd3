"""The command `logpi`: finds the subcommand, and turns what goes wrong into one sentence and an exit status.

0: done. 1: an audit found something wrong. 2: something can be mended, and the sentence on stderr says how. 3: NaN
stopped a training (what was good is saved). 129, 130, 143: SIGHUP, Ctrl-C or SIGTERM ended it (what was learned is
saved). 141: what read the output has gone.
"""

import contextlib
import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Sequence
from types import FrameType
from typing import Any, TextIO

from ..errors import did_you_mean, InputError, said, TrainingFault
from ..training.signals import signal_handler, signal_of, SIGNALS, Terminated
from .terminal import open_streams, says, Unfailing

HELP = """\
usage: logpi COMMAND ...

Trains policies by the policy gradient, and tells the truth about the result.

commands:
  train ENV       train a policy, with a preset for the environment where there is one
  resume RUN      go on with a training that was interrupted or killed
  evaluate RUN    what the policies of a run earn in fresh episodes
  watch RUN       see a policy act, in a window or as a video
  list WHAT       envs, presets, algorithms, estimators or runs: what there is, and what would bring the rest
  show RUN        settings, curve, evaluation and findings of a run, in the terminal
  report RUN ...  one page of curves, gradients and findings, for a browser
  explain [RUN]   one page that shows what a policy gradient differentiates
  audit KIND ...  whether a gradient, a policy, an environment or a run is what it says

examples:
  logpi train CartPole-v1
  logpi train Pendulum-v1 --algorithm ppo --seeds 4 --learning-rate 5e-4 --out runs/pendulum
  logpi resume runs/pendulum
  logpi evaluate runs/pendulum --episodes 200 --deterministic
  logpi watch runs/pendulum --video pendulum.gif
  logpi list envs halfcheetah
  logpi show runs/pendulum
  logpi report runs/pendulum --out pendulum.html
  logpi explain --open
  logpi audit run runs/pendulum

logpi COMMAND --help lists the flags of a command; logpi train ENV --help also the preset for that environment.
logpi --version tells the version.
"""
UNWINDING = 1.0  # seconds in which a command ends after a signal, unless it is clearing up
COMMANDS = ("train", "resume", "evaluate", "watch", "list", "show", "report", "explain", "audit")
_CURES = {  # of what the system refuses
    errno.ENOSPC: "make room", errno.EDQUOT: "make room", errno.EFBIG: "make room", errno.EMFILE: "raise ulimit -n",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command, by default the one of the process, and returns its exit status."""
    open_streams()
    with contextlib.redirect_stderr(Unfailing(sys.stderr)):
        status = _status(list(sys.argv[1:] if arguments is None else arguments))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # whoever read it has gone, or the disk is full
            _let_go(stream)
    return status


def _status(arguments: list[str]) -> int:
    """The exit status of a command; what went wrong with it is said."""
    came: list[int] = []
    try:
        with _interruptible() as came:
            status = _dispatch(arguments)
        sys.stdout.flush()
        return status
    except TrainingFault as error:
        return _complain(str(error), 3)
    except InputError as error:
        return _complain(str(error))
    except KeyboardInterrupt as stop:
        return 128 + signal_of(stop)
    except BrokenPipeError:
        return 141
    except OSError as error:
        if error.errno is None:  # no refusal of the system's, but a fault of ours
            raise
        where = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, str | bytes) else ""
        cure = _CURES.get(error.errno, "give another place, or try again")
        return _complain(f"The system says: {error.strerror}{where}: {cure}.")
    except Exception as error:
        if came:  # code that is not Python's makes other exceptions of it
            return 128 + came[-1]
        if str(error).startswith("RESOURCE_EXHAUSTED"):  # JAX's word for it
            return _complain("There is not enough memory for this: take fewer --envs or a shorter --rollout-length.")
        if cure := _jax_cure(error):
            return _complain(f"JAX says: {said(error)}: {cure}.")
        raise


def _jax_cure(error: Exception) -> str:
    """What to do where the environment has set JAX in a way that it cannot work in; empty for every other error."""
    if str(error).startswith("Unable to initialize backend"):
        return "set JAX_PLATFORMS to what is there, as cpu"
    if type(error).__name__ == "TypePromotionError":
        return "set JAX_NUMPY_DTYPE_PROMOTION=standard, for neither Optax nor logpi computes under another"
    *_, (last, _) = traceback.walk_tb(error.__traceback__)
    # Its module of settings raises while it is imported, for what none of them can be.
    return (
        "give the variable of the environment another value" if last.f_globals["__name__"] == "jax._src.config" else ""
    )


class _Resent:
    """A signal that the command sends to itself a while after it came, once."""

    def __init__(self):
        self._timer, self._sent = threading.Timer(0, os.kill), False

    def send(self, number: int, seconds: float) -> None:
        """Sends it then, and nothing that was to be sent before."""
        self.cancel()
        self._timer = threading.Timer(seconds, self._send, (number,))
        self._timer.start()

    def cancel(self) -> None:
        """Sends nothing more."""
        self._timer.cancel()

    def arrived(self) -> bool:
        """Whether it is the one that has just come, and no other."""
        sent, self._sent = self._sent, False
        return sent

    def _send(self, number: int) -> None:
        self._sent = True
        os.kill(os.getpid(), number)


@contextlib.contextmanager
def _interruptible() -> Generator[list[int]]:
    """In here a signal raises what ends a command; those that came are listed.

    An import is gone through with: cut short, JAX's may abort the process, or go on regardless. And Python drops what
    is raised where nothing could catch it: in `__del__`, in callbacks of the garbage collector and of weak references.
    In both cases the signal is sent again; and where the command has not ended a while after it, because code that is
    not Python's dropped it in silence, unless it is clearing up.
    """
    came: list[int] = []
    again, usual = _Resent(), sys.unraisablehook

    def stop(number: int, frame: FrameType | None) -> None:
        clears_up = again.arrived() and isinstance(sys.exception(), KeyboardInterrupt)
        in_import = _imports(frame)
        again.send(number, 0.01 if in_import else UNWINDING)
        if not in_import and not clears_up:
            came.append(number)
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    def dropped(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            again.send(signal_of(unraisable.exc_value), 0.01)
        else:
            usual(unraisable)

    sys.unraisablehook = dropped
    try:
        with signal_handler(_signals(), stop):
            try:
                yield came
            finally:
                again.cancel()
    finally:
        sys.unraisablehook = usual


def _imports(frame: FrameType | None) -> bool:
    """Whether the command is amid an import."""
    while frame is not None and frame.f_code is not _status.__code__:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _signals() -> tuple[int, ...]:
    """What a command meets: Ctrl-C only where it raises `KeyboardInterrupt` anyway, and is not ignored, say."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return SIGNALS if usual else tuple(number for number in SIGNALS if number != signal.SIGINT)


def _let_go(stream: TextIO) -> None:
    """Sends what is still buffered nowhere, or Python would complain of it on its way out, with status 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _complain(sentence: str, status: int = 2) -> int:
    says(f"logpi: {sentence}")
    return status


def _dispatch(arguments: list[str]) -> int:
    match arguments:
        case ["-h" | "--help" | "help", *_]:
            print(HELP, end="")
            return 0
        case ["--version", *_]:
            from .._version import __version__

            print(f"logpi {__version__}")
            return 0
        case [command, *rest]:
            return _command(command)(rest)
        case _:
            print(HELP, end="", file=sys.stderr)
            return 2


def _command(name: str) -> Callable[[Sequence[str]], int]:
    """What a command runs, imported only then. Raises `InputError` where there is none of this name."""
    match name:
        case "train":
            from .train import train_command as command
        case "resume":
            from .resume import resume_command as command
        case "evaluate":
            from .evaluate import evaluate_command as command
        case "watch":
            from .watch import watch_command as command
        case "list":
            from .list import list_command as command
        case "show":
            from .show import show_command as command
        case "report":
            from .report import report_command as command
        case "explain":
            from .explain import explain_command as command
        case "audit":
            from .audit import audit_command as command
        case _:
            cure = did_you_mean(name, COMMANDS, f"the commands are {', '.join(COMMANDS)}; see logpi --help.")
            raise InputError(f"{name!r} is no command of logpi: {cure}")
    return command
