"""What kind of a thing it is, its own package asks alone: everybody else calls a method of it, or a generic function.

The things are our own algorithms, distributions and experiences. Whether something is one at all (`AbstractPolicy`,
`AbstractDistribution`) anybody may ask. There are three generic functions, for what kinds of distributions, spaces for
heads and spaces for encoders know.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.architecture.source import (
    Breach,
    called,
    classes,
    families,
    last_name,
    PACKAGE,
    places,
    plant,
    Source,
    sources,
    unlisted,
)

BASES = {"AbstractAlgorithm", "AbstractDistribution", "AbstractExperience"}
GENERIC = {"traits", "make_head", "encode"}

BREACHES_LEFT: tuple[str, ...] = ()


def homes(found: Sequence[Source]) -> dict[str, str]:
    """The names of the kinds that only their own package asks for, with that package."""
    kinds = families(found)
    return {node.name: source.module[0] for source, node in classes(found) if kinds[node.name] & BASES}


def asked(node: ast.AST) -> Iterator[str | None]:
    """The names of the classes that `isinstance`, `issubclass` or a `case` asks for."""
    if called(node) in ("isinstance", "issubclass"):
        yield from (last_name(part) for part in ast.walk(node.args[1]))
    if isinstance(node, ast.MatchClass):
        yield last_name(node.cls)


def kinds_asked(package: Path) -> list[Breach]:
    """Every question for a kind outside of the package that has it."""
    found = sources(package)
    home = homes(found)
    return [
        Breach(source.at(node), f"{place} asks for {name}", f"and only {home[name]} may")
        for source in found
        for node, place in places(source.tree).items()
        for name in sorted(home.keys() & set(asked(node)))
        if home[name] != source.module[0]
    ]


def generic(node: ast.AST) -> str | None:
    """The name of the generic function that a definition or an assignment makes, if it makes one."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        made = any("singledispatch" in ast.unparse(line) for line in node.decorator_list)
        return node.name if made else None
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        return ast.unparse(node.targets[0]) if "singledispatch" in ast.unparse(node.value.func) else None
    return None


def generics(package: Path) -> list[Breach]:
    """Every generic function that is none of the three."""
    return [
        Breach(source.at(node), name, f"is a generic function; those are {', '.join(sorted(GENERIC))}")
        for source in sources(package)
        for node in ast.walk(source.tree)
        if (name := generic(node)) and name not in GENERIC
    ]


def test_kinds_are_asked_for_at_home() -> None:
    assert {"PPO", "Normal", "FromNumpyro"} <= set(homes(sources(PACKAGE)))  # the search finds what there is
    assert unlisted([*kinds_asked(PACKAGE), *generics(PACKAGE)], BREACHES_LEFT) == []


KINDS = "class AbstractPlain(AbstractDistribution[int]):\n    pass\nclass Normal(AbstractPlain):\n    pass\n"
PLANTED = {
    "isinstance": ("isinstance(x, Normal)\n", "a.py:1 (module) asks for Normal"),
    "one of several": ("def f(x):\n    return isinstance(x, (int, d.Normal))\n", "a.py:2 f asks for Normal"),
    "a union": ("isinstance(x, int | Normal)\n", "a.py:1 (module) asks for Normal"),
    "issubclass": ("issubclass(x, AbstractPlain)\n", "a.py:1 (module) asks for AbstractPlain"),
    "a case": ("match x:\n    case d.Normal(mean=m): pass\n", "a.py:2 (module) asks for Normal"),
    "a generic function": ("@functools.singledispatch\ndef f(x): pass\n", "a.py:2 f is a generic function"),
    "one of a lambda": ("f = singledispatch(lambda x: x)\n", "a.py:1 f is a generic function"),
    "one of methods": (
        "class A:\n    @singledispatchmethod\n    def f(s, x): pass\n",
        "a.py:3 f is a generic function",
    ),
}


@pytest.mark.parametrize("case", PLANTED)
def test_the_check_can_fail(case: str, tmp_path: Path) -> None:
    text, sentence = PLANTED[case]
    folder = plant(tmp_path, {"distributions/normal.py": KINDS, "a.py": text})
    found = [str(breach) for breach in (*kinds_asked(folder), *generics(folder))]
    assert len(found) == 1 and found[0].startswith(sentence), found


def test_the_check_lets_pass_what_is_right(tmp_path: Path) -> None:
    files = {
        "distributions/normal.py": KINDS,
        "distributions/numpyro/a.py": "isinstance(x, Normal)\n",
        "a.py": "isinstance(x, (AbstractDistribution, int))\nmatch x:\n    case Event(): pass\n",
        "models/heads.py": "@singledispatch\ndef make_head(x): pass\ntraits = functools.singledispatch(lambda x: x)\n",
    }
    folder = plant(tmp_path, files)
    assert kinds_asked(folder) == [] and generics(folder) == []
