"""`python -m benchmarks.refusals [--against CHECKOUT]`: how many right programs are refused, how many jumps are missed.

Every program of the lists is estimated with few replicates; what counts is whether it is refused. With another checkout
of logpi the same lists are run by it, too, and both stand side by side.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

import logpi

from .jumping import JUMPING
from .right import RIGHT

RESULTS = Path(__file__).with_name("results.md")
Found = dict[str, dict[str, str]]  # of each list, what is said of each program; empty where it is let through


def said(J, params) -> str:
    """Why a program is refused; empty if it is not."""
    try:
        logpi.estimate(J, params, jax.random.key(0), replicates=32)
    except logpi.InputError as refusal:
        return str(refusal)
    return ""


def looked_through() -> Found:
    """Every program of both lists."""
    found: Found = {"right": {}, "jumping": {}}
    for kind, programs in (("right", RIGHT), ("jumping", JUMPING)):
        for i, (name, (J, params)) in enumerate(programs.items()):
            found[kind][name] = said(J, params)
            mark = "refused" if found[kind][name] else "passed"
            print(f"{kind} {i + 1}/{len(programs)} {mark}: {name}", file=sys.stderr, flush=True)
    return found


def by_another(checkout: Path) -> Found:
    """The same, by another checkout of logpi."""
    command = [sys.executable, "-m", "refusals", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    folder = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def table(columns: dict[str, Found]) -> str:
    """What is wrong by each, as Markdown."""
    wrong = {
        name: (
            [f"{case}" for case, why in found["right"].items() if why],
            [f"{case}" for case, why in found["jumping"].items() if not why],
        )
        for name, found in columns.items()
    }
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for i, what in enumerate((f"refused of {len(RIGHT)} right programs", f"missed of {len(JUMPING)} that jump")):
        lines.append(f"| {what} | {' | '.join(str(len(lists[i])) for lists in wrong.values())} |")
    for name, (refused, missed) in wrong.items():
        lines += ["", f"{name}, refused: {', '.join(refused) or 'none'}.", "", f"{name}, missed: "
                  f"{', '.join(missed) or 'none'}."]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """Counts, and writes the table."""
    parser = argparse.ArgumentParser(description="Counts false refusals and missed jumps.")
    parser.add_argument("--against", type=Path, help="another checkout of logpi, to be run beside this one")
    parser.add_argument("--json", action="store_true", help="print what is said of each program, and write nothing")
    options = parser.parse_args()
    found = looked_through()
    if options.json:
        print(json.dumps(found))
        return
    columns = {"before": by_another(options.against.resolve())} if options.against else {}
    text = table({**columns, "now" if columns else "count": found})
    RESULTS.write_text("# False refusals and missed jumps\n\n`python -m benchmarks.refusals`\n\n" + text)
    print(text)


if __name__ == "__main__":
    main()
