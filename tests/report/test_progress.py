"""What is said while a training goes on, in a log and in a terminal."""

import io
import math
from typing import Any

import pytest
from rich.console import Console

import logpi
from logpi.algorithms.base import ENTROPY
from logpi.measurements import Measurement
from logpi.progress.console import LineWriter, plain_line, PlainProgress, plan_lines, ProgressTracker
from logpi.progress.events import Advanced, Compiled, Compiling, Finished, Planned
from logpi.progress.live import Drawn, TerminalProgress


def plan(seeds: tuple[int, ...] = (0,), measurements: tuple[Measurement, ...] = logpi.PPO.measurements) -> Planned:
    """Ten iterations of 100 steps for each seed."""
    return Planned("Env-v0", "the twin.", "PPO", seeds, 1000, 10, 10, "somewhere", "cpu", "runs/x", measurements)


def row(seed: int, iteration: int, mean: float | None = 1.0, episodes: int = 10, **numbers: Any) -> dict[str, Any]:
    """A row of `metrics.jsonl` whose episodes have the variance 4 around `mean`."""
    measured = dict.fromkeys(("entropy", "kl", "explained_variance", "gradient_norm", "signal_to_noise"), 0.5)
    returns = {"return_mean": mean, "return_squares": None if mean is None else episodes * (mean**2 + 4.0)}
    return {"seed": seed, "iteration": iteration, "steps": 100 * iteration, "episodes": episodes if mean else 0,
            **returns, **measured, **numbers}  # fmt: skip


def test_the_plan_says_everything() -> None:
    lines = plan_lines(plan())
    assert lines[0] == "Env-v0 with PPO, seed 0: 1,000 steps, 10 environments x 10 steps a rollout, on cpu"
    assert [line.strip() for line in lines[1:]] == ["the twin.", "settings: somewhere", "folder:   runs/x"]
    assert "seeds 0, 5: 1,000 steps each" in plan_lines(plan((0, 5)))[0]
    assert "seeds 2 to 9: " in plan_lines(plan(tuple(range(2, 10))))[0]


def test_the_interval_of_one_seed_is_over_its_last_episodes() -> None:
    tracker = ProgressTracker(plan())
    tracker.add([row(0, 1, mean=1000.0, episodes=100)], 100, 0.1)
    tracker.add([row(0, 2, mean=50.0, episodes=100)], 200, 0.2)
    now = tracker.snapshot()
    assert now.average == 50.0  # the earlier hundred are forgotten
    assert now.margin == pytest.approx(1.96 * math.sqrt(4.0 / 99))


def test_the_interval_of_several_seeds_is_over_seeds() -> None:
    tracker = ProgressTracker(plan((0, 1)))
    tracker.add([row(0, 1, mean=1.0), row(1, 1, mean=3.0)], 200, 1.0)
    now = tracker.snapshot()
    assert now.average == 2.0
    assert now.margin == pytest.approx(12.706, abs=1e-3)  # Student's t with one degree of freedom, error 1
    assert now.done == 0.1


def test_before_any_episode_has_ended_there_is_no_return() -> None:
    tracker = ProgressTracker(plan(), everything=True)
    tracker.add([row(0, 1, mean=None, kl=None)], 100, 1.0)
    assert dict(tracker.snapshot().measurements())["return"] == "-"
    assert dict(tracker.snapshot().measurements())["KL"] == "-"


def test_only_what_the_algorithm_measures_is_shown() -> None:
    tracker = ProgressTracker(plan(measurements=(ENTROPY,)), everything=True)
    assert tracker.snapshot().measurements() == [("return", "-"), ("entropy", "-")]  # nothing yet
    own = {"seed": 0, "iteration": 1, "steps": 100, "episodes": 0, "return_mean": None, "return_squares": None}
    tracker.add([own | {"entropy": 0.5, "temperature": 0.2}], 100, 1.0)
    assert tracker.snapshot().measurements() == [("return", "-"), ("entropy", "0.5")]


def test_an_update_that_was_dropped_is_shown_beside_others() -> None:
    tracker = ProgressTracker(plan(), everything=True)
    tracker.add([row(0, 1, kl=None, dropped=True), row(0, 2, kl=0.25)], 200, 1.0)
    assert dict(tracker.snapshot().measurements())["KL"] == "0.25"


def test_the_remaining_time_is_that_of_the_newest_pace() -> None:
    tracker = ProgressTracker(plan())
    tracker.add([row(0, 1)], 100, 100.0)  # slow at first: it compiled
    for i in range(2, 6):
        tracker.add([row(0, i)], 100 * i, 100.0 + 10.0 * (i - 1))
    now = tracker.snapshot()
    assert now.steps_per_second == pytest.approx(10.0)
    assert now.seconds_left == pytest.approx(50.0)
    assert plain_line(now).startswith("500 steps  50%  10 steps/s  0:50 left  return 1 ±")


def test_a_log_gets_plain_lines() -> None:
    file = io.StringIO()
    progress = PlainProgress(file, everything=True)
    progress(plan())
    progress(Compiling())
    progress(Compiled(1.25))
    for i in range(1, 11):
        progress(Advanced([row(0, i)], 100 * i, 0.1 * i))
    progress(Finished(interrupted=True))
    lines = file.getvalue().splitlines()
    assert lines[4:6] == ["compiling ...", "compiled in 1.2 s"]
    assert lines[6].startswith("1,000 steps  100%  1,000 steps/s  return 1 ± 0.394  entropy 0.5  KL 0.5")
    assert lines[7:] == ["interrupted: what was learned so far is kept"]


def test_silence_once_nobody_reads() -> None:
    class Closed(io.StringIO):
        """A pipe whose reader has gone."""

        def write(self, text: str) -> int:
            raise BrokenPipeError

    lines = LineWriter(Closed())
    lines.say("one")
    lines.show("two")


def test_a_terminal_gets_a_bar_and_the_numbers() -> None:
    file = io.StringIO()
    progress = TerminalProgress(file, everything=True)
    progress(plan())
    progress(Compiling())
    progress(Compiled(1.25))
    progress(Advanced([row(0, 1)], 100, 0.1))
    progress(Advanced([row(0, i) for i in range(2, 11)], 1000, 1.0))
    progress(Finished(interrupted=False))
    text = file.getvalue()
    for piece in ("Env-v0 with PPO", "runs/x", "compiled in 1.2 s", "1,000 of 1,000 steps", "entropy 0.5"):
        assert piece in text


def test_whatever_goes_wrong_the_cursor_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = io.StringIO()
    progress = TerminalProgress(file)
    progress(plan())
    progress(Compiling())
    progress.close()
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert hidden in file.getvalue() and file.getvalue().rindex(shown) > file.getvalue().rindex(hidden)


@pytest.mark.parametrize("width", [10, 24, 40, 60, 80, 100, 160])
def test_the_live_view_fits_the_terminal(width: int) -> None:
    tracker = ProgressTracker(plan(), everything=True)
    tracker.add([row(0, 1, mean=-12345.678)], 100, 0.1)
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(Drawn(tracker.snapshot(), 1000))
    first, second = captured.get().splitlines()
    assert len(first.rstrip()) <= width and len(second.rstrip()) <= width
    assert second.startswith("return -1234"[:width]) and ("steps/s" in first) == (width >= 40)
    shown = second.split("  ")  # what is there is whole
    assert width < 24 or all(len(piece.rsplit(" ", 1)) == 2 and piece[-1].isdigit() for piece in shown if piece.strip())


def test_the_return_is_shown_and_the_rest_on_demand() -> None:
    for everything in (False, True):
        tracker = ProgressTracker(plan(), everything)
        tracker.add([row(0, 1)], 100, 0.1)
        assert ("entropy" in dict(tracker.snapshot().measurements())) == everything
        assert "return" in dict(tracker.snapshot().measurements())
