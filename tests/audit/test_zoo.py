"""Every planted bug is found by the audit and the check that it must be found by, and nothing is found beside it."""

import re
from collections import Counter

import jax
import pytest

from tests.audit.zoo import alone, PITFALLS, ZOO

KEY = jax.random.key(0)
KEYED = re.compile(r"[a-z0-9_]+(\..+)?")  # the path of a layer may stand behind a dot


@pytest.mark.parametrize("bug", ZOO, ids=lambda bug: f"{bug.audit}: {bug.name}")
def test_each_bug_is_found_by_its_name(bug):
    report = bug.report(KEY)
    names = {check.name for check in report.findings}
    assert bug.check in names, str(report)
    assert alone(bug, names), str(report)
    (finding,) = (check for check in report.findings if check.name == bug.check)
    assert not abs(finding.size) <= finding.threshold and finding.cure
    assert "WRONG" in str(report) and finding.cure in str(report)
    keys = [check.key for check in report.checks]
    assert len(set(keys)) == len(keys) and all(map(KEYED.fullmatch, keys)), keys


def test_the_table_is_whole():
    """Every audit has its bugs, every pitfall its instance, and no name is there twice."""
    audits = Counter(bug.audit for bug in ZOO)
    assert set(audits) == {"policy", "program", "objective", "loss", "env", "run"} and len(ZOO) >= 30
    assert {bug.pitfall for bug in ZOO} - {""} == PITFALLS
    assert max(Counter((bug.audit, bug.name) for bug in ZOO).values()) == 1
