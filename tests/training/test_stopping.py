"""A training in a script: shown where somebody looks, ended by Ctrl-C with all that was learned."""

import io
import os
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import logpi
from logpi.progress import display
from logpi.progress.console import PlainProgress
from logpi.progress.display import progress_display
from logpi.progress.events import Advanced, Event, fan_out

SMALL = {"num_envs": 2, "rollout_length": 8, "width": 4}


def stopping(number: int, after: int = 1):
    """A listener that sends this process a signal after some rounds."""
    rounds = []

    def listen(event: Event) -> None:
        if isinstance(event, Advanced):
            rounds.append(event)
            if len(rounds) == after:
                os.kill(os.getpid(), number)

    return listen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_raises_what_was_learned(number: signal.Signals, tmp_path: Path) -> None:
    sentences = {}
    for out in (None, tmp_path / "run"):
        with pytest.raises(KeyboardInterrupt) as stop:
            logpi.train("CartPole-v1", steps=10**9, out=out, callbacks=stopping(number), **SMALL)
        run, sentences[out] = stop.value.run, str(stop.value)
        assert stop.value.signal == number and type(stop.value) is KeyboardInterrupt
        assert run.summary["interrupted"] and run.history and len(run.policies) == 1
    assert (
        "the `run` of this exception" in sentences[None] and f"is in {tmp_path / 'run'}." in sentences[tmp_path / "run"]
    )
    assert logpi.load(tmp_path / "run").history


def test_a_loop_of_trainings_is_ended() -> None:
    script = """
import signal, os, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import logpi
from logpi.progress.events import Advanced
def listen(event):
    if isinstance(event, Advanced):
        os.kill(os.getpid(), signal.SIGINT)
for seed in range(3):
    print("training", seed, flush=True)
    logpi.train("CartPole-v1", seed=seed, steps=10**9, num_envs=2, rollout_length=8, width=4, callbacks=listen)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "training 0\n" and done.returncode == -signal.SIGINT
    assert "interrupted after" in done.stderr.splitlines()[-1]


class Screen(io.StringIO):
    """A terminal, or not."""

    def __init__(self, terminal: bool):
        self.isatty = lambda: terminal  # type: ignore[method-assign]
        io.StringIO.__init__(self)


@pytest.mark.parametrize(
    ("terminal", "progress", "shown"),
    [(True, None, True), (True, False, False), (False, None, False), (False, True, True), (True, True, True)],
)
def test_it_is_shown_where_somebody_looks(
    terminal: bool, progress: bool | None, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    logpi.train("CartPole-v1", steps=16, progress=progress, **SMALL)
    assert ("CartPole-v1 with PPO, seed 0: 16 steps" in screen.getvalue()) == shown
    assert ("return" in screen.getvalue()) == shown


def test_a_notebook_draws_one_output_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    handle = types.SimpleNamespace(update=lambda output, raw: drawn.append(output["text/plain"]))

    def show(output: dict[str, str], raw: bool, display_id: bool) -> Any:
        assert raw and display_id and not drawn
        drawn.append(output["text/plain"])
        return handle

    shell = types.SimpleNamespace(kernel=None)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[misc]
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=show))  # type: ignore[misc]
    monkeypatch.setattr(display, "SECONDS_BETWEEN_DRAWINGS", 0.0)
    logpi.train("CartPole-v1", steps=64, **SMALL)
    lines = drawn[-1].splitlines()
    assert lines[0].startswith("CartPole-v1 with PPO") and sum(" steps/s" in line for line in lines) == 1
    assert "100%" in lines[-1] and not any("compiling" in line for line in lines)
    assert any("compiling ..." in text for text in drawn)


def test_an_interrupted_notebook_keeps_its_last_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    lines = display.NotebookLines()
    monkeypatch.setattr(lines, "_draw", lambda shown: drawn.append("\n".join(shown)))
    listener = fan_out(PlainProgress(lines=lines, every=0.0), stopping(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        logpi.train("CartPole-v1", steps=10**9, callbacks=listener, **SMALL)
    *_, numbers, last = drawn[-1].splitlines()
    assert "steps/s" in numbers and "return" in numbers and last.startswith("interrupted")


def test_a_shell_of_ipython_in_a_terminal_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[misc]
    assert isinstance(progress_display(True), PlainProgress) and not isinstance(progress_display(None), PlainProgress)
