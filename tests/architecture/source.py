"""What the architecture tests share: the source files of the repository, parsed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "logpi"


@dataclass(frozen=True)
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


def sources(folder: Path) -> list[Source]:
    """Every Python file under `folder`, hidden folders (environments, caches) left out."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder)
        if not any(part.startswith(".") for part in relative.parts):
            text = path.read_text(encoding="utf-8")
            found.append(Source(relative, tuple(text.splitlines()), ast.parse(text, str(path))))
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
