"""Every bad input of the table gets its sentence: status 2 without a traceback, or an `InputError`."""

import shutil
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest

from logpi import InputError
from logpi.cli.main import main
from tests.reliability import folders
from tests.reliability.bad_inputs import Bad, every, PAGE, page

# Those of the command line, of functions f and of demonstrations are tried where they are written.
ROWS = [row for row in every() if row.kind not in ("command line", "function f", "demonstrations")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.run().save(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "run"))


@pytest.fixture
def as_users_have_it():
    """Without the run-time type checks of the tests, which would speak first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_sentence(row: Bad, folder: Path) -> None:
    with pytest.raises(InputError, match=row.sentence) as caught:
        row.attempt(folder)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 700 and said.endswith((".", ")")), said


@pytest.mark.parametrize("hostile", ["a configuration that is a link", "a deep network", "a seed that leads away"])
def test_every_command_refuses_the_folder(hostile: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attempt, _ = folders.HOSTILE[hostile]
    with pytest.raises(InputError):
        attempt(folder)
    before = sorted(path.name for path in folder.iterdir())
    for command in (["resume"], ["evaluate"], ["watch", "--video", "a.gif"], ["audit", "run"], ["train", "--from"]):
        assert main([*command, str(folder)]) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said and "logpi: " in said
    assert sorted(path.name for path in folder.iterdir()) == before


def test_there_are_enough_of_every_kind() -> None:
    rows = every()
    assert len(rows) >= 60 and len({str(row) for row in rows}) == len(rows)
    for kind in ("command line", "Python", "environment", "policy", "function f", "run folder"):
        assert sum(row.kind == kind for row in rows) >= 5, kind


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it with: python -m tests.reliability.bad_inputs"


def test_a_whole_folder_is_loaded(folder: Path) -> None:
    load: Callable[..., object] = folders.logpi.load
    assert load(folder).seeds == (0,)
