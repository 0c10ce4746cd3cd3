"""Imports only go down: a module of `logpi` imports from lower layers and from its own package, from nowhere else.

An import counts wherever it stands: at the top, inside a function, under `TYPE_CHECKING`, or as a call of
`import_module`. `logpi/__init__.py`, `__main__.py` and `_lazy.py` are the front door and may import anything.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.source import imports, PACKAGE, plant, Source, sources

# docs/architecture.md shows the same table.
LAYERS = (
    ("errors", "trajectory", "surrogates", "measurements", "_lazy", "_version"),
    ("parameters", "derivatives", "spaces", "statistics", "jaxprs", "credit", "advantages", "experience"),
    ("distributions", "envs", "learners", "transforms"),
    ("estimators", "demonstrations"),
    ("estimation", "models"),
    ("rollout", "batch"),
    ("algorithms", "evaluation"),
    ("runs",),
    ("progress",),
    ("training",),
    ("audit", "catalogue"),
    ("report", "explain"),
    ("cli",),
)
RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}
FORBIDDEN = {("algorithms", "envs"), ("algorithms", "rollout"), ("algorithms", "audit")}
SIMULATORS = {"gymnasium", "gymnax", "envpool", "brax", "ale_py", "gym", "mujoco", "Box2D"}


def inside_function(tree: ast.Module, node: ast.AST) -> bool:
    """Whether `node` only runs when some function is called."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return any(node in ast.walk(f) for f in ast.walk(tree) if isinstance(f, kinds))


def may_import_simulators(source: Source, node: ast.AST) -> bool:
    """The adapters in `envs/`, the host rollouts `rollout/host*.py`, and functions of `spaces/gymnasium.py`."""
    if source.module[0] == "envs":
        return True
    if source.module[0] == "rollout" and source.path.name.startswith("host"):
        return True
    return source.module == ("spaces", "gymnasium") and inside_function(source.tree, node)


def breach(source: Source, node: ast.AST, name: tuple[str, ...]) -> str | None:
    """What is wrong with one import, or `None`."""
    me = source.module[0]
    if name == ("?",):
        return "imports a module whose name is only known at run time; write the import out"
    if name[0] in SIMULATORS and not may_import_simulators(source, node):
        return f"imports {name[0]}; only envs/ and rollout/host*.py may (spaces/gymnasium.py inside functions)"
    if name[0] != "logpi":
        return None
    if len(name) < 2 or (name[1] not in RANK and name[1] != me):
        return f"imports {'.'.join(name)}, which is no module of a layer: import from the module that defines it"
    if (me, name[1]) in FORBIDDEN:
        return f"imports {name[1]}: {me} never does"
    if name[1] != me and RANK[name[1]] >= RANK[me]:
        return f"(layer {RANK[me]}) imports {name[1]} (layer {RANK[name[1]]}); imports only go down"
    return None


def breaches(package: Path) -> list[str]:
    """All breaches in `package`, each as `path:line sentence`."""
    found = []
    for source in sources(package):
        if source.path.name in ("__init__.py", "__main__.py", "_lazy.py") and len(source.path.parts) == 1:
            continue
        if source.module[0] not in RANK:
            found.append(f"{source.path}:1 belongs to no layer; give '{source.module[0]}' a place in LAYERS")
            continue
        for node, name in imports(source):
            if sentence := breach(source, node, name):
                found.append(f"{source.at(node)} {sentence}")
    return sorted(set(found))


def test_imports_only_go_down() -> None:
    assert breaches(PACKAGE) == []


def test_every_layer_is_in_the_architecture_page() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    missing = [module for module in RANK if f"`{module}" not in page]
    assert missing == []


PLANTED = {
    "upward": ("credit.py", "from logpi.rollout import collect\n", "imports rollout (layer 5)"),
    "upward, relative": ("models/mlp.py", "from ..algorithms import PPO\n", "imports algorithms (layer 6)"),
    "upward, the package": ("models/mlp.py", "from .. import batch\n", "imports batch (layer 5)"),
    "upward, in a function": ("credit.py", "def f():\n    import logpi.envs.base\n", "imports envs (layer 2)"),
    "upward, by name": (
        "parameters.py",
        "import importlib\nimportlib.import_module('logpi.cli')\n",
        "imports cli (layer 12)",
    ),
    "by a name not known": (
        "parameters.py",
        "import importlib\nx = 'a'\nimportlib.import_module(x)\n",
        "only known at run time",
    ),
    "the same layer": ("batch.py", "from logpi.rollout import act\n", "imports rollout (layer 5)"),
    "the front door": ("credit.py", "from logpi import GAE\n", "no module of a layer"),
    "algorithms and envs": ("algorithms/ppo.py", "from logpi.envs import make\n", "algorithms never does"),
    "algorithms and rollout": ("algorithms/ppo.py", "from ..rollout import Compiled\n", "algorithms never does"),
    "gymnasium": ("training/loop.py", "def f():\n    import gymnasium\n", "imports gymnasium"),
    "gymnasium at import in spaces": ("spaces/gymnasium.py", "import gymnasium.spaces\n", "imports gymnasium"),
    "gymnasium in a compiled rollout": ("rollout/compiled.py", "import gymnasium\n", "imports gymnasium"),
    "no layer": ("misc.py", "", "belongs to no layer"),
}


@pytest.mark.parametrize("case", PLANTED)
def test_the_check_can_fail(case: str, tmp_path: Path) -> None:
    path, text, sentence = PLANTED[case]
    found = breaches(plant(tmp_path, {path: text}))
    assert len(found) == 1 and sentence in found[0], found


def test_the_check_lets_pass_what_is_right(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from logpi.training import train\n",
        "spaces/gymnasium.py": "def f():\n    import gymnasium\n",
        "envs/__init__.py": "from .base import AbstractEnv\n",
        "envs/gymnasium.py": "import gymnasium\nfrom ..spaces import Box\nfrom . import base\n",
        "rollout/host.py": "import envpool\nfrom logpi.trajectory import Trajectory\n",
        "algorithms/ppo.py": "from .. import credit\nfrom .base import AbstractAlgorithm\nimport jax\n",
        "cli/main.py": "import importlib\nimportlib.import_module('logpi.training')\n",
    }
    assert breaches(plant(tmp_path, files)) == []
