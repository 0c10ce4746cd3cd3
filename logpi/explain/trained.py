"""The page of a run: one batch, its gradient, and what a step along it does."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from .. import audit
from ..audit.problems import three_states
from ..runs.files import as_json
from ..runs.run import Run
from .introduction import assemble
from .network import Look, look, SHOWN

_SCRIPTS = ("maths.js", "draw.js", "controls.js", "batch.js", "start.js")
LARGEST = 8  # partial derivatives in the table


def run_page(
    subject: Run | str | Path, key: PRNGKeyArray | None = None, *, seed: int | None = None, env: Any = None
) -> str:
    r"""A page, in HTML, on one batch: what $\nabla J = E[\sum_t A_t \nabla \log \pi(a_t \mid s_t)]$ does in a run.

    It shows which states and actions are pushed up and down and by how much, the partial derivatives by layer, the
    policy before and after one step, and by `logpi.audit.objective` that what the algorithm climbs is the policy
    gradient. `seed` says which of the run's policies; `env` is its environment, where that is more than a name. Raises
    `InputError` where there is no run, policy or environment, or an algorithm of one's own.
    """
    seen = look(subject, key, seed=seed, env=env)
    # One problem with a known gradient: all of them take a minute, and are for `logpi audit objective`.
    found = audit.objective(seen.algorithm, three_states())
    data = json.dumps(as_json(as_data(seen, found)), allow_nan=False).replace("</", "<\\/")
    return assemble("run.html", _SCRIPTS, **{"/*DATA*/": data})


def as_data(seen: Look, found: audit.Report) -> dict[str, Any]:
    """What the page shows, ready for JSON."""
    rows = seen.rows
    off = float(np.linalg.norm(seen.surrogate - seen.twin))
    return {
        "title": seen.title,
        "standardised": seen.standardised,
        "rate": seen.rate,
        "kl": seen.kl,
        "norm": float(np.linalg.norm(seen.surrogate)),
        "promised": seen.rate * float(np.linalg.norm(seen.surrogate)) ** 2,  # of the gain, to first order
        "parameters": len(seen.surrogate),
        "points": rows.points(),
        "summary": rows.summary(),
        "up": rows.pushed(1, SHOWN),
        "down": rows.pushed(-1, SHOWN),
        "layers": [_layer(seen, *place) for place in seen.layers],
        "largest": _largest(seen),
        "twin": off / max(float(np.linalg.norm(seen.twin)), 1e-30),
        "audit": {
            "passed": found.passed,
            "checks": found.table(),
            "rows": [dataclasses.asdict(row) for row in found.alignments],
        },
    }


def _layer(seen: Look, name: str, shape: tuple[int, ...], place: slice) -> dict[str, Any]:
    part = seen.surrogate[place]
    top = int(np.argmax(np.abs(part))) if part.size else 0
    return {
        "name": name, "shape": list(shape), "norm": float(np.linalg.norm(part)),
        "largest": float(part[top]) if part.size else 0.0, "index": [int(i) for i in np.unravel_index(top, shape)],
    }  # fmt: skip


def _largest(seen: Look) -> list[dict[str, Any]]:
    """The largest partial derivatives of all, by both ways."""
    found = []
    for top in np.argsort(-np.abs(seen.surrogate), kind="stable")[:LARGEST]:
        name, shape, place = next(layer for layer in seen.layers if layer[2].start <= top < layer[2].stop)
        index = [int(i) for i in np.unravel_index(top - place.start, shape)]
        found.append({
            "name": f"{name}{index if index else ''}", "surrogate": float(seen.surrogate[top]),
            "twin": float(seen.twin[top]),
        })  # fmt: skip
    return found
