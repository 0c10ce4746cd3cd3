"""`logpi resume`: goes on with a training from its newest good checkpoint."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import check_between
from .arguments import Flag, parse
from .terminal import own_name, says, transient, uninterrupted
from .train import CARE, care, progress, shown, summary_of, with_log

COMMAND = "logpi resume"
DESCRIPTION = "Goes on with a training from its newest good checkpoint, to the steps that were planned."
FLAGS = [
    Flag("run", str, "folder of a run, as logpi train makes", metavar="RUN", positional=True),
    Flag("env", str | None, "the environment, where the run names one of a module to be imported", None, metavar="ENV"),
    *CARE,
]


def resume_command(arguments: Sequence[str]) -> int:
    """Resumes, and returns the exit status, as `logpi train` does."""
    values = parse(FLAGS, arguments, COMMAND, DESCRIPTION)
    check_between("--evaluate-episodes", values["evaluate_episodes"], 0)
    folder = Path(values["run"])
    with transient("starting JAX ..."), uninterrupted():
        from ..training.run import load, read_config
        from ..training.train import resume

    if is_complete(folder, read_config(folder).summary):
        says(f"{folder} is complete: nothing is left to do; next: {own_name()} report {folder}")
        if values["json"]:
            print(json.dumps(summary_of(load(folder), None, folder)))
        return 0
    with contextlib.closing(progress()) as listener:
        run = resume(folder, environment=values["env"], **care(values), listener=with_log(listener, values["log"]))
    return shown(run, folder, values["evaluate_episodes"], values["json"])


def is_complete(folder: Path, summary: dict[str, Any]) -> bool:
    """Whether a training came to its end: it was summed up, and neither a signal nor a fault had ended it."""
    return bool(summary) and not summary.get("interrupted") and not (folder / "fault.json").exists()
