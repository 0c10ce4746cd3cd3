"""The front door: help, version, exit statuses, and nothing heavy imported for it."""

import os
import subprocess
import sys

import pytest

import logpi
from logpi.cli import main as front

RUN = "import sys; from logpi.cli.main import main; sys.exit(main())"
HEAVY = "\nprint('LOADED', *({m.split('.')[0] for m in sys.modules} & {'jax', 'equinox', 'gymnasium', 'scipy'}))"


def test_help_names_every_command_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert front.main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in front.COMMANDS:
        assert f"\n  {command} " in text and f"\n  logpi {command} " in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert front.main(["--version"]) == 0
    assert capsys.readouterr().out == f"logpi {logpi.__version__}\n"


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert front.main([]) == 2
    assert capsys.readouterr().err == front.HELP


@pytest.mark.parametrize("arguments", [["--help"], ["evaluate", "--help"], ["watch", "--help"], ["tran"]])
def test_what_needs_no_jax_imports_none(arguments: list[str]) -> None:
    code = f"import sys\nfrom logpi.cli.main import main\ntry:\n    main({arguments})\nexcept SystemExit: pass" + HEAVY
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_python_m_logpi() -> None:
    done = subprocess.run([sys.executable, "-m", "logpi", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"logpi {logpi.__version__}\n")


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", RUN, "--help"], stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left on device", "/x"), 2, "No space left on device (/x)"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."), 2, "fewer --envs"),
    ],
)
def test_exit_statuses(
    error: BaseException,
    status: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(front, "_dispatch", fail)
    assert front.main(["train"]) == status
    said = capsys.readouterr().err
    assert sentence in said and len(said.splitlines()) == bool(sentence)


def test_faults_of_ours_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: list[str]) -> int:
        raise RuntimeError("a fault")

    monkeypatch.setattr(front, "_dispatch", fail)
    with pytest.raises(RuntimeError, match="a fault"):
        front.main(["train"])
