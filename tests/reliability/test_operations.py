"""A kill, or an error, at an operation of the file system of a command loses nothing, whichever operation it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.reliability.operations import COMMANDS, Operations
from benchmarks.reliability.trap import HOWS

STRIDE = 19  # `python -m benchmarks.reliability "file operations"` tries each operation in each way


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operations]:
    with Operations.prepared(tmp_path_factory.mktemp("operations")) as those:
        yield those


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_lost_at_an_operation(name: str, operations: Operations) -> None:
    ways = enumerate(range(1, operations.count(name) + 1, STRIDE))
    lost = [fault for i, at in ways for fault in operations.trial(name, HOWS[i % len(HOWS)], at)]
    assert not lost
