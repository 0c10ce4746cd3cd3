"""What the architecture tests share sees what it should."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.source import Breach, families, graph, implementations, plant, sources, unlisted

FOUND = [Breach("a.py:3", "f", "is wrong"), Breach("a.py:9", "f", "is wrong")]


def test_a_breach_that_is_not_listed_is_told() -> None:
    assert unlisted(FOUND, ["a.py: f"]) == ["a.py:9 f is wrong"]
    assert unlisted(FOUND, ["a.py: f", "a.py: f"]) == []


def test_a_listed_breach_that_is_gone_is_told() -> None:
    assert unlisted(FOUND[:1], ["a.py: f", "b.py: g"]) == ["b.py: g is no breach any more; take it off the list"]


def test_a_list_is_sorted() -> None:
    assert unlisted([*FOUND[:1], Breach("b.py:1", "g", "too")], ["b.py: g", "a.py: f"]) == ["the list is not sorted"]


def test_who_imports_whom(tmp_path: Path) -> None:
    files = {
        "a.py": "from .b import f\ndef g():\n    from . import c\n",
        "b/__init__.py": "",
        "b/d.py": "import jax\nfrom .. import a\n",
        "c.py": "from logpi.b.d import x\n",
    }
    arrows = graph(sources(plant(tmp_path, files)))
    named = {str(source.path): sorted(str(end.path) for end in ends) for source, ends in arrows.items()}
    assert named == {"a.py": ["b/__init__.py", "c.py"], "b/__init__.py": [], "b/d.py": ["a.py"], "c.py": ["b/d.py"]}


def test_what_implements_what(tmp_path: Path) -> None:
    base = "class AbstractA(eqx.Module):\n    @abc.abstractmethod\n    def f(self): ...\n    def g(self): return 1\n"
    files = {
        "base.py": base,
        "b.py": "class AbstractB(base.AbstractA[int]):\n    x: int\n",
        "c.py": "class C(AbstractB):\n    def f(self): return 1\n    def h(self): return 2\n",
    }
    found = sources(plant(tmp_path, files))
    assert families(found)["C"] >= {"AbstractB", "AbstractA"}
    assert [(node.name, method.name) for _, node, method, _ in implementations(found)] == [("C", "f")]
