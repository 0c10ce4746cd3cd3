"""`logpi resume`: goes on with a training from its newest good checkpoint."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ..errors import check_between
from .arguments import Flag, parse
from .terminal import transient, uninterrupted
from .train import progress, shown

COMMAND = "logpi resume"
DESCRIPTION = "Goes on with a training from its newest good checkpoint, to the steps that were planned."
_FLAGS = [
    Flag("run", str, "folder of a run, as logpi train makes", metavar="RUN", positional=True),
    Flag("checkpoint_every", str | None, "how often all is stored: 30s, 5m, or updates, as 500", "30s"),
    Flag("on_nan", Literal["stop", "skip"], "where NaN comes up: stop, with status 3, or skip that update", "stop"),
    Flag("evaluate_episodes", int, "fresh episodes of each seed's policy at the end; 0 for none", 100),
    Flag("json", bool, "one JSON object as the last line of stdout", False),
]


def resume_command(arguments: Sequence[str]) -> int:
    """Resumes, and returns the exit status, as `logpi train` does."""
    values = parse(_FLAGS, arguments, COMMAND, DESCRIPTION)
    check_between("--evaluate-episodes", values["evaluate_episodes"], 0)
    folder = Path(values["run"])
    with transient("starting JAX ..."), uninterrupted():
        from ..training.train import resume

    with contextlib.closing(progress()) as listener:
        run = resume(folder, checkpoint_every=values["checkpoint_every"], on_nan=values["on_nan"], listener=listener)
    return shown(run, folder, values["evaluate_episodes"], values["json"])
