"""What an algorithm measures, it declares, with units; nobody else keeps a list of the names.

A list: a tuple, list, set or dictionary written out, with everything in it, that has two of the names or more. The
values of an assignment to several variables are none.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.architecture.source import Breach, PACKAGE, places, plant, sources, unlisted

NAMES = {
    "clipped",
    "entropy",
    "explained_variance",
    "gradient_norm",
    "kl",
    "signal_to_noise",
    "surrogate",
    "value_error",
}
LISTS = (ast.Tuple, ast.List, ast.Set, ast.Dict)
HOME = "algorithms"

BREACHES_LEFT: tuple[str, ...] = ()


def listed(node: ast.AST) -> Iterator[tuple[ast.AST, list[str]]]:
    """The outermost lists with two of the names or more, each with them."""
    several = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)
    for child in ast.iter_child_nodes(node):
        strings = {part.value for part in ast.walk(child) if isinstance(part, ast.Constant)}
        names = sorted(NAMES.intersection(value for value in strings if isinstance(value, str)))
        if isinstance(child, LISTS) and not several and len(names) > 1:
            yield child, names
        elif len(names) > 1:
            yield from listed(child)


def breaches(package: Path) -> list[Breach]:
    """The lists outside of the algorithms."""
    return [
        Breach(source.at(node), place[node], f"lists {', '.join(names)}; go over the measurements that are declared")
        for source in sources(package)
        if source.module[:1] != (HOME,)
        for place in [places(source.tree)]
        for node, names in listed(source.tree)
    ]


def unclear(measurements: tuple[Any, ...]) -> list[str]:
    """What is wrong with the measurements that an algorithm declares."""
    names = [measurement.name for measurement in measurements]
    wrong = [f"{m.name} has no {part}" for m in measurements for part in ("unit", "meaning") if not getattr(m, part)]
    return wrong + [f"{name} is declared twice" for name in sorted(set(names)) if names.count(name) > 1]


def declared() -> dict[str, tuple[Any, ...]]:
    """What every algorithm of ours declares; nothing as long as `AbstractAlgorithm` has no `measurements`."""
    module = importlib.import_module("logpi.algorithms")
    if "measurements" not in inspect.get_annotations(module.AbstractAlgorithm):
        return {}
    ours = [value for value in vars(module).values() if inspect.isclass(value)]
    kinds = [kind for kind in ours if issubclass(kind, module.AbstractAlgorithm) and "Abstract" not in kind.__name__]
    return {kind.__name__: kind.measurements for kind in kinds}


def test_nobody_else_lists_the_names() -> None:
    assert unlisted(breaches(PACKAGE), BREACHES_LEFT) == []


def test_a_measurement_has_a_unit() -> None:
    if not (measurements := declared()):
        pytest.skip("algorithms declare no measurements yet")
    assert {kind: wrong for kind, its in measurements.items() if (wrong := unclear(its))} == {}


PLANTED = {
    "a tuple": "x = ('kl', 'entropy')\n",
    "a set in a function": "def f(name):\n    return name in {'steps', 'kl', 'clipped'}\n",
    "keys": "x = {'steps': 1, 'kl': record.kl, 'entropy': record.entropy}\n",
    "tuples in a tuple": "x = (('kl', 'nats'), ('entropy', 'nats'))\n",
    "calls in a list": "x = [Rule('kl', 0.1), Rule('surrogate', 0.2)]\n",
}


@pytest.mark.parametrize("case", PLANTED)
def test_the_check_can_fail(case: str, tmp_path: Path) -> None:
    assert len(breaches(plant(tmp_path, {"a.py": PLANTED[case], "algorithms/ppo.py": PLANTED[case]}))) == 1


def test_the_check_lets_pass_what_is_right(tmp_path: Path) -> None:
    text = "x = ('kl', 'steps')\ny = {'entropy': 1}\nf('kl', 'entropy')\na, b = row['kl'], row['entropy']\n"
    assert breaches(plant(tmp_path, {"a.py": text})) == []


def test_the_check_of_units_can_fail() -> None:
    kl = SimpleNamespace(name="kl", unit="nats", meaning="From the policy that acted.")
    assert unclear((kl,)) == []
    assert unclear((kl, SimpleNamespace(name="kl", unit="", meaning="More."))) == [
        "kl has no unit",
        "kl is declared twice",
    ]
