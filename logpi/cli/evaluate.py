"""`logpi evaluate`: what the policies of a run earn in fresh episodes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import check_between
from ..runs.files import as_json
from .arguments import Flag, parse
from .objects import environment_of
from .terminal import says, transient
from .train import kept

COMMAND = "logpi evaluate"
DESCRIPTION = "What the policies of a run earn in fresh episodes: mean, 95 % interval, and over seeds."
FLAGS = [
    Flag("run", str, "folder of a run, as logpi train makes", metavar="RUN", positional=True),
    Flag("episodes", int, "fresh episodes of each seed's policy", 100),
    Flag("best", bool, "the policies that earned most on the way (train --evaluate-every), not the last", False),
    Flag("deterministic", bool, "take each policy's likeliest actions, in place of drawing them", False),
    Flag("env", str | None, "another environment, or the run's own where no name tells it", None, metavar="OTHER"),
    Flag("seed", int, "seed of the episodes", 0, metavar="S"),
    Flag("json", bool, "one JSON object on stdout, in place of the table", False),
]


def evaluate_command(arguments: Sequence[str]) -> int:
    """Evaluates, prints a table, and writes `evaluation.json`.

    Not so of another environment than the run's, and of the best policies: it is what the last ones earn.
    """
    values = parse(FLAGS, arguments, COMMAND, DESCRIPTION)
    check_between("--episodes", values["episodes"], 1)
    check_between("--seed", values["seed"], 0, 2**31 - 1)
    folder = Path(values["run"])
    with transient("starting JAX ..."):
        from ..runs.run import load
        from ..training.cache import compilation_cache

    with transient(f"evaluating {values['episodes']} episodes of {folder} ..."):
        compilation_cache()
        run, env = load(folder, best=values["best"]), environment_of(values["env"])
        evaluation = run.evaluate(
            values["episodes"], deterministic=values["deterministic"], env=env, seed=values["seed"]
        )
    print(json.dumps(as_json(evaluation.as_dict())) if values["json"] else table(evaluation))
    if (env is None or run.named is None) and not values["best"] and kept(evaluation, folder):
        says(f"written to {folder / 'evaluation.json'}")
    return 0


def table(evaluation: Any) -> str:
    """An evaluation as a readable table: a line for each seed, and over all of them."""
    how = "likeliest actions" if evaluation.deterministic else "actions drawn as in training"
    episodes = evaluation.returns.shape[1]
    lines = [f"{evaluation.env}, {how}, {episodes} episodes{' a seed' if len(evaluation.seeds) > 1 else ''}"]
    lines += ["", f"{'':<14}{'return':>10}   95 % interval"]
    lines += [_line(f"seed {seed}", interval) for seed, interval in evaluation.by_seed.items()]
    if len(evaluation.seeds) > 1:
        lines += [_line("mean of seeds", evaluation.mean), _line("IQM of seeds", evaluation.iqm)]
    return "\n".join(lines)


def _line(name: str, interval: Any) -> str:
    between = f"[{interval.low:.1f}, {interval.high:.1f}]" if interval.low == interval.low else "-"
    return f"{name:<14}{interval.value:>10.1f}   {between}"
