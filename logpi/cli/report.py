"""`logpi report`: what one or several runs show, as one HTML page."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import check_between, InputError
from .arguments import first_word, Flag, parse
from .objects import environment_of
from .terminal import says, transient

COMMAND = "logpi report"
DESCRIPTION = "Writes what runs show as one HTML page: curves with intervals, the gradient, actions, findings in words."
FLAGS = [
    Flag("run", str, "folder of a run, as logpi train makes; several are compared", metavar="RUN", positional=True),
    Flag("out", str, "the file to write", "report.html", metavar="FILE"),
    Flag("quick", bool, "only what the folders say: no fresh episodes, no audit", False),
    Flag("episodes", int | None, "fresh episodes of each seed; by default 64, or 16 on the host", None),
    Flag("env", str | None, "the runs' environment, where no name tells it", None, metavar="FILE.py:NAME"),
    Flag("film", bool, "a short film of each first policy, where its environment can be drawn", False),
    Flag("follow", bool, "show the page at a local address, and keep it up to date", False),
    Flag("port", int, "of that address; 0 for any that is free", 0),
]


def report_command(arguments: Sequence[str]) -> int:
    """Writes the page, or shows it at a local address until Ctrl-C."""
    folders, rest = _split(arguments)
    values = parse(FLAGS, [*folders[:1], *rest], COMMAND, DESCRIPTION)
    if values["episodes"] is not None:
        check_between("--episodes", values["episodes"], 1)
    check_between("--port", values["port"], 0, 65535)
    repeated = [folder for i, folder in enumerate(folders) if folder in folders[:i]]
    if repeated:
        raise InputError(f"{repeated[0]} is named twice: name each run once.")
    with transient("starting JAX ..."):
        from ..report.document import page
        from ..training.cache import compilation_cache
    if values["follow"]:
        return _follow(folders, values["port"])
    out = Path(values["out"])
    if out.is_dir():
        raise InputError(f"--out is {str(out)!r}, but that is a folder: give a file in it.")
    compilation_cache()
    env = environment_of(values["env"])
    films = [_film(folder, env) for folder in folders] if values["film"] else []
    text = page(folders, fresh=not values["quick"], episodes=values["episodes"], env=env, says=_says, films=films)
    out.parent.mkdir(parents=True, exist_ok=True)
    _write(out, text)
    says(f"written to {out}")
    return 0


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that are folders, and the rest: flags and their values."""
    folders, rest = [], list(arguments)
    while (word := first_word(FLAGS, rest)) is not None:
        folders.append(word)
        rest = _without(rest, word)
    return folders, rest


def _without(arguments: list[str], word: str) -> list[str]:
    """Without the first argument that is this word and not the value of a flag."""
    for i, argument in enumerate(arguments):
        if argument == word and first_word(FLAGS, arguments[: i + 1]) == word:
            return arguments[:i] + arguments[i + 1 :]
    return arguments


def _film(folder: str, env: Any) -> bytes | None:
    """An episode of the first policy as MP4; `None` where its environment cannot be drawn, which is said."""
    from ..progress.film import film

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "film.mp4"
        try:
            says(f"drawing an episode of {folder} ...")
            film(folder, path, env=env)
        except InputError as error:
            says(f"no film: {error}")
            return None
        return path.read_bytes()


def _follow(folders: list[str], port: int) -> int:
    """Serves the page, made anew as often as it is asked for, until Ctrl-C."""
    from ..report.follow import serve

    with serve(folders, port) as server:
        says(f"http://127.0.0.1:{server.server_port}/ shows the report as the training goes on; Ctrl-C ends it")
        server.serve_forever()
    return 0


def _says(text: str) -> None:
    says(f"{text} ...")


def _write(out: Path, text: str) -> None:
    """The file, whole or not at all."""
    from ..runs.files import write_atomically

    write_atomically(out, text.encode())
