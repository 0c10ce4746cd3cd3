"""The learning curve that is drawn with characters."""

import itertools
from typing import Any

from logpi.progress.terminal_curve import HEIGHT, learning_curve, WIDTH


def rows(returns: list[float | None], seeds: int = 1) -> list[dict[str, Any]]:
    """A row of 10 steps and 2 episodes for each return, of each seed."""
    return [
        {"seed": seed, "steps": 10 * (i + 1), "episodes": 0 if mean is None else 2, "return_mean": mean}
        for i, mean in enumerate(returns)
        for seed in range(seeds)
    ]


def test_it_has_its_size_and_its_labels() -> None:
    lines = learning_curve(rows([float(i) for i in range(400)])).splitlines()
    assert len(lines) == HEIGHT + 3 and lines[0].strip() == "return"
    left = lines[1].index("┤")
    assert all(len(line) == left + 1 + WIDTH for line in lines[1 : HEIGHT + 2])
    assert float(lines[1][:left]) > 350 and float(lines[HEIGHT][:left]) < 50
    assert lines[-1].split() == ["0", "4,000", "steps"]


def test_what_rises_is_drawn_rising() -> None:
    drawn = learning_curve(rows([float(i) for i in range(400)], seeds=2), ascii=True).splitlines()[1 : HEIGHT + 1]
    first, last = drawn[0].split("|")[1], drawn[-1].split("|")[1]
    assert first.endswith("*") and not first.startswith("*")
    assert last.startswith("*") and not last.endswith("*")


def test_every_column_has_ink_without_gaps() -> None:
    drawn = learning_curve(rows([0.0] * 100 + [1000.0] * 100), ascii=True).splitlines()[1 : HEIGHT + 1]
    columns = list(zip(*(line.split("|")[1] for line in drawn), strict=True))
    assert all("*" in column for column in columns)
    inked = [{i for i, c in enumerate(column) if c == "*"} for column in columns]
    touching = [min(abs(i - j) for i in a for j in b) for a, b in itertools.pairwise(inked)]
    assert max(touching) <= 1


def test_a_constant_return_is_a_flat_line_in_the_middle() -> None:
    drawn = learning_curve(rows([500.0] * 50), ascii=True).splitlines()[1 : HEIGHT + 1]
    assert [line for line in drawn if "*" * WIDTH in line] and "500" in drawn[HEIGHT // 2]


def test_without_episodes_there_is_nothing_to_draw() -> None:
    assert learning_curve([]) == "" == learning_curve(rows([None] * 10)) == learning_curve(rows([1.0]))


def test_not_a_number_is_not_drawn() -> None:
    assert learning_curve(rows([float("nan")] * 10)) == ""
