"""A class is abstract or final: nothing that works is ever overridden or subclassed.

Abstract means: named `Abstract...`, and made only to be subclassed. Every other class is final. So what a method does
can be read in one place. (Equinox names this pattern and does not enforce it.) Exceptions may form families.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.architecture.source import called, PACKAGE, plant, sources

COOPERATIVE = {"__init__", "__check_init__", "__post_init__"}  # Equinox and dataclasses run or make one for each class


def modules(package: str) -> list[ModuleType]:
    """Every module of a package, imported; one that does not import fails the test."""
    root = importlib.import_module(package)
    names = [info.name for info in pkgutil.walk_packages(root.__path__, package + ".")]
    return [root, *(importlib.import_module(name) for name in names if not name.endswith(".__main__"))]


def classes(package: str) -> list[type]:
    """Every class that the package defines, classes inside classes too."""
    found: dict[type, None] = {}
    todo: list[object] = list(modules(package))
    while todo:
        for value in list(vars(todo.pop()).values()):
            if isinstance(value, type) and value.__module__.split(".")[0] == package and value not in found:
                found[value] = None
                todo.append(value)
    return list(found)


def is_abstract(cls: type) -> bool:
    """Whether a class says that it is abstract, by its name or by being a protocol."""
    return cls.__name__.lstrip("_").startswith("Abstract") or bool(vars(cls).get("_is_protocol"))


def is_unfinished(cls: type) -> bool:
    """Whether a class still has abstract methods or abstract fields (`equinox.AbstractVar`)."""
    kinds = ("__abstractmethods__", "__abstractvars__", "__abstractclassvars__")
    return any(getattr(cls, kind, None) for kind in kinds)


def functions_of(value: object) -> list[object]:
    """The functions behind a method, property, class method or static method."""
    if isinstance(value, property):
        return [f for f in (value.fget, value.fset, value.fdel) if f is not None]
    if isinstance(value, (classmethod, staticmethod)):
        return [value.__func__]
    return [value] if inspect.isfunction(value) else []


def methods(cls: type) -> Iterator[tuple[str, bool]]:
    """The methods written in a class's own body, each with whether it is abstract; generated ones are left out."""
    file = inspect.getsourcefile(sys.modules[cls.__module__])
    for name, value in vars(cls).items():
        for function in functions_of(value)[:1]:
            written = inspect.unwrap(function).__code__.co_filename == file  # type: ignore[attr-defined]
            if written and name not in COOPERATIVE:
                yield name, bool(getattr(value, "__isabstractmethod__", False))


def class_breaches(cls: type, ours: list[type]) -> Iterator[str]:
    """What is wrong with one class."""
    if "mixin" in cls.__name__.lower():
        yield "is a mixin; hold the part as a field instead"
    if is_unfinished(cls) and not is_abstract(cls):
        yield "has abstract members left; implement them or call the class Abstract..."
    for base in cls.__bases__:
        if base in ours and not is_abstract(base) and not issubclass(base, BaseException):
            yield f"subclasses {base.__name__}, which is not abstract; hold one as a field instead"
    for name, _ in methods(cls):
        for base in cls.__mro__[1:]:
            if base in ours and (name, False) in methods(base):
                yield f"overrides {base.__name__}.{name}, which is not abstract"


def breaches(package: str) -> list[str]:
    """All breaches of an importable package."""
    ours = classes(package)
    return [f"{c.__module__}.{c.__qualname__} {sentence}" for c in ours for sentence in class_breaches(c, ours)]


def supers(package: Path) -> list[str]:
    """Every call of `super()`."""
    return [f"{s.at(n)} calls super()" for s in sources(package) for n in ast.walk(s.tree) if called(n) == "super"]


def test_classes_are_abstract_or_final() -> None:
    assert len(classes("logpi")) > 30  # the search finds what there is
    assert breaches("logpi") == []


def test_no_super() -> None:
    assert supers(PACKAGE) == []


HEADER = """
import abc
import equinox as eqx
class AbstractA(eqx.Module):
    @abc.abstractmethod
    def f(self): ...
"""
FINAL = "class B(AbstractA):\n    def f(self): return 1\n"
PLANTED = {
    "subclass of a final class": (FINAL + "class C(B):\n    x: int = 1\n", "C subclasses B"),
    "override": (
        "class AbstractB(AbstractA):\n    def f(self): return 1\nclass C(AbstractB):\n    def f(self): return 2\n",
        "C overrides AbstractB.f",
    ),
    "overridden property": (
        "class AbstractB(AbstractA):\n    @property\n    def p(self): return 1\n"
        "class C(AbstractB):\n    def f(self): return 2\n    @property\n    def p(self): return 2\n",
        "C overrides AbstractB.p",
    ),
    "overridden call": (
        "class AbstractB(AbstractA):\n    def __call__(self): return 1\n"
        "class C(AbstractB):\n    def f(self): return 2\n    def __call__(self): return 2\n",
        "C overrides AbstractB.__call__",
    ),
    "unfinished": ("class B(AbstractA):\n    x: int = 1\n", "B has abstract members left"),
    "unfinished field": ("class B(eqx.Module):\n    x: eqx.AbstractVar[int]\n", "B has abstract members left"),
    "mixin": ("class LogMixin:\n    pass\n", "LogMixin is a mixin"),
    "plain class": ("class B:\n    pass\nclass C(B):\n    pass\n", "C subclasses B"),
    "class in a class": (FINAL + "class D:\n    class C(B):\n        x: int = 1\n", "D.C subclasses B"),
}


@pytest.fixture
def planted_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty importable package, forgotten again after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    yield plant(tmp_path, {"planted/__init__.py": ""}) / "planted"
    for name in [n for n in sys.modules if n.split(".")[0] == "planted"]:
        del sys.modules[name]


@pytest.mark.parametrize("case", PLANTED)
def test_the_check_can_fail(case: str, planted_package: Path) -> None:
    text, sentence = PLANTED[case]
    plant(planted_package, {"part.py": HEADER + text})
    found = breaches("planted")
    assert len(found) == 1 and sentence in found[0], found


def test_the_check_for_super_can_fail(tmp_path: Path) -> None:
    files = {"a.py": "class A:\n    def __init__(self):\n        super().__init__()\n"}
    assert supers(plant(tmp_path, files)) == ["a.py:3 calls super()"]


def test_the_check_lets_pass_what_is_right(planted_package: Path) -> None:
    right = "class E(ValueError):\n    pass\nclass F(E):\n    pass\n"
    plant(planted_package, {"part.py": HEADER + FINAL + right})
    assert breaches("planted") == []
