"""tools/environment.sh says in one sentence why it cannot make an environment, and how to mend it."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def environment(python: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """An attempt to make an environment in `folder` with an interpreter."""
    return subprocess.run(
        ["sh", "tools/environment.sh", str(folder), "requirements/base.lock"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHON": python, "MAKE_TARGET": "cartpole"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    done = environment("python3.99", tmp_path / "venv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "logpi: Python 3.11 or newer is needed and 'python3.99' was not found; "
        "name one, for example: make cartpole PYTHON=python3.12\n"
    )
    assert not (tmp_path / "venv").exists()


def test_an_interpreter_that_is_too_old(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$2" in *version_info\\[:3\\]*) echo 3.9.18 ;; *) exit 1 ;; esac\n')
    old.chmod(0o755)
    done = environment(str(old), tmp_path / "venv")
    assert done.returncode == 2
    assert f"Python 3.11 or newer is needed and '{old}' is 3.9.18; name one" in done.stderr
    assert not (tmp_path / "venv").exists()
