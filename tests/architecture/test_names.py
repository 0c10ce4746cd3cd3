"""One name for one thing: no module hidden by a name of its package, no file name and no class name twice.

`import a.b.loss as m` gives the function where the package `a.b` has a function `loss` beside its module `loss`.
Twice there may be the files `base`, `audit` and `__init__`; the commands are called as what they do, and the gallery
as what it shows.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.architecture.source import Breach, classes, PACKAGE, plant, Source, sources, unlisted

USUAL = ("__init__.py", "audit.py", "base.py")
FREE = (Path("cli"), Path("audit/gallery"))

BREACHES_LEFT: tuple[str, ...] = ()


def shown(package: ModuleType, name: str) -> Iterator[object]:
    """What a package gives for a name: what it holds, and what its `__getattr__` would fetch."""
    if name in vars(package):
        yield vars(package)[name]
    if "__getattr__" in vars(package):
        with contextlib.suppress(AttributeError):
            yield vars(package)["__getattr__"](name)


def hidden(package: str) -> list[Breach]:
    """The modules of an importable package that a name of their package hides."""
    found, root = [], importlib.import_module(package)
    for info in pkgutil.walk_packages(root.__path__, package + "."):
        above, _, name = info.name.rpartition(".")
        if name != "__main__" and any(not isinstance(value, ModuleType) for value in shown(sys.modules[above], name)):
            sentence = f"is hidden by a name of {above}; call one of them otherwise"
            found.append(Breach(f"{above.replace('.', '/')}/__init__.py:1", info.name, sentence))
    return found


def is_free(source: Source) -> bool:
    """Whether a file and its classes may be called as others are."""
    return any(folder in source.path.parents for folder in FREE)


def repeated(package: Path) -> list[Breach]:
    """The file names and class names that are there twice, each place of them."""
    places: dict[str, list[str]] = defaultdict(list)
    found = [source for source in sources(package) if not is_free(source)]
    for source in found:
        if source.path.name not in USUAL:
            places[source.path.name].append(f"{source.path}:1")
    for source, node in classes(found):
        places[node.name].append(source.at(node))
    twice = {name: where for name, where in sorted(places.items()) if len(where) > 1}
    return [
        Breach(at, name, f"is also in {', '.join(sorted({*where} - {at}))}")
        for name, where in twice.items()
        for at in where
    ]


def test_no_module_is_hidden() -> None:
    assert list(map(str, hidden("logpi"))) == []


def test_no_name_is_there_twice() -> None:
    assert unlisted(repeated(PACKAGE), BREACHES_LEFT) == []


@pytest.fixture
def planted_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a package `planted` can be imported from, which is forgotten again after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "planted"
    for name in [n for n in sys.modules if n.split(".")[0] == "planted"]:
        del sys.modules[name]


LAZY = "def __getattr__(name):\n    if name == 'loss': return 3\n    raise AttributeError(name)\n"
HIDDEN = {"imported": "from .loss import loss\n", "defined": "def loss(): pass\n", "lazy": LAZY}


@pytest.mark.parametrize("case", HIDDEN)
def test_the_check_of_hidden_modules_can_fail(case: str, planted_package: Path) -> None:
    plant(planted_package, {"__init__.py": "", "a/__init__.py": HIDDEN[case], "a/loss.py": "def loss(): pass\n"})
    assert [breach.name for breach in hidden("planted")] == ["planted.a.loss"]


def test_the_check_of_hidden_modules_lets_pass_what_is_right(planted_package: Path) -> None:
    plant(planted_package, {"__init__.py": "from . import a\nfrom .a import f\n", "a.py": "def f(): pass\n"})
    assert hidden("planted") == []


def test_the_check_of_names_can_fail(tmp_path: Path) -> None:
    files = {"a/b.py": "class _Seen:\n    pass\n", "c/b.py": "def f():\n    class _Seen:\n        pass\n"}
    assert list(map(str, repeated(plant(tmp_path, files)))) == [
        "a/b.py:1 _Seen is also in c/b.py:2",
        "c/b.py:2 _Seen is also in a/b.py:1",
        "a/b.py:1 b.py is also in c/b.py:1",
        "c/b.py:1 b.py is also in a/b.py:1",
    ]


def test_the_check_of_names_lets_pass_what_is_right(tmp_path: Path) -> None:
    names = ("base.py", "audit.py", "__init__.py", "d/base.py", "d/audit.py", "d/__init__.py")
    files = dict.fromkeys(names, "") | {"e.py": "class A: pass\n", "cli/e.py": "class A: pass\n"}
    assert repeated(plant(tmp_path, files | {"audit/gallery/e.py": "class A: pass\n"})) == []
