"""The wall time of a training: a line for each round, which goes on after a resume."""

from __future__ import annotations

from pathlib import Path

import pytest

from logpi.errors import InputError
from logpi.runs.journals import read_times, TIMES, Times


def test_each_round_is_a_line(tmp_path: Path) -> None:
    times = Times(tmp_path, 0)
    times.add(3, 0.5)
    times.add(7, 1.25)
    assert read_times(tmp_path) == [{"iteration": 3, "seconds": 0.5}, {"iteration": 7, "seconds": 1.25}]


def test_a_resumed_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    before = Times(tmp_path, 0)
    for iteration, seconds in ((2, 1.0), (4, 2.0), (6, 3.0)):
        before.add(iteration, seconds)
    Times(tmp_path, 4).add(8, 0.5)
    assert [(line["iteration"], line["seconds"]) for line in read_times(tmp_path)] == [(2, 1.0), (4, 2.0), (8, 2.5)]


def test_a_training_of_which_nothing_came_leaves_no_file(tmp_path: Path) -> None:
    Times(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_line_in_part_is_left_out_and_a_wrong_one_named(tmp_path: Path) -> None:
    (tmp_path / TIMES).write_text('{"iteration": 1, "seconds": 2}\n{"itera')
    assert read_times(tmp_path) == [{"iteration": 1, "seconds": 2}]
    (tmp_path / TIMES).write_text('{"iteration": "x", "seconds": 2}\n')
    with pytest.raises(InputError, match="is no line of it"):
        read_times(tmp_path)


def test_no_folder_and_no_room_stop_nothing(tmp_path: Path) -> None:
    Times(None, 0).add(1, 1.0)
    (tmp_path / "gone").mkdir()
    times = Times(tmp_path / "gone", 0)
    (tmp_path / "gone").rmdir()
    times.add(1, 1.0)
    assert not (tmp_path / "gone").exists()
