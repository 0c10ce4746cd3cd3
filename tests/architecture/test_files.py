"""What is under version control: files with plain names, on every system, and nothing that a training left."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.architecture.source import ROOT

PLAIN = re.compile(r"[A-Za-z0-9._/-]+")
LEFT_BY_A_RUN = re.compile(r"(^|/)(policy-seed\d+\.safetensors|metrics\.jsonl|manifest\.json)$")


def breaches(names: list[str]) -> list[str]:
    """The names that should not be there."""
    left = {name.rpartition("/")[0] for name in names if LEFT_BY_A_RUN.search(name) and not name.startswith("tests/")}
    odd = [name for name in names if not PLAIN.fullmatch(name)]
    return sorted({*odd, *(name for name in names if name.rpartition("/")[0] in left)})


def test_files_have_plain_names_and_no_run_is_among_them() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    assert breaches([name for name in listed.decode("utf-8", "replace").split("\0") if name]) == []


@pytest.mark.parametrize("planted", ["\x1b[2J\n/config.json", "caf\u00e9.md", "abc/policy-seed0.safetensors", "a b.py"])
def test_the_check_can_fail(planted: str) -> None:
    assert breaches(["logpi/errors.py", planted]) == [planted]
