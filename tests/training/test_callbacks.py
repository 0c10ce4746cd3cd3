"""Callbacks: what they may do to a training, and what they leave as it is."""

from pathlib import Path
from typing import Any

import pytest

import logpi
from logpi import InputError
from logpi.progress.events import Advanced, as_callbacks, Compiling, Event, Finished
from logpi.report.digest import summary
from tests.training.test_resume import files, train


def after(iterations: int, act: Any) -> Any:
    """A callback that acts once so many iterations are done."""

    def callback(event: Event) -> None:
        if isinstance(event, Advanced) and event.rows[-1]["iteration"] >= iterations:
            act(event)

    return callback


def test_those_that_only_look_change_no_bit(tmp_path: Path) -> None:
    seen: list[Any] = []
    train(tmp_path / "quiet")
    train(tmp_path / "looked", callbacks=[seen.append, after(1, lambda event: seen.append(event.run.policy))])
    assert files(tmp_path / "looked") == files(tmp_path / "quiet") and len(seen) > 5


def test_one_ends_the_training_and_says_why(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    heard: list[Event] = []
    stops = after(3, lambda event: event.stop(f"enough at {event.steps}"))
    run = train(
        tmp_path / "run", checkpoint_every=1, callbacks=[stops, after(3, lambda e: e.stop("later")), heard.append]
    )
    done = run.summary["updates"]
    assert 3 <= done < whole.summary["updates"] and run.history == whole.history[: len(run.history)]
    assert run.summary["stopped"] == f"enough at {run.summary['steps']}" and not run.summary["interrupted"]
    assert heard[-1] == Finished(False, run.summary["stopped"])
    assert f"ended early (enough at {run.summary['steps']})" in summary(tmp_path / "run", 500)
    logpi.resume(tmp_path / "run")
    assert files(tmp_path / "run") == files(tmp_path / "whole")


def test_the_run_of_an_event_is_of_its_time_and_can_be_saved(tmp_path: Path) -> None:
    kept: dict[int, Any] = {}

    def keep(event: Any) -> None:
        kept[event.run.summary["updates"]] = event.run
        event.run.save(tmp_path / f"after-{event.run.summary['updates']}")

    run = train(tmp_path / "run", checkpoint_every=2, callbacks=after(1, keep))
    assert len(kept) >= 2 and max(kept) == run.summary["updates"]
    for updates, early in kept.items():
        assert len(early.history) == updates and len(logpi.load(tmp_path / f"after-{updates}").history) == updates
    assert files(tmp_path / f"after-{max(kept)}") == files(tmp_path / "run")
    first = min(kept)
    assert files(tmp_path / f"after-{first}") != files(tmp_path / "run")


@pytest.mark.parametrize("kind", [Advanced, Finished])
@pytest.mark.parametrize("folder", [True, False])
def test_what_one_raises_ends_the_training_with_all_that_was_learned(kind: type, folder: bool, tmp_path: Path) -> None:
    heard: list[Event] = []

    def raises(event: Event) -> None:
        if isinstance(event, kind):
            raise ZeroDivisionError("of the user's")

    with pytest.raises(ZeroDivisionError, match="user's") as error:
        train(tmp_path / "run" if folder else None, callbacks=[heard.append, raises])
    run = error.value.run  # pyright: ignore[reportAttributeAccessIssue]
    assert len(run.history) == run.summary["updates"] >= 1 and isinstance(heard[-1], Finished)
    assert run.policy([0.0] * 4) in (0, 1)
    if folder:
        assert len(logpi.load(tmp_path / "run").history) == len(run.history)


@pytest.mark.parametrize("why", ["", "  ", 3, None, "two\nlines", "\x1b[2J"])
def test_a_reason_is_a_text_on_one_line(why: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="say why"):
        train(tmp_path / "run", callbacks=after(1, lambda event: event.stop(why)))


def test_what_is_no_function_is_refused() -> None:
    heard: list[Event] = []
    as_callbacks([heard.append, heard.append])(Compiling())
    as_callbacks(heard.append)(Compiling())
    as_callbacks(())(Compiling())
    assert heard == [Compiling()] * 3
    for wrong in (3, "print", None, [print, 3], ["print"]):
        with pytest.raises(InputError, match="callbacks"):
            as_callbacks(wrong)
