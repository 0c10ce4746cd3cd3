"""A virtual environment for each peer, of pinned versions, made when it is missing or its pins have changed."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE / ".venvs"


def requirements_of(name: str) -> Path:
    """The pins of a peer."""
    return HERE / "peers" / f"requirements-{name}.txt"


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment, made or not."""
    return FOLDER / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ensure(name: str) -> None:
    """Makes the environment of a peer, unless it stands with these very pins. Says so, for it takes a minute."""
    stamp = FOLDER / name / "requirements.sha256"
    pins = hashlib.sha256(requirements_of(name).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == pins:
        return
    print(f"Making the environment of {name} in {FOLDER / name} (once) ...", file=sys.stderr, flush=True)
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(FOLDER / name)], name)
    # pip and not uv: it takes torch's build for CPUs (2.13.0+cpu) for the pin 2.13.0 wherever it is offered one.
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements_of(name))]
    _run([str(python_of(name)), *install], name)
    _warn_of_cuda(name)
    stamp.write_text(pins)


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The environment of {name} could not be made: {done.stderr.strip()[-2000:]}")


def _warn_of_cuda(name: str) -> None:
    if list((FOLDER / name).glob("lib/python*/site-packages/nvidia*")):
        print(
            f"Note: pip found torch for CUDA only, so the environment of {name} takes some gigabytes more than it "
            "needs. It measures the same, for all peers run on the CPU. A CPU wheel in PIP_FIND_LINKS avoids it.",
            file=sys.stderr,
        )
