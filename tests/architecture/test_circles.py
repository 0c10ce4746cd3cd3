"""No two files import each other, directly or through others: each can be read, and thrown away, before the next.

An import counts wherever it stands, as in `test_layers`: in a function it only hides a circle.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.architecture.source import Breach, graph, PACKAGE, plant, Source, sources, unlisted

BREACHES_LEFT: tuple[str, ...] = ()


def way(arrows: Mapping[Source, set[Source]], start: Source) -> list[Source]:
    """The shortest way from a file over what it imports back to it; empty where there is none."""
    ways, seen = [[start]], {start}
    while ways:
        here = ways.pop(0)
        for end in sorted(arrows[here[-1]], key=lambda source: source.path):
            if end is start:
                return here
            if end not in seen:
                seen.add(end)
                ways.append([*here, end])
    return []


def breaches(package: Path) -> list[Breach]:
    """Every circle that is the shortest one of some file in it, once."""
    arrows = graph(sources(package))
    circles: dict[frozenset[Source], list[Source]] = {}
    for start in arrows:
        if circle := way(arrows, start):
            circles.setdefault(frozenset(circle), circle)
    return [
        Breach(f"{circle[0].path}:1", "-> " + " -> ".join(str(source.path) for source in circle[1:]), "and back")
        for circle in circles.values()
    ]


def test_no_circles() -> None:
    assert unlisted(breaches(PACKAGE), BREACHES_LEFT) == []


PLANTED = {
    "two": {"a.py": "from . import b\n", "b.py": "from .a import x\n"},
    "three": {"a.py": "from . import b\n", "b.py": "from . import c\n", "c.py": "import logpi.a\n"},
    "in a function": {"a.py": "from . import b\n", "b.py": "def f():\n    from .a import x\n"},
    "for type checkers": {"a.py": "from . import b\n", "b.py": "if TYPE_CHECKING:\n    from .a import x\n"},
    "with its package": {"a/__init__.py": "from .b import x\n", "a/b.py": "from ..a import y\n"},
}


@pytest.mark.parametrize("case", PLANTED)
def test_the_check_can_fail(case: str, tmp_path: Path) -> None:
    found = breaches(plant(tmp_path, PLANTED[case]))
    assert len(found) == 1 and found[0].where.startswith("a"), found


def test_a_circle_is_shown(tmp_path: Path) -> None:
    assert list(map(str, breaches(plant(tmp_path, PLANTED["three"])))) == ["a.py:1 -> b.py -> c.py and back"]


def test_the_check_lets_pass_what_is_right(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from .a import x\n",
        "a.py": "from .b import c\nfrom .b.d import x\n",
        "b/__init__.py": "from .c import x\nfrom .d import x\n",
        "b/c.py": "",
        "b/d.py": "from . import c\nimport jax\n",
    }
    assert breaches(plant(tmp_path, files)) == []
