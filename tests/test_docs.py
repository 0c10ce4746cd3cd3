"""Every code block of every page runs, and the site is built from them without a warning."""

import dataclasses
import inspect
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import webbrowser
from pathlib import Path

import numpy as np
import pytest

import logpi
from logpi.cli.fields import settings_flags
from logpi.cli.main import main
from logpi.cli.train import FLAGS
from logpi.runs import presets
from logpi.runs.settings import names_of

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
}
MAIN = 'if __name__ == "__main__":'
# Of blocks in "py", which need what the locks do not hold: they run where it is installed, and this short.
SHORT = "steps=2048, num_envs=2, rollout_length=1024, num_minibatches=8, num_epochs=1"  # a game of Pong is of some 800
NEEDS = {"docs/from_sb3.md": (("ale_py",), ("steps=10_000_000", SHORT))}
# What makes a command of the pages a matter of seconds; it stands behind what the page says, and the last one counts.
SHORTER = {
    "train": "--steps 256 --envs 2 --rollout-length 32 --num-minibatches 1 --num-epochs 1 --evaluate-episodes 2",
    "resume": "--evaluate-episodes 2",
    "report": "--quick",
    "audit": "--batches 4 --updates 1 --episodes 8",
}


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[name], flags=re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Every command of ours in the pages' shell blocks, once, without its comment."""
    lines = [line for name in PAGES for block in blocks(name, "sh") for line in block.splitlines()]
    ours = [re.sub(r"\s+#.*", "", line) for line in lines if line.startswith("logpi ")]
    return sorted(set(ours))


@pytest.mark.parametrize("name", [name for name in PAGES if blocks(name, "python")])
def test_the_blocks_of_a_page_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong together, as one file; their own assertions hold. Trainings by a preset are shorter than it says."""
    for env, preset in presets.PRESETS.items():
        monkeypatch.setitem(presets.PRESETS, env, dataclasses.replace(preset, steps=4096))
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks(name, "python")), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))


@pytest.mark.parametrize("name", [name for name in PAGES if blocks(name, "py")])
def test_blocks_that_need_more_run_where_it_is(name: str, tmp_path: Path) -> None:
    packages, (long, short) = NEEDS[name]
    code = "\n".join(blocks(name, "py"))
    assert long in code
    for package in packages:
        pytest.importorskip(package)
    (tmp_path / "page.py").write_text(f"import gymnasium as gym\n\nimport logpi\n\n{code.replace(long, short)}")
    runpy.run_path(str(tmp_path / "page.py"))


@pytest.mark.parametrize("name", [name for name in PAGES if MAIN in PAGES[name]])
def test_what_a_page_guards_runs_as_a_script(name: str, tmp_path: Path) -> None:
    """A block that starts processes, which import the script again: alone, as each would do the whole page anew."""
    for block in blocks(name, "python"):
        if MAIN in block:
            (tmp_path / "page.py").write_text(f"import logpi\n\n{block}")
            assert "run" in runpy.run_path(str(tmp_path / "page.py"), run_name="__main__")


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run, of one seed."""
    folder = tmp_path_factory.mktemp("docs") / "run"
    logpi.train("CartPole-v1", steps=256, num_envs=2, rollout_length=32, out=folder)
    return folder


def test_there_are_commands() -> None:
    assert {line.split()[1] for line in commands()} == {
        "train", "resume", "evaluate", "watch", "list", "show", "report", "explain", "audit",
    }  # fmt: skip


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_pages_runs(
    line: str, a_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shortened, in a folder that holds the runs that it names."""
    words = shlex.split(line)[1:]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(webbrowser, "open", lambda url: True)
    if "--follow" in words:
        pytest.skip("it does not end by itself: tests/report drives it")
    if words[0] != "train":
        for folder in re.findall(r"runs/\w+", line):
            (tmp_path / "runs").mkdir(exist_ok=True)
            shutil.copytree(a_run, tmp_path / folder, dirs_exist_ok=True)
    if "--warm-start" in words:
        np.savez(words[words.index("--warm-start") + 1], observations=np.zeros((20, 4)), actions=np.arange(20) % 2)
    status = main([*words, *SHORTER.get(words[0], "").split()])
    assert status in ((0, 1) if words[0] == "audit" else (0,)), capsys.readouterr().err


def test_what_the_tables_of_other_libraries_lead_to_is_there() -> None:
    """Flags of `logpi train`, and names of `train` or of settings."""
    rows = [line for line in PAGES["docs/from_sb3.md"].splitlines() if line.startswith("|")]
    cells = [cell for row in rows for cell in re.findall(r"`(.+?)`", row.split(" | ")[-1])]
    flags = {spelling for flag in [*FLAGS, *settings_flags(logpi.preset("CartPole-v1"))] for spelling in flag.spelled}
    assert len(said := [cell.split()[0] for cell in cells if cell.startswith("--")]) >= 19
    assert {flag for flag in said if flag not in flags} == set()
    names = names_of(logpi.preset("CartPole-v1")) | set(inspect.signature(logpi.train).parameters)
    assert len(said := [cell.partition("=")[0] for cell in cells if re.fullmatch(r"[a-z_]+(=[^ ].*)?", cell)]) >= 16
    assert {name for name in said if name not in names} == set()


def test_the_command_reference_gives_defaults_of_0() -> None:
    text = runpy.run_path(str(ROOT / "tools" / "site_pages.py"))["commands"]()
    assert "| `--seed S` | `0` |" in text
    assert "| `--json` |  |" in text and "| `--seeds K` |  |" in text  # where nothing is the default, there is none


def test_the_site_is_built(tmp_path: Path) -> None:
    """Strictly: a link that leads nowhere, or a page in no menu, would end it."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "--checkpoint-every" in (tmp_path / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
    reference = (tmp_path / "reference" / "python" / "index.html").read_text(encoding="utf-8")
    assert "Schulman" in reference
    assert 'id="logpi.credit.GAE.__call__"' in reference  # whose docstring is that of `AbstractCredit`
    pages = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("index.html"))
    loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', pages)
    assert loaded == []  # from elsewhere
