"""`import logpi` and `logpi --help` are quick: what is heavy is imported when it is first used."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.architecture.source import plant, ROOT

HEAVY = ("jax", "jaxlib", "equinox", "optax", "numpyro", "flax", "gymnasium", "scipy", "matplotlib", "pandas")
REPORT = "\nimport sys\nprint('LOADED', *sorted({m.split('.')[0] for m in sys.modules}))\n"
HELP = """
import sys
from logpi.cli.main import main
sys.argv = ["logpi", "--help"]
try:
    sys.exit(main())
except SystemExit as stop:
    if stop.code:
        raise
"""


def python(code: str, folder: Path = ROOT) -> str:
    """What a fresh interpreter prints for `code`."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def heavy_after(code: str, folder: Path = ROOT) -> list[str]:
    """The heavy packages that are loaded once `code` has run in a fresh interpreter."""
    loaded = python(code + REPORT, folder).rsplit("LOADED", 1)[1].split()
    return [name for name in HEAVY if name in loaded]


def seconds(*command: str) -> float:
    """The shortest of five times."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
        times.append(time.perf_counter() - start)
    return min(times)


def test_import_is_lazy() -> None:
    assert heavy_after("import logpi") == []


def test_listing_the_names_is_lazy() -> None:
    assert heavy_after("import logpi; names = dir(logpi); assert set(logpi.__all__) <= set(names)") == []


def test_help_is_lazy() -> None:
    assert heavy_after(HELP) == []


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert python("import logpi\ntry:\n    logpi.nothing\nexcept AttributeError as e:\n    print(e)").strip()


def test_the_check_can_fail(tmp_path: Path) -> None:
    eager = plant(tmp_path, {"eager/__init__.py": "import scipy\n"})
    assert heavy_after("import eager", eager) == ["scipy"]


def test_the_names_of_the_heavy_packages_are_right() -> None:
    core = [name for name in HEAVY if name != "pandas"]
    assert [name for name in core if importlib.util.find_spec(name) is None] == []


@pytest.mark.slow
def test_help_takes_half_a_second() -> None:
    assert seconds(sys.executable, "-c", HELP) < 0.5


@pytest.mark.slow
def test_import_takes_little_more_than_jax() -> None:
    assert seconds(sys.executable, "-c", "import logpi") < 1.3 * seconds(sys.executable, "-c", "import jax")
