"""Wrong arguments of public functions are refused in one sentence, or taken where they can mean something."""

import itertools
from collections import Counter

from benchmarks.reliability.arguments import calls, outcome, quick_targets

EVERY = 37  # of the calls one is made: prime to the number of wrong values, so that all of them come up


def test_nothing_raw_comes_of_wrong_arguments() -> None:
    targets = quick_targets()
    chosen = list(itertools.islice(calls(targets), 7, None, EVERY))
    found = {call: outcome(targets[call[0]], *call[1:]) for call in chosen}
    assert {call: said for call, (came, said) in found.items() if came == "raw"} == {}
    counts = Counter(came for came, _ in found.values())
    assert counts["refused"] > 2 * counts["accepted"] > 0
