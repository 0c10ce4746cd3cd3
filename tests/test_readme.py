"""What the README and its sisters promise is there: commands, flags, extras, links. `test_docs` runs their blocks."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))),
)


def page(name: str) -> str:
    """The text of a page of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def logpi_command(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What the command line does with some arguments, as in a terminal that is wide enough not to break words."""
    code = "import sys; from logpi.cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("name", PAGES)
def test_every_make_target_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), flags=re.MULTILINE))
    commands = re.findall(r"(?:^|`)make ([a-z-]+)", page(name), flags=re.MULTILINE)
    assert set(commands) <= targets
    assert commands or name.startswith("docs/")


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page(name))
    missing = [link for link in links if "://" not in link and not (ROOT / name).parent.joinpath(link).exists()]
    assert missing == []


def test_every_extra_exists() -> None:
    extras = tomllib.loads(page("pyproject.toml"))["project"]["optional-dependencies"]
    table = page("README.md").split("| extra | for |")[1].split("\n\n")[0]
    first_column = "".join(line.split("|")[1] for line in table.splitlines()[1:])
    assert set(re.findall(r"`([a-z0-9]+)`", first_column)) == set(extras)


@pytest.mark.parametrize("command", ["train", "resume", "evaluate", "watch"])
def test_every_flag_exists(command: str) -> None:
    usage = re.search(rf"^logpi {command} [A-Z]+ \[.*$", page("README.md"), flags=re.MULTILINE)
    flags = re.findall(r"--[a-z-]+", usage[0]) if usage else []
    helped = logpi_command(command, "--help")
    assert flags and helped.returncode == 0, helped.stderr
    assert [flag for flag in flags if flag not in helped.stdout] == []
