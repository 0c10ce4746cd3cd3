"""The locks pin every package with hashes, agree with each other and with pyproject.toml, and name no registry."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import logpi
from tests.architecture.source import ROOT

LOCKS = ("base", "test")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def entries(text: str) -> list[str]:
    """The logical lines of a lock: comments left out, continuation lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def pins(text: str) -> dict[str, Requirement]:
    """Every pinned requirement of a lock by its name."""
    found = [Requirement(entry.split("--hash")[0].strip()) for entry in entries(text)]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def breaches(text: str) -> list[str]:
    """What is wrong with a lock."""
    wrong = []
    for entry in entries(text):
        if not re.match(r"[A-Za-z0-9._-]+==[^\s;]+", entry) or "--hash=sha256:" not in entry:
            wrong.append(f"no pin with a hash: {entry[:60]}")
    if re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text):
        wrong.append("names where packages come from")
    return wrong


def unmet(requirements: list[str], locked: dict[str, Requirement]) -> list[str]:
    """The requirements that the lock does not satisfy."""
    wrong = []
    for requirement in map(Requirement, requirements):
        pin = locked.get(canonicalize_name(requirement.name))
        if pin is None or not requirement.specifier.contains(next(iter(pin.specifier)).version):
            wrong.append(str(requirement))
    return wrong


def read(lock: str) -> str:
    """The text of a lock."""
    return Path(ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_hashes(lock: str) -> None:
    assert len(pins(read(lock))) > 20
    assert breaches(read(lock)) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_the_locks_are_those_of_the_project(lock: str) -> None:
    extras = (
        ("plot", "video")
        if lock == "base"
        else ("test", "docs", "plot", "video", "mujoco", "box2d", "envpool", "gymnax")
    )
    wanted = PROJECT["dependencies"] + [r for extra in extras for r in PROJECT["optional-dependencies"][extra]]
    assert unmet([r for r in wanted if not r.startswith("logpi[")], pins(read(lock))) == []


def test_the_version_is_the_same_everywhere() -> None:
    assert logpi.__version__ == PROJECT["version"]


def test_the_locks_agree() -> None:
    """In their versions; a package may be for more systems in the tests' one."""
    base, test = ({name: pin.specifier for name, pin in pins(read(lock)).items()} for lock in LOCKS)
    assert {name: str(version) for name, version in base.items() if test.get(name) != version} == {}


PLANTED = {
    "no hash": "numpy==2.4.6\n",
    "no pin": "numpy>=2 \\\n    --hash=sha256:00\n",
    "an index": "--index-url x\nnumpy==2.4.6 --hash=sha256:00\n",
    "an address": "numpy==2.4.6 --hash=sha256:00\n# from " + "https" + "://example.org\n",
}


@pytest.mark.parametrize("case", PLANTED)
def test_the_check_can_fail(case: str) -> None:
    assert breaches(PLANTED[case]) != []


def test_the_check_of_what_is_met_can_fail() -> None:
    locked = pins("numpy==2.4.6 \\\n    --hash=sha256:00\n")
    assert unmet(["numpy>=2,<3"], locked) == []
    assert unmet(["numpy>=3", "jax"], locked) == ["numpy>=3", "jax"]
