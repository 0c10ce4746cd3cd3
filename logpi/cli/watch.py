"""`logpi watch`: a policy acting in an environment that draws itself, in a window or as a video."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import check_between, InputError
from ..progress.video import check_video, has_display
from .arguments import Flag, parse
from .objects import environment_of
from .terminal import says, transient

COMMAND = "logpi watch"
DESCRIPTION = "Shows a policy of a run acting, in a window, or as a video with --video."
SECONDS_BETWEEN_WORDS = 0.5
FLAGS = [
    Flag("run", str, "folder of a run, as logpi train makes", metavar="RUN", positional=True),
    Flag("video", str | None, "file to write in place of a window: .mp4 or .gif", None, metavar="FILE"),
    Flag("episodes", int, "how many episodes", 1),
    Flag("best", bool, "the policy that earned most on the way (train --evaluate-every), not the last", False),
    Flag("deterministic", bool, "take the policy's likeliest actions, in place of drawing them", False),
    Flag("seed", int | None, "which seed's policy; by default the first of the run", None, metavar="S"),
    Flag("env", str | None, "the run's environment, where no name tells it", None, metavar="FILE.py:NAME"),
]


def watch_command(arguments: Sequence[str]) -> int:
    """Shows the episodes, and says what each came to."""
    values = parse(FLAGS, arguments, COMMAND, DESCRIPTION)
    check_between("--episodes", values["episodes"], 1)
    video = Path(values["video"]) if values["video"] else None
    if video is not None:
        check_video("--video", video)
    elif not has_display():
        raise InputError("There is no display for a window: write a video with --video FILE.mp4 or FILE.gif.")
    with transient("starting JAX ..."):
        from ..progress.film import show
        from ..runs.run import load

        run = load(values["run"], environment=environment_of(values["env"]), best=values["best"])
    if values["seed"] not in (None, *run.seeds):
        raise InputError(f"--seed is {values['seed']}, but the run has the seeds {', '.join(map(str, run.seeds))}.")
    if video is not None:
        says(f"drawing {values['episodes']} episode{'s' * (values['episodes'] > 1)} into {video} ...")
    how = {name: values[name] for name in ("episodes", "deterministic", "seed")}
    show(run, video, **how, says=says, passing=_counted)
    if video is not None:
        says(f"written to {video}")
    return 0


def _counted(frames: Iterator[Any]) -> Iterator[Any]:
    """The frames, with a line in a terminal that says how many there have been: some take a while to draw."""
    begun = told = time.monotonic()
    with transient("") as shows:
        for count, frame in enumerate(frames, 1):
            yield frame
            if time.monotonic() - told > SECONDS_BETWEEN_WORDS:
                told = time.monotonic()
                shows(f"{count:,} frames, {count / (told - begun):.1f} a second")
