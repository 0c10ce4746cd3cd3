"""`logpi show`: a run in the terminal, with its settings, curve, evaluation, and what is worth knowing of it."""

import json
import shutil
import sys
from collections.abc import Sequence

from ..runs.files import as_json
from .arguments import Flag, parse
from .terminal import transient

COMMAND = "logpi show"
DESCRIPTION = "Shows a run in the terminal: settings, learning curve, evaluation, and findings in words."
FLAGS = [
    Flag("run", str, "folder of a run, as logpi train makes", metavar="RUN", positional=True),
    Flag("json", bool, "one JSON object, in place of the text", False),
]


def show_command(arguments: Sequence[str]) -> int:
    """Prints the run, as wide as the terminal is."""
    values = parse(FLAGS, arguments, COMMAND, DESCRIPTION)
    with transient(f"reading {values['run']} ..."):
        from ..report.digest import as_dict, summary

        if values["json"]:
            text = json.dumps(as_json(as_dict(values["run"])))
        else:
            ascii = "utf" not in (sys.stdout.encoding or "").lower()
            text = summary(values["run"], shutil.get_terminal_size().columns, ascii=ascii)
    print(text)
    return 0
