"""A listener is a function of an event: what it hears, in which order, and what a training does when it raises."""

from pathlib import Path

import pytest

import logpi
from logpi import InputError
from logpi.progress.events import Advanced, as_callbacks, Compiled, Compiling, Event, fan_out, Finished, Planned
from logpi.runs.checkpoints import listed
from tests.training.test_resume import files, train


def test_a_function_hears_all_of_it_in_order(tmp_path: Path) -> None:
    heard: list[Event] = []
    run = train(tmp_path, seeds=2, callbacks=heard.append)
    first, *middle, last = heard
    assert isinstance(first, Planned) and (first.seeds, first.steps, first.out) == ((0, 1), 640, str(tmp_path))
    assert [type(event) for event in middle[:2]] == [Compiling, Compiled] and last == Finished(interrupted=False)
    advanced = [event for event in middle[2:] if isinstance(event, Advanced)]
    assert middle[2:] == advanced and [row for event in advanced for row in event.rows] == run.history
    assert advanced[-1].steps == run.summary["steps"]
    assert [event.seconds for event in advanced] == sorted(event.seconds for event in advanced)


def test_several_hear_each_event_in_turn() -> None:
    heard: list[tuple[str, Event]] = []
    listener = fan_out(*(lambda event, name=name: heard.append((name, event)) for name in "ab"))
    listener(Compiling())
    listener(Finished(interrupted=True))
    assert heard == [(name, event) for event in (Compiling(), Finished(interrupted=True)) for name in "ab"]


@pytest.mark.parametrize("kind", [Planned, Compiling, Compiled, Advanced, Finished])
def test_a_listener_that_raises_ends_the_training_and_resume_goes_on(kind: type, tmp_path: Path) -> None:
    train(tmp_path / "whole")

    def raises(event: Event) -> None:
        if isinstance(event, kind):
            raise ValueError("the disk of the listener is full")

    with pytest.raises(ValueError, match="of the listener"):
        train(tmp_path / "run", callbacks=raises)
    if kind in (Planned, Compiling, Compiled):  # nothing has been learned yet
        assert not (tmp_path / "run").exists()
        return
    assert listed(tmp_path / "run/checkpoints")
    logpi.resume(tmp_path / "run")
    assert files(tmp_path / "run") == files(tmp_path / "whole")


@pytest.mark.parametrize("wrong", [[3], ["print"], [[print]], int])
def test_what_is_no_function_is_refused(wrong) -> None:
    with pytest.raises(InputError, match="must be a function of an event"):
        as_callbacks(wrong)
