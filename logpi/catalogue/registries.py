"""What the registries of the library hold, in rows of plain values."""

import inspect
from collections.abc import Iterator
from typing import Any

from .. import algorithms as _algorithms
from .. import estimators as _estimators
from ..algorithms import AbstractAlgorithm
from ..envs.known import known_environments
from ..estimators import AbstractBaseline, AbstractEstimator
from ..runs.presets import algorithm_name, ATARI, GENERAL, MUJOCO, MUJOCO_NAMES, OTHERS, preset, PRESETS

Row = dict[str, Any]


def environments() -> list[Row]:
    """Each environment that a name stands for: its suite, how it runs, whether it has a preset, what it still needs."""
    return [
        {**row, "preset": "" if _is_general(row["name"]) else algorithm_name(preset(row["name"]).algorithm)}
        for row in known_environments()
    ]


def _is_general(name: str) -> bool:
    return preset(name) is GENERAL["ppo"]


def presets() -> list[Row]:
    """Each preset: for which environment and algorithm, how large it is, and where it comes from."""
    found = [*PRESETS.items(), *((name, MUJOCO) for name in MUJOCO_NAMES), ("Atari, by name", ATARI)]
    found += [(env, settings) for (env, _), settings in OTHERS.items()]
    found += [("any other", settings) for settings in GENERAL.values()]
    sizes = ("steps", "num_envs", "rollout_length", "source")
    return [
        {"env": env, "algorithm": algorithm_name(settings.algorithm)}
        | {name: getattr(settings, name) for name in sizes}
        for env, settings in found
    ]


def algorithms() -> list[Row]:
    """Each algorithm: its name for `train` and on the command line, its class, and what it does."""
    return [
        {"name": name.lower(), "class": f"logpi.{name}", "what": _sentence(kind)}
        for name, kind in _final(_algorithms, AbstractAlgorithm)
    ]


def estimators() -> list[Row]:
    """Each estimator and each baseline: its class, whether it is unbiased, and how it goes about it."""
    kinds = (("estimator", AbstractEstimator), ("baseline", AbstractBaseline))
    return [
        {"class": f"logpi.{name}", "kind": kind, "unbiased": not name.startswith("Biased"), "what": _sentence(made)}
        for kind, base in kinds
        for name, made in _final(_estimators, base)
    ]


def _final(package: Any, base: type) -> Iterator[tuple[str, type]]:
    """The classes of a package that are derived from one of its own, but for those that leave something open."""
    for name, kind in vars(package).items():
        if inspect.isclass(kind) and issubclass(kind, base) and not name.startswith("Abstract"):
            yield name, kind


def _sentence(kind: type) -> str:
    """The first sentence of a docstring."""
    paragraph = " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".:")
