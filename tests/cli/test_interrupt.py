"""Ctrl-C, SIGTERM, and readers that go away, in processes of their own."""

import gc
import json
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

import logpi
from logpi.cli import main as main_module
from logpi.training.signals import catch_signals, SIGNALS
from tests.cli.conftest import SMALL

RUN = [sys.executable, "-c", "import sys; from logpi.cli.main import main; sys.exit(main())"]


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Until a file has something in it, or the process has ended."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None and not (path.exists() and path.stat().st_size):
        time.sleep(0.05)


def test_ctrl_c_saves_what_was_learned(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*RUN, "train", "CartPole-v1", *SMALL, "--steps", "1e9", "--json", "--out", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(folder / "metrics.jsonl", process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err and "interrupted" in err and f"saved in {folder}" in err
    summary = json.loads(out)
    run = logpi.load(folder)
    assert 0 < summary["steps"] < 1e9 and summary["return_mean"] is None
    assert run.summary["interrupted"] is True and run.history[-1]["steps"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_training_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*RUN, "train", "CartPole-v1", *SMALL, "--out", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()  # what it will do; then it compiles
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number and "Traceback" not in said
    assert not list(folder.glob("*"))


def test_a_reader_that_goes_away_does_not_end_the_training(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*RUN, "train", "CartPole-v1", *SMALL, "--evaluate-episodes", "2", "--out", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.stderr.close()
        assert process.wait(timeout=120) == 0
    assert (folder / "evaluation.json").exists() and logpi.load(folder).history


@pytest.mark.parametrize(
    ("number", "module"),
    [
        (signal.SIGTERM, "jaxlib"),
        (signal.SIGTERM, "equinox"),
        (signal.SIGINT, "jax.numpy"),
        (signal.SIGINT, "jaxlib.mlir._mlir_libs._mlirHlo"),  # by JAX when it compiles; it drops what is raised
    ],
)
def test_a_signal_in_an_import_waits_for_its_end(number: signal.Signals, module: str, tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
def hook(event, arguments):
    if event == "import" and arguments[0] == {module!r}:
        os.kill(os.getpid(), {int(number)})
        for _ in range(1000):  # here Python meets it
            pass
sys.addaudithook(hook)
from logpi.cli.main import main
status = main(["train", "CartPole-v1", "--out", {str(tmp_path / "run")!r}])
print({module!r} in sys.modules and "logpi.cli.fields" in sys.modules)
sys.exit(status)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (128 + number, "True\n") and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def collected(number: signal.Signals) -> None:
    def callback(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            signal.raise_signal(number)
        else:
            gc.callbacks.remove(callback)

    gc.callbacks.append(callback)
    gc.collect()


def finalized(number: signal.Signals) -> None:
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(number)

    Dying()


def imported(number: signal.Signals) -> None:
    class Lock:
        """As Python has one for each import, which is dropped by the callback of a weak reference."""

    lock = Lock()
    reference = weakref.ref(lock, lambda _: signal.raise_signal(number))
    del lock
    assert reference() is None


def translated(number: signal.Signals) -> None:
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        raise SystemError("<built-in function> returned a result with an exception set") from None


@pytest.mark.parametrize("where", [collected, finalized, imported, translated])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_where_its_exception_is_dropped_is_not_lost(
    number: signal.Signals, where: Callable[[signal.Signals], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(arguments: list[str]) -> int:
        where(number)
        time.sleep(5)
        return 0

    hook = sys.unraisablehook
    monkeypatch.setattr(main_module, "_dispatch", command)
    assert main_module.main([]) == 128 + number
    assert sys.unraisablehook is hook


def test_a_handler_that_is_not_pythons_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(signal, "getsignal", lambda number: None)
        with catch_signals():
            patch.undo()
            assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_forked_child_is_terminated_as_any_other() -> None:
    code = """
import multiprocessing, sys, time
from logpi.cli import main
here, there = multiprocessing.Pipe()
def sleep():
    there.send("begun")
    time.sleep(10)
def forks(arguments):
    child = multiprocessing.get_context("fork").Process(target=sleep)
    child.start()
    here.recv()
    child.terminate()
    child.join()
    print(child.exitcode)
    return 0
main._dispatch = forks
sys.exit(main.main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "-15\n", "")


DROPPED = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from logpi.cli import main
main.UNWINDING = 0.2
with main._interruptible() as came:
    try:
        os.kill(os.getpid(), {number})
        time.sleep(5)
    except BaseException:
        pass  # as code does that is not Python's, and calls it
    try:
        time.sleep(5)
    finally:
        time.sleep(0.5)
        print(came, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_dropped_in_silence_comes_again(number: signal.Signals) -> None:
    """And clearing up after it, which takes longer than the wait, is left in peace."""
    code = DROPPED.format(number=int(number))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"[{int(number)}, {int(number)}]\n" and "time.sleep(0.5)" not in done.stderr
