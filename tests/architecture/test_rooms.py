"""What few need to know, few know: each of these things is known in its rooms alone.

- Whether environments are compiled, which devices and which threads there are: in `rollout/` and `training/placement`.
- What NumPyro is made of: in `distributions/numpyro/`. What JAX is made of: in `jaxprs/`.

An exception has its reason beside it.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import numpyro.distributions
import pytest

from tests.architecture.source import Breach, classes, imports, PACKAGE, places, plant, Source, sources, unlisted

RUNS = ("rollout/", "training/placement.py")
ROOMS = {
    "asks .compiled": RUNS,
    "asks for devices": RUNS,
    "uses threads": RUNS,
    "knows NumPyro": ("distributions/numpyro/",),
    "knows JAX": ("jaxprs/",),
}
EXCEPTIONS = {
    ("audit/environments/walks.py", "uses threads"): "a call of a foreign environment that may never come back",
    ("cli/main.py", "uses threads"): "a signal is sent again once Python has cleared up",
    ("training/precompilation.py", "uses threads"): "the evaluation is compiled while training goes on",
    ("envs/sources.py", "uses threads"): "a lock: Gymnasium has one log level for the process",
    ("estimation/host_functions.py", "uses threads"): "the worker processes of `logpi.host`, and a lock",
    ("runs/folder.py", "asks for devices"): "the name of the device is written down",
    ("distributions/threefry.py", "asks for devices"): "which of two codes for the same numbers is the quick one",
    ("training/loop.py", "uses threads"): "a lock: the seeds of a host loop compile one program, once",
    ("training/signals.py", "uses threads"): "signals reach the main thread alone",
}
DEVICES = {"devices", "local_devices", "device_count", "local_device_count", "default_backend"}

BREACHES_LEFT: tuple[str, ...] = ()


@functools.cache
def numpyro_names() -> frozenset[str]:
    """The names of NumPyro's distributions, those left out that are ours too."""
    ours = {node.name for _, node in classes(sources(PACKAGE))}
    return frozenset(name for name in vars(numpyro.distributions) if name[0].isupper()) - ours


def module_touched(name: tuple[str, ...]) -> Iterator[str]:
    """What the import of a module touches."""
    if name[0] == "threading" or name[:2] == ("concurrent", "futures"):
        yield "uses threads"
    if name[0] == "numpyro":
        yield "knows NumPyro"
    if name[0] == "jax" and ("interpreters" in name or any(part.startswith("_") for part in name)):
        yield "knows JAX"
    if name[0] == "jax" and name[-1] in DEVICES:
        yield "asks for devices"


def expression_touched(node: ast.AST, calls: set[ast.AST]) -> Iterator[str]:
    """What an expression touches; `calls` are the functions that are called."""
    if isinstance(node, ast.Attribute):
        if node.attr == "compiled" and node not in calls:
            yield "asks .compiled"
        if node.attr == "primitive":
            yield "knows JAX"
        if isinstance(node.value, ast.Name) and node.value.id == "jax":
            yield from module_touched(("jax", node.attr))
    if isinstance(node, (ast.Compare, ast.match_case)):
        pattern = node.pattern if isinstance(node, ast.match_case) else node
        strings = {part.value for part in ast.walk(pattern) if isinstance(part, ast.Constant)}
        if strings & numpyro_names():
            yield "knows NumPyro"
    if isinstance(node, ast.Constant) and str(node.value).startswith("numpyro."):
        yield "knows NumPyro"


def touched(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """What a file touches, and where."""
    for node, name in imports(source):
        for what in module_touched(name):
            yield node, what
    calls = {node.func for node in ast.walk(source.tree) if isinstance(node, ast.Call)}
    for node in ast.walk(source.tree):
        for what in expression_touched(node, calls):
            yield node, what


def breaches(package: Path) -> list[Breach]:
    """Everything that is touched outside of its rooms, once for each definition."""
    found = {}
    for source in sources(package):
        place, path = places(source.tree), source.path.as_posix()
        for node, what in touched(source):
            if not path.startswith(ROOMS[what]) and (path, what) not in EXCEPTIONS:
                name = f"{place[node]} {what}"
                found.setdefault((path, name), Breach(source.at(node), name, f"and only {', '.join(ROOMS[what])} may"))
    return list(found.values())


def test_what_few_need_to_know_few_know() -> None:
    assert unlisted(breaches(PACKAGE), BREACHES_LEFT) == []


def test_every_exception_is_one() -> None:
    used = {(source.path.as_posix(), what) for source in sources(PACKAGE) for _, what in touched(source)}
    assert [exception for exception in EXCEPTIONS if exception not in used] == []


PLANTED = {
    "compiled": ("if source.compiled:\n    pass\n", "asks .compiled"),
    "devices": ("def f():\n    return jax.devices()[0]\n", "asks for devices"),
    "devices by name": ("from jax import local_devices\n", "asks for devices"),
    "threads": ("import threading\n", "uses threads"),
    "a pool": ("def f():\n    from concurrent.futures import ThreadPoolExecutor\n", "uses threads"),
    "a pool by its module": ("from concurrent import futures\n", "uses threads"),
    "NumPyro": ("def f():\n    from numpyro.distributions import Gamma\n", "knows NumPyro"),
    "NumPyro where it is loaded": ("d = sys.modules.get('numpyro.distributions')\n", "knows NumPyro"),
    "a class of NumPyro by name": ("type(x).__name__ in ('BernoulliLogits', 'BernoulliProbs')\n", "knows NumPyro"),
    "a case by name": ("match type(x).__name__:\n    case 'Gamma': pass\n", "knows NumPyro"),
    "private JAX": ("from jax._src import core\n", "knows JAX"),
    "private JAX, whole": ("def f():\n    return jax._src.core.Jaxpr\n", "knows JAX"),
    "JAX's interpreters": ("from jax.interpreters import ad\n", "knows JAX"),
    "a primitive": ("x = eqn.primitive.name == 'scan'\n", "knows JAX"),
}


@pytest.mark.parametrize("case", PLANTED)
def test_the_check_can_fail(case: str, tmp_path: Path) -> None:
    text, what = PLANTED[case]
    found = breaches(plant(tmp_path, {"a.py": text}))
    assert len(found) == 1 and found[0].name.endswith(what), found


def test_the_check_lets_pass_what_is_right(tmp_path: Path) -> None:
    files = {
        "a.py": "listener.compiled(3)\nfrom .compiled import f\nx = {'Gamma': 1}\nimport jax\njax.numpy.devices\n",
        "rollout/a.py": PLANTED["compiled"][0] + PLANTED["devices"][0] + PLANTED["threads"][0],
        "training/placement.py": PLANTED["a pool"][0],
        "distributions/numpyro/a.py": PLANTED["NumPyro"][0] + PLANTED["a class of NumPyro by name"][0],
        "jaxprs/a.py": PLANTED["private JAX"][0] + PLANTED["a primitive"][0],
        "training/signals.py": PLANTED["threads"][0],
    }
    assert breaches(plant(tmp_path, files)) == []
