"""Short files, short functions, little nesting: what predicts that code reads well.

A file's lines all count. A function's are those from `def` to its end without the docstring, so that nobody pays for
writing down an equation and its paper. Nesting counts definitions: module-level function 1, method 2, function in it 3.
Raise a limit only in a commit that says why.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.source import docstring, functions, plant, ROOT, sources

FOLDERS = ("logpi", "examples", "benchmarks")
FILE_LINES = 300
FUNCTION_LINES = 40
NESTING = 3


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, decorators and docstring left out."""
    doc = docstring(function)
    skipped = (doc.end_lineno or doc.lineno) - doc.lineno + 1 if doc else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - skipped


def too_deep(node: ast.AST, depth: int = 0) -> list[ast.AST]:
    """The definitions nested deeper than `NESTING`, the outermost ones of them."""
    found = []
    for child in ast.iter_child_nodes(node):
        definition = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        if definition and depth == NESTING:
            found.append(child)
        else:
            found += too_deep(child, depth + definition)
    return found


def breaches(folder: Path) -> list[str]:
    """All breaches under `folder`, each as `path:line sentence`."""
    found = []
    for source in sources(folder):
        if len(source.lines) > FILE_LINES:
            found.append(f"{source.path}:1 has {len(source.lines)} lines; the limit is {FILE_LINES}")
        for function in functions(source.tree):
            if (lines := code_lines(function)) > FUNCTION_LINES:
                found.append(f"{source.at(function)} {function.name} has {lines} lines; the limit is {FUNCTION_LINES}")
        for node in too_deep(source.tree):
            found.append(f"{source.at(node)} {getattr(node, 'name', '')} is nested deeper than {NESTING}")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_sizes(folder: str) -> None:
    assert breaches(ROOT / folder) == []


DOCUMENTED = 'def f():\n    """' + "words\n" * 100 + '    """\n'
PLANTED = {
    "long file": ("x = 1\n" * (FILE_LINES + 1), "has 301 lines"),
    "long function": ("def f():\n" + "    x = 1\n" * FUNCTION_LINES, "f has 41 lines"),
    "long function under a long docstring": (DOCUMENTED + "    x = 1\n" * FUNCTION_LINES, "f has 41 lines"),
    "long method": ("class A:\n    async def f(self):\n" + "        x = 1\n" * FUNCTION_LINES, "f has 41 lines"),
    "nested too deep": (
        "class A:\n    def b(self):\n        def c():\n            if 1:\n                def d(): pass\n",
        "d is nested deeper than 3",
    ),
}


@pytest.mark.parametrize("case", PLANTED)
def test_the_check_can_fail(case: str, tmp_path: Path) -> None:
    text, sentence = PLANTED[case]
    found = breaches(plant(tmp_path, {"a/b.py": text}))
    assert len(found) == 1 and sentence in found[0], found


def test_the_check_lets_pass_what_is_right(tmp_path: Path) -> None:
    files = {
        "file.py": "x = 1\n" * FILE_LINES,
        "function.py": DOCUMENTED + "    x = 1\n" * (FUNCTION_LINES - 1),
        "nested.py": "class A:\n    def b(self):\n        def c(): pass\n",
        ".venvs/other.py": "x = 1\n" * (FILE_LINES + 1),
    }
    assert breaches(plant(tmp_path, files)) == []
