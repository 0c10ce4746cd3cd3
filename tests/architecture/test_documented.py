"""Every public name says what it is, and what must not be in the library is not in it.

Public: every name in `logpi.__all__`, and every class, method and function without a leading underscore in a module
without one. A method that implements an abstract one of ours inherits its docstring (`inspect.getdoc` finds it); one of
its own says what is different, and does not begin with the same line.

Not in the library: pickle in any form (a saved model must not be able to run code), `eval`, `exec`, `assert` (bad input
gets a sentence, and `python -O` removes asserts), and `hasattr` without a comment on its line saying whose object it
asks (never our own). Nor a cache without a bound, but of a function without arguments.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import logpi
from tests.architecture.source import (
    Breach,
    called,
    docstring,
    implementations,
    Method,
    PACKAGE,
    plant,
    Source,
    sources,
    unlisted,
)

PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "_pickle"}
BREACHES_LEFT: tuple[str, ...] = ()
Documentable = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Documentable]]:
    """The public definitions of a module or class, with those under `if` and `try`, and with methods."""
    for node in body:
        if isinstance(node, (ast.If, ast.Try)):
            yield from public([*node.body, *node.orelse], prefix)
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{node.name}.")


def is_overload(node: Documentable) -> bool:
    """Whether a definition is only a signature for type checkers."""
    return any(ast.unparse(d).split(".")[-1] in ("overload", "setter") for d in node.decorator_list)


def undocumented(package: Path) -> list[str]:
    """Public modules and definitions without a docstring."""
    found, everything = [], sources(package)
    inherits = {method for _, _, method, _ in implementations(everything)}
    for source in everything:
        if any(part.startswith("_") and part != "__init__.py" for part in source.path.parts):
            continue
        if source.lines and docstring(source.tree) is None:
            found.append(f"{source.path}:1 has no docstring")
        for name, node in public(source.tree.body):
            if docstring(node) is None and node not in inherits and not is_overload(node):
                found.append(f"{source.at(node)} {name} has no docstring")
    return found


def first_line(method: Method) -> str:
    """The first line of a docstring, without its full stop."""
    return (ast.get_docstring(method) or "").partition("\n")[0].strip().rstrip(".")


def repeated(package: Path) -> list[Breach]:
    """The implementations that begin with the words of the abstract method."""
    return [
        Breach(source.at(method), f"{node.name}.{method.name}", "repeats the docstring that it inherits; leave it out")
        for source, node, method, promised in implementations(sources(package))
        if first_line(method) and first_line(method) == first_line(promised)
    ]


def forbidden(source: Source, node: ast.AST) -> str | None:
    """Why a piece of syntax may not be in the library, or `None`."""
    if isinstance(node, ast.Import) and any(a.name.split(".")[0] in PICKLES for a in node.names):
        return "imports a pickle; write safetensors or JSON"
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLES:
        return "imports a pickle; write safetensors or JSON"
    if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
        return "allows pickle; write safetensors or JSON"
    if called(node) in ("eval", "exec"):
        return f"calls {called(node)}"
    if isinstance(node, ast.Assert):
        return "asserts; raise logpi.errors.InputError with the value, the limit and the cure"
    if called(node) == "hasattr" and "#" not in source.lines[node.lineno - 1]:  # type: ignore[attr-defined]
        return "calls hasattr without a comment saying whose object it asks; never our own"
    if isinstance(node, ast.FunctionDef) and ast.unparse(node.args) and any(map(unbounded, node.decorator_list)):
        return "has a cache without a bound; give functools.lru_cache(maxsize=...)"
    return None


def unbounded(decorator: ast.expr) -> bool:
    """Whether it is a cache that keeps everything."""
    text = ast.unparse(decorator).removeprefix("functools.")
    return text == "cache" or (text.startswith("lru_cache(") and "None" in text)


def breaches(package: Path) -> list[str]:
    """Everything in `package` that must not be there."""
    found = []
    for source in sources(package):
        for node in ast.walk(source.tree):
            if sentence := forbidden(source, node):
                found.append(f"{source.at(node)} {sentence}")
    return found


def names_without_words(module: object, names: list[str]) -> list[str]:
    """The exported names whose object is missing or has no docstring of its own; plain values need none."""
    missing = []
    for name in names:
        value = getattr(module, name, None)
        documentable = inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value) or value is None
        if documentable and not (vars(value).get("__doc__") if inspect.isclass(value) else inspect.getdoc(value)):
            missing.append(name)
    return missing


def test_every_public_definition_has_a_docstring() -> None:
    assert undocumented(PACKAGE) == []


def test_no_inherited_docstring_is_repeated() -> None:
    assert unlisted(repeated(PACKAGE), BREACHES_LEFT) == []


def test_every_exported_name_exists_and_has_a_docstring() -> None:
    assert len(logpi.__all__) > 5
    assert names_without_words(logpi, list(logpi.__all__)) == []


def test_nothing_forbidden_is_in_the_library() -> None:
    assert breaches(PACKAGE) == []


UNDOCUMENTED = {
    "module": ("x = 1\n", "a.py:1 has no docstring"),
    "function": ('"""M."""\ndef f():\n    return 1\n', "f has no docstring"),
    "class": ('"""M."""\nclass A:\n    x: int\n', "A has no docstring"),
    "method": ('"""M."""\nclass A:\n    """A."""\n    async def f(self): ...\n', "A.f has no docstring"),
    "under try": ('"""M."""\ntry:\n    def f(): ...\nexcept ImportError:\n    pass\n', "f has no docstring"),
}
FORBIDDEN = {
    "pickle": ("import pickle\n", "imports a pickle"),
    "pickle in a function": ("def f():\n    from cloudpickle import loads\n", "imports a pickle"),
    "numpy's pickle": ("np.load(f, allow_pickle=True)\n", "allows pickle"),
    "eval": ("x = eval('1')\n", "calls eval"),
    "exec": ("exec('x = 1')\n", "calls exec"),
    "assert": ("def f(n):\n    assert n > 0\n", "asserts"),
    "hasattr": ("if hasattr(x, 'y'):\n    pass\n", "calls hasattr"),
    "a cache without a bound": ("@functools.cache\ndef f(x):\n    return x\n", "a cache without a bound"),
    "one that is said to have none": ("@lru_cache(maxsize=None)\ndef f(x):\n    return x\n", "a cache without a bound"),
}


@pytest.mark.parametrize("case", UNDOCUMENTED)
def test_the_check_of_docstrings_can_fail(case: str, tmp_path: Path) -> None:
    text, sentence = UNDOCUMENTED[case]
    found = undocumented(plant(tmp_path, {"a.py": text}))
    assert len(found) == 1 and sentence in found[0], found


ABSTRACT = '''"""M."""
class AbstractA(eqx.Module):
    """A."""
    @property
    @abc.abstractmethod
    def f(self):
        """What is there.

        More of it.
        """
'''
REPEATING = (
    '"""M."""\nclass B(AbstractA):\n    """B."""\n    @property\n    def f(self):\n        """What is there."""\n'
)


def test_the_check_of_repeated_docstrings_can_fail(tmp_path: Path) -> None:
    folder = plant(tmp_path, {"a.py": ABSTRACT, "b.py": REPEATING})
    sentence = "repeats the docstring that it inherits; leave it out"
    assert list(map(str, repeated(folder))) == [f"b.py:5 B.f {sentence}"]


@pytest.mark.parametrize("own", ["'''What is here.'''", "return 1"])
def test_an_implementation_has_no_docstring_or_its_own(own: str, tmp_path: Path) -> None:
    folder = plant(tmp_path, {"a.py": ABSTRACT, "b.py": REPEATING.replace('"""What is there."""', own)})
    assert repeated(folder) == [] and undocumented(folder) == []


@pytest.mark.parametrize("case", FORBIDDEN)
def test_the_check_of_what_is_forbidden_can_fail(case: str, tmp_path: Path) -> None:
    text, sentence = FORBIDDEN[case]
    found = breaches(plant(tmp_path, {"a.py": text}))
    assert len(found) == 1 and sentence in found[0], found


def test_the_check_of_exported_names_can_fail() -> None:
    class Module:
        class Bare:
            pass

        class Inherits(ValueError):
            pass

        value = 3

    assert names_without_words(Module, ["Bare", "Inherits", "value", "gone"]) == ["Bare", "Inherits", "gone"]


def test_the_checks_let_pass_what_is_right(tmp_path: Path) -> None:
    text = '"""M."""\nif hasattr(env, "spec"):  # Gymnasium: wrappers may lack it\n    pass\n'
    text += 'def f():\n    """F."""\n    def g(): ...\nclass _A:\n    def f(self): ...\n'
    folder = plant(tmp_path, {"a.py": text, "_private.py": "def f(): ...\n", "b/__init__.py": ""})
    assert undocumented(folder) == [] and breaches(folder) == []
