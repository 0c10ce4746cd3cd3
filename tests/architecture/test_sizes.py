"""Short files, short functions, folders that one look takes in: what predicts that code reads well.

A file's lines all count, and of these the lines of code: what is no blank line, no comment and no docstring. A
function's are those from `def` to its end without the docstring, so that nobody pays for writing down an equation and
its paper. Its arguments are those that can be given by position, without `self` and `cls`. Nesting counts definitions:
module-level function 1, method 2, function in it 3. A small file that
one file beside it alone imports is part of that one, unless it is a command: those have a file each. Raise a limit only
in a commit that says why.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import (
    Breach,
    docstring,
    functions,
    graph,
    PACKAGE,
    plant,
    ROOT,
    Source,
    sources,
    unlisted,
)

FOLDERS = ("logpi", "examples", "benchmarks")
FILE_LINES = 500
CODE_LINES = 300
FUNCTION_LINES = 40
ARGUMENTS = 6
NESTING = 3
MODULES = 15
COMMANDS = Path("cli/main.py")  # what imports every command
SMALL = 60  # a file with fewer lines than this needs more than one reader

BREACHES_LEFT: tuple[str, ...] = ()


def docstring_lines(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    """The numbers of the lines on which the docstring of `node` stands."""
    doc = docstring(node)
    return set(range(doc.lineno, (doc.end_lineno or doc.lineno) + 1)) if doc else set()


def code_lines(source: Source) -> int:
    """Lines of a file, blank ones, comments and docstrings left out."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    words = set().union(*(docstring_lines(node) for node in ast.walk(source.tree) if isinstance(node, kinds)))
    lines = (line.strip() for number, line in enumerate(source.lines, 1) if number not in words)
    return sum(bool(line) and not line.startswith("#") for line in lines)


def function_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, decorators and docstring left out."""
    return (function.end_lineno or function.lineno) - function.lineno + 1 - len(docstring_lines(function))


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many arguments of a function can be given by position, `self` and `cls` left out."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


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


def file_breaches(source: Source) -> Iterator[Breach]:
    """What is too long or too deep in one file."""
    measured = (("lines", len(source.lines), FILE_LINES), ("lines of code", code_lines(source), CODE_LINES))
    for what, number, limit in measured:
        if number > limit:
            yield Breach(f"{source.path}:1", "the file", f"has {number} {what}; the limit is {limit}")
    for function in functions(source.tree):
        measured = (("lines", function_lines(function), FUNCTION_LINES), ("arguments", arguments(function), ARGUMENTS))
        for what, number, limit in measured:
            if number > limit:
                yield Breach(source.at(function), function.name, f"has {number} {what}; the limit is {limit}")
    for node in too_deep(source.tree):
        yield Breach(source.at(node), getattr(node, "name", ""), f"is nested deeper than {NESTING}")


def breaches(folder: Path) -> list[Breach]:
    """What is too long or too deep under `folder`."""
    return [breach for source in sources(folder) for breach in file_breaches(source)]


def crowded(package: Path) -> list[Breach]:
    """The folders with too many modules."""
    counts = Counter(source.path.parent for source in sources(package))
    return [
        Breach(f"{folder}:1", "the folder", f"has {number} modules; the limit is {MODULES}")
        for folder, number in sorted(counts.items())
        if number > MODULES
    ]


def fragments(package: Path) -> list[Breach]:
    """The small files that a file beside them imports, and nobody else."""
    arrows = graph(sources(package))
    found = []
    for source in arrows:
        readers = [reader.path for reader, read in arrows.items() if source in read]
        if len(readers) != 1 or readers[0].parent != source.path.parent or readers[0] == COMMANDS:
            continue
        if len(source.lines) < SMALL and "__init__.py" not in (source.path.name, readers[0].name):
            sentence = f"has {len(source.lines)} lines and {readers[0].name} alone imports it; make it part of that"
            found.append(Breach(f"{source.path}:1", "the file", sentence))
    return found


@pytest.mark.parametrize("folder", FOLDERS[1:])
def test_sizes(folder: str) -> None:
    assert list(map(str, breaches(ROOT / folder))) == []


def test_sizes_in_the_library() -> None:
    assert unlisted([*breaches(PACKAGE), *crowded(PACKAGE), *fragments(PACKAGE)], BREACHES_LEFT) == []


DOCUMENTED = 'def f():\n    """' + "words\n" * 100 + '    """\n'
PLANTED = {
    "long file": ("# x\n" * (FILE_LINES + 1), "has 501 lines"),
    "much code": ("x = 1\n" * (CODE_LINES + 1), "has 301 lines of code"),
    "long function": ("def f():\n" + "    x = 1\n" * FUNCTION_LINES, "f has 41 lines"),
    "long function under a long docstring": (DOCUMENTED + "    x = 1\n" * FUNCTION_LINES, "f has 41 lines"),
    "long method": ("class A:\n    async def f(self):\n" + "        x = 1\n" * FUNCTION_LINES, "f has 41 lines"),
    "many arguments": ("def f(a, b, /, c, d, e, f, g=1): pass\n", "f has 7 arguments"),
    "many arguments of a method": ("class A:\n    def f(self, a, b, c, d, e, f, g): pass\n", "f has 7 arguments"),
    "nested too deep": (
        "class A:\n    def b(self):\n        def c():\n            if 1:\n                def d(): pass\n",
        "d is nested deeper than 3",
    ),
}


@pytest.mark.parametrize("case", PLANTED)
def test_the_check_can_fail(case: str, tmp_path: Path) -> None:
    text, sentence = PLANTED[case]
    found = list(map(str, breaches(plant(tmp_path, {"a/b.py": text}))))
    assert len(found) == 1 and sentence in found[0], found


def test_the_check_of_folders_can_fail(tmp_path: Path) -> None:
    files = {f"a/b{i}.py": "" for i in range(MODULES + 1)}
    assert list(map(str, crowded(plant(tmp_path, files)))) == ["a:1 the folder has 16 modules; the limit is 15"]


def test_the_check_of_small_files_can_fail(tmp_path: Path) -> None:
    files = {"a/b.py": "def f():\n    from .c import x\n", "a/c.py": "x = 1\n" * (SMALL - 1)}
    found = list(map(str, fragments(plant(tmp_path, files))))
    assert found == ["a/c.py:1 the file has 59 lines and b.py alone imports it; make it part of that"]


def test_the_check_lets_pass_what_is_right(tmp_path: Path) -> None:
    files = {
        "code.py": '"""Words.\n\nMore.\n"""\n' + "x = 1\n\n# y\n" * CODE_LINES,
        "file.py": "# x\n" * FILE_LINES,
        "function.py": DOCUMENTED + "    x = 1\n" * (FUNCTION_LINES - 1),
        "arguments.py": "class A:\n    def f(self, a, b, c, d, e, f, *g, h, **i): pass\n",
        "nested.py": "class A:\n    def b(self):\n        def c(): pass\n",
        ".venvs/other.py": "x = 1\n" * (FILE_LINES + 1),
    }
    files["code.py"] = "".join(files["code.py"].splitlines(keepends=True)[:FILE_LINES])
    assert breaches(plant(tmp_path, files)) == []


def test_the_checks_of_folders_and_small_files_let_pass_what_is_right(tmp_path: Path) -> None:
    files = {f"a/b{i}.py": "" for i in range(MODULES - 2)} | {
        "a/__init__.py": "from .b0 import x\n",  # the package shows it to everybody
        "a/__main__.py": "",
        "a/c/d.py": "from ..b1 import x\nfrom ...e import x\n",
        "e.py": "x = 1\n" * SMALL,
        "f.py": "from .e import x\n",
        "cli/main.py": "from .command import x\n",
        "cli/command.py": "x = 1\n",
    }
    folder = plant(tmp_path, files)
    assert crowded(folder) == [] and fragments(folder) == []
