"""A virtual environment for each peer, of pinned versions, made when it is missing or its pins have changed.

They lie in the folder `here` of a benchmark, as its `peers/requirements-NAME.txt` do.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = ".venvs"


def requirements_of(name: str, here: Path = HERE) -> Path:
    """The pins of a peer."""
    return here / "peers" / f"requirements-{name}.txt"


def python_of(name: str, here: Path = HERE) -> Path:
    """The interpreter of a peer's environment, made or not."""
    return here / FOLDER / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ensure(name: str, here: Path = HERE) -> None:
    """Makes the environment of a peer, unless it stands with these very pins. Says so, for it takes a minute."""
    folder, requirements = here / FOLDER / name, requirements_of(name, here)
    stamp = folder / "requirements.sha256"
    pins = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == pins:
        return
    print(f"Making the environment of {name} in {folder} (once) ...", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)], name)
    # pip and not uv: it takes torch's build for CPUs (2.13.0+cpu) for the pin 2.13.0 wherever it is offered one.
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
    _run([str(python_of(name, here)), *install], name)
    _warn_of_cuda(name, folder)
    stamp.write_text(pins)


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The environment of {name} could not be made: {done.stderr.strip()[-2000:]}")


def _warn_of_cuda(name: str, folder: Path) -> None:
    if list(folder.glob("lib/python*/site-packages/nvidia*")):
        print(
            f"Note: pip found torch for CUDA only, so the environment of {name} takes some gigabytes more than it "
            "needs. It measures the same, for all peers run on the CPU. A CPU wheel in PIP_FIND_LINKS avoids it.",
            file=sys.stderr,
        )
