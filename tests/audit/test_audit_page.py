"""The page on audits names every check that the zoo knows."""

from pathlib import Path

from tests.audit.zoo import ZOO

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


def test_it_names_every_check():
    assert [bug.check for bug in ZOO if bug.check not in " ".join(PAGE.split())] == []
