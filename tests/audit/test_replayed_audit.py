"""What SAC, TD3 and DDPG climb is what it should be, and each planted fault is found by its name."""

import numpy as np
import pytest

import logpi
from logpi import audit, InputError, SAC
from logpi.audit.problems import bandit, GaussianBandit, replayed_problems, small_lqr
from tests.audit.planted.replayed import WrongReplay, WrongSAC, WrongTD3
from tests.audit.test_run_audit import Mine

PROBLEMS = {problem.name: problem for problem in replayed_problems()}
# A fault, the check that names it, and what else it breaks: the row of the pitfalls is the comment.
SOFT = {
    "done for terminated": (
        {"experience": WrongReplay(ended=1.0)},
        "truncation",
        ("entropy of targets",),
    ),  # truncation
    "rows at a limit thrown out": (
        {"experience": WrongReplay(thrown=1.0)},
        "truncation",
        ("entropy of targets", "entropy", "temperature", "steps"),  # other rows count, and another number of them
    ),
    "bootstrapped past an end": ({"experience": WrongReplay(unended=1.0)}, "truncation", ("entropy of targets",)),
    "next row across an end": (
        {"experience": WrongReplay(packed=1.0)},
        "next episode",
        ("truncation", "entropy of targets"),
    ),
    "mean for min": ({"mean": 1.0}, "least of critics", ()),  # twin critics
    "targets never move": ({"still": 1.0}, "targets follow", ()),
    "old policy in the target": ({"old": 1.0}, "target policy", ()),  # target policy
    "sign of alpha in the actor": ({"sign_of_actor": 1.0}, "entropy", ("truncation",)),
    "sign of alpha in the target": ({"sign_of_target": 1.0}, "entropy of targets", ("truncation",)),
    "sign of alpha's own step": ({"sign_of_temperature": 1.0}, "temperature", ("sign", "steps")),  # alpha
    "alpha itself is stepped": ({"straight": 1.0}, "temperature", ("steps",)),
    "scale twice in the density": ({"density": np.log(2.0)}, "entropy of targets", ("truncation",)),  # action scale
}
DETERMINISTIC = {
    "done for terminated": ({"experience": WrongReplay(ended=1.0)}, "truncation", ("sign",)),
    "next row across an end": ({"experience": WrongReplay(packed=1.0)}, "next episode", ("truncation",)),
    "mean for min": ({"mean": 1.0}, "least of critics", ()),
    "targets never move": ({"still": 1.0}, "targets follow", ("target policy",)),
    "no target policy": ({"present": 1.0}, "target policy", ()),
    "delay counted anew": ({"anew": 1.0}, "delay", ("targets follow",)),
    "noise after the clip": ({"unclipped": 1.0}, "bounds", ()),  # smoothing noise
}


def names(report):
    return {check.name for check in report.findings}


@pytest.mark.parametrize("fault", SOFT)
def test_a_fault_of_soft_actor_critics_is_found_by_its_name(fault):
    settings, check, also = SOFT[fault]
    found = names(audit.objective(WrongSAC(**settings), PROBLEMS["time limit"]))
    assert check in found and found <= {check, *also}, found


@pytest.mark.parametrize("fault", DETERMINISTIC)
def test_a_fault_of_deterministic_gradients_is_found_by_its_name(fault):
    settings, check, also = DETERMINISTIC[fault]
    found = names(audit.objective(WrongTD3(**settings), PROBLEMS["LQR, time limit"]))
    assert check in found and found <= {check, *also}, found


def test_an_update_that_climbs_something_else_than_it_says_is_found():
    """The objective has the wrong sign, the update's own line has not."""
    assert "steps" in names(audit.objective(WrongSAC(sign_of_temperature=1.0), PROBLEMS["time limit"]))


def test_a_right_line_is_not_blamed():
    """By the same programs as the faults."""
    parts = SAC(critics=3, subset=2, dropout=0.1, layer_norm=True, quantiles=5)  # looked at with critics that say means
    for algorithm, name in ((WrongSAC(), "time limit"), (WrongTD3(), "LQR, time limit"), (parts, "time limit")):
        report = audit.objective(algorithm, PROBLEMS[name])
        assert report.passed, str(report)


def test_where_nothing_follows_there_are_no_targets_to_move():
    report = audit.objective(logpi.SAC(), bandit())
    assert report.passed, str(report)
    assert {"targets follow", "target policy", "entropy of targets"}.isdisjoint(check.name for check in report.checks)


def test_choices_are_none_of_a_deterministic_gradient():
    report = audit.objective(logpi.DDPG(), [PROBLEMS["three states"], PROBLEMS["LQR"]])
    assert report.passed and any("three states" in note for note in report.notes)
    assert {"bounds", "targets follow", "target policy"} <= {check.name for check in report.checks}
    assert "least of critics" not in {check.name for check in report.checks}, "it has one"


BAD = {
    "no problem for it": (lambda: audit.objective(logpi.TD3(), bandit()), "None of the problems is for TD3"),
    "values that are not known": (lambda: audit.objective(logpi.SAC(), GaussianBandit()), "values of actions"),
    "actions beyond the bounds": (lambda: audit.objective(logpi.TD3(), small_lqr()), "beyond -1 and 1"),
    "a credit": (lambda: audit.objective(logpi.SAC(), credit=logpi.GAE()), "takes none"),
    "no critics": (lambda: audit.objective(Mine(), PROBLEMS["LQR"]), "neither a credit nor critics"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    call, sentence = BAD[case]
    with pytest.raises(InputError, match=sentence):
        call()
