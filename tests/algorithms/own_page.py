"""The algorithms of the page on one's own, from the very blocks that readers copy."""

import ast
import functools
import importlib.util
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own_algorithm.md"


def block(name: str) -> str:
    """The block of the page that defines a class of this name."""
    found = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    (one,) = (text for text in found if re.search(rf"^class {name}\(", text, flags=re.MULTILINE))
    return one


def lines_of_code(text: str) -> int:
    """The lines that are neither blank nor of an import."""
    tree, lines = ast.parse(text), text.splitlines()
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    left_out = {line for node in imports for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    return sum(bool(line.strip()) for number, line in enumerate(lines, 1) if number not in left_out)


def definitions(text: str) -> str:
    """Imports, constants, classes and functions, without what is then done with them."""
    tree = ast.parse(text)
    kept = (ast.Import, ast.ImportFrom, ast.Assign, ast.ClassDef, ast.FunctionDef)
    return "\n".join(ast.unparse(node) for node in tree.body if isinstance(node, kept))


@functools.cache
def load(name: str) -> ModuleType:
    """The definitions of that block as a module of their own, outside of the package."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"own_{name.lower()}.py"
        path.write_text(definitions(block(name)), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    return module
