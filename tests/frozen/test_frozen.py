"""The code computes what it computed when it was frozen, to the last bit.

Bits are compared where the fingerprint in `numbers.json` holds: the versions, the processor, and the settings of
`make test`. Elsewhere only what is not chaotic is, within 1e-4: estimates, the first update of each training, and the
words of tables and pages.
"""

import copy
import json
import math
from typing import Any

import pytest

from tests.frozen.measure import fingerprint, FROZEN, NUMBERS

WRITTEN = json.loads(NUMBERS.read_text("utf-8"))
TOLERANCE = 1e-4


def close(frozen: Any, found: Any) -> bool:
    """Whether two trees have the same words, and the same numbers within rounding."""
    match frozen, found:
        case dict(), dict():
            return frozen.keys() == found.keys() and all(close(frozen[key], found[key]) for key in frozen)
        case list(), list():
            return len(frozen) == len(found) and all(map(close, frozen, found))
        case float(), float():
            return math.isclose(frozen, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return frozen == found


def same(frozen: dict[str, Any], found: dict[str, Any], fingerprint: dict[str, Any]) -> bool:
    """Whether it is what was frozen: to the last bit where that was done by the like, else within rounding."""
    return frozen == found if fingerprint == WRITTEN["fingerprint"] else close(frozen["near"], found["near"])


def test_all_that_is_frozen_is_compared() -> None:
    assert list(WRITTEN["numbers"]) == list(FROZEN)


@pytest.mark.parametrize("name", FROZEN)
def test_it_is_what_it_was(name: str) -> None:
    frozen, found = WRITTEN["numbers"][name], FROZEN[name]()
    assert same(frozen, found, fingerprint()), (frozen, found)


def test_an_interrupted_training_came_to_the_same() -> None:
    assert WRITTEN["numbers"]["resumed"] == WRITTEN["numbers"]["ppo in CartPole-v1"]


def test_the_comparison_can_fail() -> None:
    """One bit of one number, which nobody sees elsewhere; and a thousandth, which anybody does."""
    here, elsewhere = WRITTEN["fingerprint"], {}
    frozen = WRITTEN["numbers"]["estimate: pathwise"]
    bit, more = copy.deepcopy(frozen), copy.deepcopy(frozen)
    bit["near"]["value"] = [math.nextafter(frozen["near"]["value"][0], math.inf)]
    more["near"]["value"] = [frozen["near"]["value"][0] + 1e-3]
    assert same(frozen, copy.deepcopy(frozen), here) and same(frozen, bit, elsewhere)
    assert not same(frozen, bit, here) and not same(frozen, more, here) and not same(frozen, more, elsewhere)
