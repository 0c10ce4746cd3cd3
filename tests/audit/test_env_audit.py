"""Environments that are correct pass; exceptions and hangs are told with their place. The bugs are in the zoo."""

import threading
import time

import gymnasium
import pytest

from logpi.audit.environments.audit import env as audit_env
from logpi.errors import InputError
from tests.audit.planted.environments import Counter, fails, Line, Narrow, vector
from tests.audit.zoo import ENVIRONMENTS

STEPS = 200


def test_a_correct_one_passes():
    report = audit_env(Line, steps=STEPS)
    assert report.passed, str(report)
    looked_at = {check.name for check in report.checks}
    bugs = {bug.check for bug in ENVIRONMENTS if bug.name.startswith("line")}
    assert looked_at >= bugs | {"actions accepted", "no hang", "autoreset mode", "step after the end"}
    assert audit_env(Line(), steps=STEPS).passed  # the one that is given


def test_an_exception_is_told_with_its_place():
    (finding,) = (c for c in audit_env(lambda: Line("raises"), seed=3).findings if c.name == "no exception")
    assert "ZeroDivisionError" in finding.meaning and "at step 7 " in finding.meaning
    assert "seed 3" in finding.meaning and "action " in finding.meaning


def test_a_hang_is_told_with_its_place_and_left_behind():
    started = time.perf_counter()
    report = audit_env(lambda: Line("hangs"), timeout=0.5)
    assert time.perf_counter() - started < 10
    (finding,) = report.findings
    assert finding.name == "no hang" and "at step 5 " in finding.meaning and "seed 0" in finding.meaning
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "logpi.audit.env")


def test_making_it_may_fail_or_hang():
    assert "no licence" in audit_env(fails).findings[0].meaning
    (finding,) = audit_env(lambda: time.sleep(30), timeout=0.02).findings
    assert finding.name == "no hang"


def test_one_object_that_is_handed_out_twice_is_found():
    shared, wrapped = Line(), gymnasium.wrappers.TimeLimit(Line(), 50)
    pairs = {i: Line() for i in range(3)}
    for make in (lambda: shared, lambda: wrapped, lambda: gymnasium.wrappers.TimeLimit(shared, 50)):
        (finding,) = (c for c in audit_env(make, steps=STEPS).findings if c.key == "own_environment")
        assert "one and the same" in finding.meaning and "make a new one" in finding.cure
    calls = iter(pairs.values())
    assert audit_env(lambda: next(calls), steps=STEPS).check("own_environment").passed


def test_corners_of_the_actions_are_tried():
    (finding,) = audit_env(Narrow, steps=STEPS).findings
    assert finding.name == "actions accepted" and "beyond the table" in finding.meaning


def test_a_vector_must_reset_in_the_step_after():
    (finding,) = audit_env(vector("SAME_STEP"), steps=50).findings
    assert finding.name == "autoreset mode" and "SameStep" in finding.meaning
    fine = audit_env(vector("NEXT_STEP"), steps=50)
    assert fine.passed, str(fine)


def test_what_is_no_environment_is_refused():
    with pytest.raises(InputError, match="no environment"):
        audit_env(3)
    with pytest.raises(InputError, match="steps"):
        audit_env(Line, steps=0)


def test_actions_with_named_parts_are_played():
    class Named(Line):
        action_space = gymnasium.spaces.Dict({"go": gymnasium.spaces.Discrete(2)})

        def step(self, action):
            return super().step(action["go"])

    report = audit_env(Named, steps=STEPS)
    assert report.passed, str(report)


KNOWN = (
    *("gymnasium:MountainCar-v0", "gymnasium:Blackjack-v1", "gymnasium:Reacher-v5", "gymnasium:BipedalWalker-v3"),
    *("envpool:CartPole-v1", "envpool:Blackjack-v1"),
)


@pytest.mark.parametrize("name", KNOWN)
def test_known_ones_pass(name):
    report = audit_env(name, steps=250)
    assert report.passed, str(report)
    assert "next step" in str(report) or not name.startswith("envpool")


def test_caches_of_a_physics_engine_are_told_but_no_finding():
    report = audit_env("gymnasium:BipedalWalker-v3", seed=3, steps=600)
    assert report.passed, str(report)
    assert any("caches" in note for note in report.notes)


def test_compiled_ones_pass():
    for subject in (Counter(), "probe:truncation"):
        report = audit_env(subject, steps=60)
        assert report.passed, str(report)
        assert "mapped and single agree" in {check.name for check in report.checks}
