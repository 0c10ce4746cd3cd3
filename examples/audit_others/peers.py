"""Makes the libraries that are audited importable: as installed beside logpi, or from the benchmarks' environments."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = {
    "stable_baselines3": ("speed", "sb3"),
    "rejax": ("speed", "rejax"),
    "optax": ("estimators", "optax"),
}


def folder_of(package: str) -> Path | None:
    """Where a benchmark's environment keeps its packages; `None` where it has not been made."""
    benchmark, name = ENVIRONMENTS[package]
    found = sorted((ROOT / "benchmarks" / benchmark / ".venvs" / name).glob("lib/python*/site-packages"))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"  # compiled packages are for one Python
    return next((path for path in found if path.parent.name == version), None)


def make_importable(package: str, *, first: bool = False) -> bool:
    """Whether `package` can now be imported. `first`: the environment's packages go before those beside logpi."""
    folder = folder_of(package)
    if not first and importlib.util.find_spec(package) is not None:
        return True
    if folder is None:
        return False
    sys.path.insert(0, str(folder)) if first else sys.path.append(str(folder))
    return importlib.util.find_spec(package) is not None


def need(package: str, pin: str, *, first: bool = False) -> None:
    """Ends the program with a sentence where `package` cannot be imported."""
    if not make_importable(package, first=first):
        benchmark, _ = ENVIRONMENTS[package]
        sys.exit(
            f"{package} is not installed: pip install {pin}, or let `python -m benchmarks.{benchmark}` install it."
        )
