"""`logpi explain`: a page on what a policy gradient differentiates, or on one batch of a run."""

import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import check_between, InputError
from .arguments import Flag, parse
from .objects import environment_of
from .terminal import says, transient

COMMAND = "logpi explain"
DESCRIPTION = (
    "Writes a page that says what a policy gradient differentiates: by hand, with policies of a few parameters, or for "
    "RUN, one batch of a policy that was trained. One HTML file, which works offline."
)
FLAGS = [
    Flag("run", str | None, "folder of a run, as logpi train makes", None, metavar="RUN", positional=True),
    Flag("out", str | None, "where the page goes: explain.html, or explain-RUN.html of a run", None, metavar="FILE"),
    Flag("open", bool, "show it in the browser", False),
    Flag("seed", int | None, "which of the run's policies, by its seed; the first if not given", None, metavar="S"),
    Flag("env", str | None, "the run's environment, where no name tells it", None, metavar="FILE.py:NAME"),
]


def explain_command(arguments: Sequence[str]) -> int:
    """Writes the page, and says where it is."""
    values = parse(FLAGS, arguments, COMMAND, DESCRIPTION)
    name = "explain" if values["run"] is None else f"explain-{Path(values['run']).resolve().name}"
    out = Path(values["out"] or f"{name}.html")
    if out.is_dir():
        raise InputError(f"--out is {out}, which is a folder: give the name of a file, as {out / 'explain.html'}.")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out is {out}, but the folder {out.parent} does not exist: make it, or give another.")
    text = _page_of(values["run"], values["seed"], environment_of(values["env"]))
    out.write_text(text, encoding="utf-8")
    says(f"written to {out}, {len(text) / 1e6:.1f} MB: open it in a browser")
    if values["open"] and not webbrowser.open(out.absolute().as_uri()):
        says("no browser was found to show it")
    return 0


def _page_of(run: str | None, seed: int | None, env: Any) -> str:
    if run is None:
        if seed is not None:
            raise InputError("--seed says which policy of a run, but no run is given: give the folder of one too.")
        from ..explain import page

        return page()
    if seed is not None:
        check_between("--seed", seed, 0, 2**31 - 1)
    with transient("starting JAX ..."):
        from ..explain import run_page
        from ..training.cache import compilation_cache

    with transient(f"one batch of {run} ..."):
        compilation_cache()
        return run_page(run, seed=seed, env=env)
