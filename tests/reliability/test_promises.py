"""Every promise of the page on reliability names tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"


def promises() -> list[tuple[str, list[str]]]:
    """Each promise, and the tests that hold it."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if "::test_" in line]
    return [(promise, re.findall(r"`([\w/]+\.py::\w+)`", tests)) for promise, tests in rows]


def test_every_promise_is_held() -> None:
    found = promises()
    assert len(found) >= 25 and all(tests for _, tests in found)
    for _, tests in found:
        for test in tests:
            path, name = test.split("::")
            tree = ast.parse((TESTS / path).read_text())
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test
