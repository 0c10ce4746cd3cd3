"""Runs that never were: a folder whose rows are made up, to be reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from logpi import spaces
from logpi.algorithms import A2C, PPO
from logpi.runs.folder import write_config
from logpi.runs.metrics import rewrite_rows
from logpi.runs.run import Run
from logpi.runs.settings import Settings

UPDATES = 60
SETTINGS = Settings(PPO(), steps=UPDATES * 64, num_envs=4, rollout_length=16)
BOX = spaces.Box((2,), -1.0, 1.0)
GOOD = {
    "entropy": 0.6, "kl": 0.01, "clipped": 0.1, "surrogate": 0.0, "value_error": 1.0, "explained_variance": 0.8,
    "gradient_norm": 0.5, "signal_to_noise": 4.0, "reward": 1.0,
}  # fmt: skip


def row(seed: int, iteration: int, mean: float, **changes: Any) -> dict[str, Any]:
    """One row of `metrics.jsonl`: two episodes whose returns lie 10 above and below their mean."""
    return {
        "seed": seed, "iteration": iteration, "steps": 64 * iteration, "episodes": 2, "return_mean": mean,
        "return_squares": (mean - 10) ** 2 + (mean + 10) ** 2, "length_mean": 20.0, **GOOD, **changes,
    }  # fmt: skip


def rising(t: float, seed: int) -> float:
    """A return that grows with the share of the training that is done."""
    return 100 * t + 2 * (seed % 3)


def rows(seeds: int = 3, curve: Any = rising, updates: int = UPDATES, **changes: Any) -> list[dict[str, Any]]:
    """All rows of a training; a change may be a number, or a function of the share that is done and the seed."""
    return [
        row(
            seed, i, curve(i / UPDATES, seed),
            **{name: value(i / UPDATES, seed) if callable(value) else value for name, value in changes.items()},
        )
        for i in range(1, updates + 1)
        for seed in range(seeds)
    ]  # fmt: skip


def folder(path: Path, history: list[dict[str, Any]], seeds: int = 3, a2c: bool = False, **changes: Any) -> Path:
    """A run folder without policies. `summary={}` is one that never ended."""
    path.mkdir()
    settings = Settings(A2C(), steps=SETTINGS.steps, num_envs=4, rollout_length=16) if a2c else SETTINGS
    summary = {"train_seconds": 12.0, "steps_per_second": 960.0, "interrupted": False}
    parts = {
        "env": "CartPole-v1", "settings": settings, "seeds": tuple(range(seeds)), "models": (), "obs_space": BOX,
        "action_space": spaces.Discrete(2), "history": [], "summary": summary, "versions": {"logpi": "0.1.0"},
    }  # fmt: skip
    write_config(path, Run(**(parts | changes)).config())
    rewrite_rows(path, history)
    return path


def embedded(html: str) -> dict[str, Any]:
    """What the page gives to its scripts."""
    start = html.index(">", html.index("<script type=application/json")) + 1
    return json.loads(html[start : html.index("</script>", start)])
