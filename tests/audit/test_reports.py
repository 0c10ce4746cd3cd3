"""A report for programs: its checks have keys, which stay when words change."""

import json

import pytest

from logpi import InputError
from logpi.audit import Check, Report

RIGHT = Check("row_order", 0.0, 0.0, 1e-8, "change of the gradient", "find rows by their id")
WRONG = Check("kl", 1.0, 0.1, 0.5, "nats", "lower the learning rate", "KL of an update", "last_update")
REPORT = Report("PPO", (RIGHT, WRONG))


def test_a_check_is_found_by_its_key():
    assert REPORT.check("kl") is WRONG and REPORT.findings == (WRONG,)
    with pytest.raises(InputError, match="'KL' was not looked at: the checks are row_order, kl"):
        REPORT.check("KL")


def test_the_words_are_those_of_the_key_where_none_are_given():
    assert RIGHT.name == "row order" and WRONG.name == "KL of an update"


def test_json_has_the_key_and_the_words():
    row, other = json.loads(REPORT.to_json())["checks"]
    assert (row["key"], row["name"], row["passed"]) == ("row_order", "row order", True)
    assert (other["key"], other["name"], other["passed"]) == ("kl", "KL of an update", False)
    assert REPORT.table() == [row, other]
