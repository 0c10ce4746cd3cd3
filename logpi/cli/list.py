"""`logpi list`: what there is, what is installed, and what would bring the rest."""

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from ..errors import check_path, InputError, printable
from ..runs.files import as_json
from .arguments import choose, Flag, parse
from .terminal import says, transient

COMMAND = "logpi list"
DESCRIPTION = "Lists what there is: envs, presets, algorithms, estimators, or the runs below a folder."
KINDS = ("envs", "presets", "algorithms", "estimators", "runs")
FLAGS = [
    Flag("what", str, ", ".join(KINDS), metavar="WHAT", positional=True),
    Flag("word", str | None, "only what has this in it, whatever its case", None, metavar="WORD", positional=True),
    Flag("folder", str, "of runs: the folder that they are looked for in and below", ".", metavar="DIR"),
    Flag("json", bool, "one JSON object, in place of the table", False),
]
GAP = 2  # characters between columns
NARROWEST = 16  # of the last column, before lines are left to run over


def list_command(arguments: Sequence[str]) -> int:
    """Prints the list, and on stderr how many are in it."""
    values = parse(FLAGS, arguments, COMMAND, DESCRIPTION)
    what = choose("WHAT", values["what"], KINDS)
    if what != "runs" and values["folder"] != ".":
        raise InputError(f"--folder is {values['folder']!r}, but only runs are in folders: write logpi list runs.")
    with transient(f"looking for {what} ..."):
        from ..catalogue import LISTS, matching, runs

        rows = runs(check_path("--folder", values["folder"])) if what == "runs" else LISTS[what]()
        kept = matching(rows, values["word"] or "")
    if values["json"]:
        print(json.dumps(as_json({what: kept})))
    elif kept:
        print(table(kept, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
    with_word = f" with {values['word']!r}, of {len(rows):,}" if values["word"] else ""
    says(f"{len(kept):,} in the list{with_word}")
    return 0


def table(rows: Sequence[dict[str, Any]], width: int | None) -> str:
    """Rows of the same columns as text, at most `width` characters wide; columns that are empty are left out.

    What does not fit runs over in the last column.
    """
    names = [name for name in rows[0] if any(row[name] not in ("", None) for row in rows)]
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    before = sum(widths[:-1]) + GAP * (len(names) - 1)
    room = None if width is None else max(width - before, NARROWEST)
    return "\n".join(_line(line, widths, before, room) for line in cells)


def _line(cells: list[str], widths: list[int], before: int, room: int | None) -> str:
    head = "".join(f"{cell:<{width + GAP}}" for cell, width in zip(cells[:-1], widths, strict=False))
    parts = [cells[-1]] if room is None else textwrap.wrap(cells[-1], room, break_on_hyphens=False) or [""]
    return ("\n" + " " * before).join([(head + parts[0]).rstrip(), *parts[1:]])


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case {"value": mean, "low": low, "high": high}:
            return f"{mean:.1f}" + (f" [{low:.1f}, {high:.1f}]" if low == low else "")
        case _:
            return printable(str(value))
