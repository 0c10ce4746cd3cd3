"""`logpi resume`: goes on with a training from its newest good checkpoint."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import check_between
from ..progress.events import fan_out
from .arguments import Flag, parse
from .objects import environment_of
from .terminal import says, transient
from .train import KEPT_EVALUATIONS, KEPT_FAULT_TOLERANCE, learned, listeners, options_of, SHARED_FLAGS, shown

COMMAND = "logpi resume"
DESCRIPTION = "Goes on with a training from its newest good checkpoint, to the steps that were planned."
FLAGS = [
    Flag("run", str, "folder of a run, as logpi train makes", metavar="RUN", positional=True),
    Flag("env", str | None, "the run's environment, where no name tells it", None, metavar="FILE.py:NAME"),
    *KEPT_EVALUATIONS,
    *KEPT_FAULT_TOLERANCE,
    *SHARED_FLAGS,
]


def resume_command(arguments: Sequence[str]) -> int:
    """Resumes, and returns the exit status, as `logpi train` does."""
    values = parse(FLAGS, arguments, COMMAND, DESCRIPTION)
    check_between("--evaluate-episodes", values["evaluate_episodes"], 0)
    folder, env = Path(values["run"]), environment_of(values["env"])
    with transient("starting JAX ..."):
        from ..runs.run import is_complete, load, read_config
        from ..training.cache import compilation_cache
        from ..training.train import resume

    if is_complete(read_config(folder), folder):
        says(f"{folder} is complete: nothing is left to do.")
        compilation_cache()
        run = load(folder, environment=env)
        return shown(run, folder, values["evaluate_episodes"], values["json"], signal=None)
    listener = fan_out(*listeners(values))
    try:
        progress = "all" if values["verbose"] else True
        run = resume(folder, environment=env, **options_of(values), progress=progress, callbacks=listener)
    except KeyboardInterrupt as stop:
        run = learned(stop)
    return shown(run, folder, values["evaluate_episodes"], values["json"], run.summary["signal"])
