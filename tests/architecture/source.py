"""What the architecture tests share: the source files of the repository, parsed."""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "logpi"


@dataclass(frozen=True, eq=False)
class Source:
    """One Python file: where it is (relative to the folder that was searched), its lines and its syntax tree."""

    path: Path
    lines: tuple[str, ...]
    tree: ast.Module

    @property
    def module(self) -> tuple[str, ...]:
        """The dotted name inside the package, in parts: `("envs", "base")` for `envs/base.py`, no `__init__`."""
        parts = self.path.with_suffix("").parts
        return parts[:-1] if parts[-1] == "__init__" else parts

    def at(self, node: ast.AST) -> str:
        """`path:line`, as editors open it."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


class Breach(NamedTuple):
    """What is wrong: `path:line`, the name of what is wrong there, and a sentence."""

    where: str
    name: str
    sentence: str

    @property
    def key(self) -> str:
        """What stays the same while lines are moved."""
        return f"{self.where.rpartition(':')[0]}: {self.name}"

    def __str__(self) -> str:
        return f"{self.where} {self.name} {self.sentence}"


def unlisted(found: Sequence[Breach], left: Sequence[str]) -> list[str]:
    """The breaches whose keys are not `left`, and the keys that are no breach any more: a list can only shrink."""
    waiting, wrong = Counter(left), []
    for breach in found:
        waiting[breach.key] -= 1
        if waiting[breach.key] < 0:
            wrong.append(str(breach))
    wrong += [f"{key} is no breach any more; take it off the list" for key in waiting.elements()]
    return wrong if list(left) == sorted(left) else [*wrong, "the list is not sorted"]


parsed = functools.cache(ast.parse)  # many tests read the same files, and none writes in a tree


def sources(folder: Path) -> list[Source]:
    """Every Python file under `folder`, hidden folders (environments, caches) left out."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder)
        if not any(part.startswith(".") for part in relative.parts):
            text = path.read_text(encoding="utf-8")
            found.append(Source(relative, tuple(text.splitlines()), parsed(text)))
    return found


def plant(folder: Path, files: dict[str, str]) -> Path:
    """Writes `files` (path -> text) under `folder`: the small wrong packages that show that a check can fail."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method, nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> ast.Expr | None:
    """The statement that is the docstring of `node`, if it has one."""
    return node.body[0] if ast.get_docstring(node) is not None else None  # type: ignore[return-value]


def called(node: ast.AST) -> str | None:
    """The plain name that a call calls: `f` for `f(x)`, `None` for `a.f(x)` and for what is not a call."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None


def last_name(node: ast.AST) -> str | None:
    """`c` of the expressions `c` and `a.b.c`, `None` of others."""
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)


def places(tree: ast.Module) -> dict[ast.AST, str]:
    """The definition in which each node stands, as `Class.method`; `(module)` for none."""
    found: dict[ast.AST, str] = {}

    def visit(node: ast.AST, place: str) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            place = f"{place}.{node.name}" if place else node.name
        found[node] = place or "(module)"
        for child in ast.iter_child_nodes(node):
            visit(child, place)

    visit(tree, "")
    return found


def imports(source: Source) -> Iterator[tuple[ast.AST, tuple[str, ...]]]:
    """Every import of a file with the absolute dotted names it may name: `from ..a import b` gives `logpi.a.b`."""
    package = ("logpi", *source.path.parent.parts)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            for alias in node.names:
                yield node, (*base, *(node.module.split(".") if node.module else ()), alias.name)
        elif isinstance(node, ast.Call) and last_name(node.func) in ("import_module", "__import__"):
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else "?"
            level = len(str(name)) - len(str(name).lstrip("."))
            base = package[: len(package) - level + 1] if level else ()
            yield node, (*base, *str(name).lstrip(".").split("."))


def graph(found: Sequence[Source]) -> dict[Source, set[Source]]:
    """The files that each file imports, wherever the import stands; a package stands for its `__init__`."""
    files = {("logpi", *source.module): source for source in found}
    arrows: dict[Source, set[Source]] = {source: set() for source in found}
    for source in found:
        for _, name in imports(source):
            ends = [name[:length] for length in range(len(name), 0, -1) if name[:length] in files]
            arrows[source] |= {files[end] for end in ends[:1] if files[end] is not source}
    return arrows


def classes(found: Sequence[Source]) -> Iterator[tuple[Source, ast.ClassDef]]:
    """Every class, classes inside classes and functions too."""
    for source in found:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                yield source, node


def families(found: Sequence[Source]) -> dict[str, set[str]]:
    """Every class, by name, with the names of all that it is a kind of."""
    bases: dict[str, set[str]] = {}
    for _, node in classes(found):
        names = {last_name(base.value if isinstance(base, ast.Subscript) else base) or "" for base in node.bases}
        bases[node.name] = bases.get(node.name, set()) | names
    for _ in bases:  # the longest chain has no more links than there are classes
        longer = {name: above.union(*(bases.get(base, set()) for base in above)) for name, above in bases.items()}
        if longer == bases:
            break
        bases = longer
    return bases


Method = ast.FunctionDef | ast.AsyncFunctionDef


def methods(node: ast.ClassDef) -> list[Method]:
    """The methods written in the body of a class."""
    return [child for child in node.body if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))]


def is_abstract(method: Method) -> bool:
    """Whether a method is there only to be implemented."""
    return any(last_name(line) == "abstractmethod" for line in method.decorator_list)


def implementations(found: Sequence[Source]) -> Iterator[tuple[Source, ast.ClassDef, Method, Method]]:
    """Every method that implements an abstract one of our own bases: its file, its class, it, and the abstract one."""
    kinds = families(found)
    promised = {(node.name, m.name): m for _, node in classes(found) for m in methods(node) if is_abstract(m)}
    for source, node in classes(found):
        for method in methods(node):
            names = [(base, method.name) for base in sorted(kinds[node.name])]
            above = [promised[name] for name in names if name in promised]
            if above and not is_abstract(method):
                yield source, node, method, above[0]
