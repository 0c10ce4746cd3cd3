"""The ways of checking what was given, and what an exception says within a sentence."""

import datetime
import decimal
import enum
import fractions
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi import audit, report
from logpi.errors import (
    check_between,
    check_fields,
    check_flag,
    check_path,
    check_whole,
    did_you_mean,
    EnvironmentFault,
    InputError,
    missing,
    said,
    TrainingFault,
)
from logpi.progress.events import as_callbacks
from logpi.report.document import subjects_of
from logpi.runs.options import Every


@pytest.mark.parametrize("kind", [InputError, TrainingFault, EnvironmentFault])
@pytest.mark.parametrize("odd", ["\x1b[2J", "\u202e", "\n", "\x07", "\udce9"])
def test_a_sentence_holds_nothing_that_a_terminal_obeys(kind: type[InputError], odd: str) -> None:
    assert str(kind(f"the folder a{odd}b is not there")) == f"the folder a{repr(odd)[1:-1]}b is not there"
    assert str(kind("a “plain” sentence, with é")) == "a “plain” sentence, with é"


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        # One slip: left out, put in, changed, swapped; in longer names two.
        ("po", ("ppo", "a2c", "reinforce"), "ppo"),
        ("pppo", ("ppo", "a2c", "reinforce"), "ppo"),
        ("pp0", ("ppo", "a2c", "reinforce"), "ppo"),
        ("gea", ("gae", "n-step"), "gae"),
        ("renforse", ("ppo", "a2c", "reinforce"), "reinforce"),
        # A part, or a word in common.
        ("cheetah-v5", ("halfcheetah-v5", "walker2d-v5"), "halfcheetah-v5"),
        ("--minibatches", ("--num-minibatches", "--steps"), "--num-minibatches"),
        ("entropy_bonus", ("entropy_coef", "value_coef"), "entropy_coef"),
        # What only looks alike.
        ("sac", ("ppo", "a2c", "reinforce"), None),
        ("dqn", ("ppo", "a2c", "reinforce"), None),
        ("trpo", ("ppo", "a2c", "reinforce"), None),
        ("--tau", ("--lam", "--out", "--stats"), None),
        ("foo-v1", ("pong-v1", "go-v1"), None),
    ],
)
def test_a_suggestion_is_one_that_may_be_meant(name: str, known: tuple[str, ...], meant: str | None) -> None:
    assert did_you_mean(name, known, "no.", 0.5) == (f"did you mean {meant}?" if meant else "no.")


class Level(enum.IntEnum):
    LOW = 1


class Rude:
    def __repr__(self):
        raise RuntimeError("no repr")


NUMBERS = {
    "int": (3, 3),
    "float": (0.5, 0.5),
    "infinity": (math.inf, math.inf),
    "NumPy's int": (np.int64(3), 3),
    "NumPy's float": (np.float32(0.5), 0.5),
    "NumPy's infinity": (np.float32("inf"), math.inf),
    "an array without an axis": (np.array(3.0), 3.0),
    "a fraction": (fractions.Fraction(1, 2), 0.5),
    "one of an enumeration": (Level.LOW, 1),
}
NONE: dict[str, Any] = {
    "None": None,
    "a truth": True,
    "NumPy's truth": np.True_,
    "text": "3",
    "bytes": b"3",
    "a complex number": 1j,
    "a complex array": np.array(1j),
    "a list": [3],
    "an array of one": np.ones(1),
    "an array of JAX's with axes": jnp.ones((2, 3)),
    "a truth of JAX's": jnp.array(True),
    "an array of text": np.array("3"),
    "an array of dates": np.array("2026-01-01", "datetime64[D]"),
    "an array of objects": np.array(Rude(), object),
    "a key": jax.random.key(0),
    "a date": datetime.date(2026, 1, 1),
    "a decimal": decimal.Decimal("0.5"),
    "a class": int,
    "a function": check_between,
    "what cannot be printed": Rude(),
}
OUTSIDE: dict[str, Any] = {
    "below": -0.5,
    "NaN": math.nan,
    "NumPy's NaN": np.float32("nan"),
    "an array of NaN": np.array(math.nan),
    "an array of JAX's of NaN": jnp.array(math.nan),
    "an array of JAX's below": jnp.array(-1.0),
    "a whole number below": np.array(-1),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_a_number_is_kept_as_pythons_own(case: str) -> None:
    given, wanted = NUMBERS[case]
    found = check_between("x", given, 0)
    assert found == wanted and type(found) in (int, float)


@pytest.mark.parametrize("case", [*NONE, *OUTSIDE])
def test_what_is_no_number_within_the_limits_is_refused(case: str) -> None:
    with pytest.raises(InputError, match=r"^x is .*, but it must be [^\n]*$") as refusal:
        check_between("x", (NONE | OUTSIDE)[case], 0)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("case", [*NONE, *OUTSIDE, "a float", "too large"])
def test_what_is_no_whole_number_within_the_limits_is_refused(case: str) -> None:
    with pytest.raises(InputError, match="but it must be"):
        check_whole("x", (NONE | OUTSIDE | {"a float": 3.0, "too large": 10**30})[case], 0)


def test_an_array_of_jax_stays_one_and_a_traced_one_passes() -> None:
    given = jnp.array(0.5)
    assert check_between("x", given, 0, 1) is given
    assert jax.jit(lambda x: check_between("x", x, 0, 1))(7.0) == 7.0
    assert check_between("x", jnp.bfloat16(0.5), 0, 1) == 0.5
    assert check_whole("x", jnp.array(3), 0) == 3


@pytest.mark.parametrize("given", [True, np.True_, np.array(True), jnp.array(True)])
def test_a_truth_is_kept_as_pythons_own(given: Any) -> None:
    assert check_flag("x", given) is True


@pytest.mark.parametrize("given", ["no", "False", 0, 1, None, [], np.array([True]), 1.0, Rude()])
def test_what_is_no_truth_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="but it must be True or False"):
        check_flag("x", given)


@pytest.mark.parametrize("given", [None, 3, "", "a\0b", ["x"], b"x"])
def test_what_is_no_path_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="but it must be a path"):
        check_path("folder", given)
    assert check_path("folder", Path("x")) == check_path("folder", "x") == Path("x")


def test_fields_hold_what_the_check_made_of_them() -> None:
    class Part:
        n: Any = np.int64(3)
        rate: Any = np.float32(0.5)

    part = Part()
    check_fields(part, check_whole, "n", low=1)
    check_fields(part, check_between, "rate", low=0, high=1)
    assert type(part.n) is int and type(part.rate) is float


def test_what_an_exception_says_is_one_line_of_a_sentence() -> None:
    assert said(ValueError("The spring\n  is broken.")) == "The spring is broken"
    assert said(KeyError()) == "KeyError"
    assert said(ValueError("x" * 200), 120) == "x" * 116 + " ..."


def test_what_cannot_be_printed_is_written_out() -> None:
    """A run folder may come from anybody, and a terminal does what escape sequences say."""
    assert said(ValueError("a\x1b[31m\x00b")) == r"a\x1b[31m\x00b"


def test_a_missing_package_is_named_with_its_extra() -> None:
    error = missing("The plot", "matplotlib", "plot")
    assert isinstance(error, InputError)
    assert str(error) == 'The plot needs matplotlib, which is not installed: pip install "logpi[plot]".'


class Rude:
    """An object that cannot be printed."""

    def __repr__(self):
        raise RuntimeError("no repr")


WRONG_ARGUMENTS: dict[str, Any] = {
    "an array for a time": lambda: Every.parse(np.ones((2, 1, 3))),  # pyright: ignore[reportArgumentType]
    "what cannot be printed for a time": lambda: Every.parse(Rude()),  # pyright: ignore[reportArgumentType]
    "a truth for a time": lambda: Every.parse(True),
    "what cannot be printed for an environment": lambda: logpi.train(Rude()),
    "a class for a listener": lambda: as_callbacks(int),
    "a class for a credit": lambda: audit.objective(lambda *_: 0.0, credit=int),
    "no runs": lambda: report.page([]),
    "no folders": lambda: subjects_of("folders", ()),
    "a number for folders": lambda: subjects_of("folders", 3),
    "a rate below 0": lambda: logpi.Learned(lambda context: context, 1.0, -0.1),
    "a rate that is no number": lambda: logpi.Learned(lambda context: context, 1.0, math.nan),
    "a vector for an observation": lambda: audit.policy(
        logpi.train("probe:identity", steps=8, num_envs=2, rollout_length=4).policy.model,
        jax.random.key(0), np.ones(7),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_ARGUMENTS)
def test_wrong_arguments_are_refused_at_the_door(name: str) -> None:
    with pytest.raises(InputError, match=r"but it must|is no environment|is empty|makes no distribution") as refused:
        WRONG_ARGUMENTS[name]()
    assert "\n" not in str(refused.value)
