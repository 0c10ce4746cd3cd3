"""Flags: how values are read, and that each has a help text and reaches the settings."""

import dataclasses
import itertools
import typing
from typing import Any, Literal

import pytest

from logpi.cli.arguments import first_word, Flag, parse, value_of
from logpi.cli.fields import changed, CREDITS, settings_flags, settings_for
from logpi.errors import InputError
from logpi.runs.presets import GENERAL

FLAGS = [
    Flag("env", str, "an environment", metavar="ENV", positional=True),
    Flag("steps", int, "steps", 10),
    Flag("num_envs", int, "environments", 4, ("--envs", "--num-envs")),
    Flag("rate", float, "rate", 0.5, group="part"),
    Flag("length", int | None, "length", None, group="part"),
    Flag("width", int | tuple[int, ...] | None, "width", None, group="part"),
    Flag("memory", Literal["none", "gru"], "memory", "none", group="part"),
    Flag("scaled", bool, "scaled", True, on_and_off=True),
    Flag("json", bool, "json", False),
]
DEFAULTS = {flag.name: flag.default for flag in FLAGS if not flag.positional}


def parsed(*arguments: str) -> dict[str, Any]:
    """What `arguments` change."""
    values = parse(FLAGS, list(arguments), "logpi test", "A test.")
    return {name: value for name, value in values.items() if name == "env" or value != DEFAULTS[name]}


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (["E"], {}),
        (["--steps", "7", "E"], {"steps": 7}),
        (["E", "--steps=1e6"], {"steps": 1_000_000}),
        (["E", "--steps", "100_000"], {"steps": 100_000}),
        (["E", "--steps", "100,000"], {"steps": 100_000}),
        (["E", "--steps", "-3"], {"steps": -3}),
        (["E", "--envs", "2"], {"num_envs": 2}),
        (["E", "--num-envs", "2"], {"num_envs": 2}),
        (["E", "--num_envs", "2"], {"num_envs": 2}),
        (["E", "--width", "256"], {"width": 256}),
        (["E", "--width", "256,128"], {"width": (256, 128)}),
        (["E", "--width", "(256, 128)"], {"width": (256, 128)}),
        (["E", "--rate", "3e-4"], {"rate": 3e-4}),
        (["E", "--rate", "-inf"], {"rate": float("-inf")}),
        (["E", "--length", "8"], {"length": 8}),
        (["E", "--length", "8", "--length", "none"], {}),
        (["E", "--memory", "GRU"], {"memory": "gru"}),
        (["--json", "E", "--no-scaled"], {"json": True, "scaled": False}),
    ],
)
def test_values_are_read(arguments: list[str], values: dict[str, Any]) -> None:
    assert parsed(*arguments) == {"env": "E", **values}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["E"], "E"), (["--steps", "3", "E"], "E"), (["--json", "E"], "E"), (["--no-scaled", "E"], "E"),
     (["--steps=3", "E"], "E"), (["--steps", "3"], None), (["--help"], None), ([], None)],
)  # fmt: skip
def test_the_first_word_is_found_before_parsing(arguments: list[str], word: str | None) -> None:
    assert first_word(FLAGS, arguments) == word


def test_the_last_value_counts() -> None:
    assert value_of("--a", ["--a", "1", "--a=2"]) == "2"
    assert value_of("--a", ["--ab", "1", "--a"]) is None


def test_help_lists_flags_choices_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(FLAGS, ["E", "--help"], "logpi test", "A test.")
    assert stopped.value.code in (0, None)
    text = capsys.readouterr().out
    for piece in ("ENV", "--envs N, --num-envs N", "none|gru", "(default: 0.5)", "--no-scaled", "part options"):
        assert piece in text


WITH_CREDIT = [name for name, settings in GENERAL.items() if hasattr(settings.algorithm, "credit")]
# Some take the ratio of probabilities into account, and some must not do so twice.
REFUSED = {("ppo", "v-trace"), *(("impala", name) for name in CREDITS if name != "v-trace")}
TAKEN = [pair for pair in itertools.product(WITH_CREDIT, CREDITS) if pair not in REFUSED]


@pytest.mark.parametrize("algorithm", [name for name in GENERAL if name not in WITH_CREDIT])
def test_an_algorithm_without_a_credit_says_so(algorithm: str) -> None:
    with pytest.raises(InputError, match=f"--credit is gae, but {algorithm.upper()} has none"):
        settings_for("CartPole-v1", algorithm, "gae")


@pytest.mark.parametrize(("algorithm", "credit"), sorted(REFUSED))
def test_a_credit_that_an_algorithm_cannot_take_is_told_by_its_flag(algorithm: str, credit: str) -> None:
    with pytest.raises(InputError, match=rf"^--credit is {CREDITS[credit].__name__}\(.*, (but it must|which weighs)"):
        settings_for("CartPole-v1", algorithm, credit)


@pytest.mark.parametrize(
    ("algorithm", "credit"), [*TAKEN, *((name, None) for name in GENERAL if name not in WITH_CREDIT)]
)
def test_every_setting_is_a_flag_with_a_help_text(algorithm: str, credit: str | None) -> None:
    flags = settings_flags(settings_for("CartPole-v1", algorithm, credit))
    names = [spelling for flag in flags for spelling in flag.every_spelling]
    assert len(names) == len(set(names))
    assert [flag.name for flag in flags if not flag.help] == []
    part = settings_for("CartPole-v1", algorithm, credit).algorithm
    parts = {f.name for f in dataclasses.fields(part) if dataclasses.is_dataclass(getattr(part, f.name))}
    fields = {f.name for f in dataclasses.fields(part)} - parts
    assert fields <= {flag.name for flag in flags}


def other(value: Any, kind: Any) -> Any:
    """A value that differs from the one there is and is allowed."""
    if kind is bool:
        return not value
    if isinstance(value, str):
        return {"auto": "rescale", "none": "gru", "tanh": "relu", "relu": "tanh", "rescale": "clip"}[value]
    if value is None:
        named = [part for part in typing.get_args(kind) if typing.get_origin(part) is typing.Literal]
        return typing.get_args(named[0])[0] if named else "minari:some/data-v0" if str in typing.get_args(kind) else 2
    if type(value) is int:
        return value + 1
    return 0.5 if value != 0.5 else 1.0


def values_of(settings: Any) -> dict[str, Any]:
    """The values of all flags of settings."""
    return {flag.name: flag.default for flag in settings_flags(settings, texts=False)}


@pytest.mark.parametrize("algorithm", GENERAL)
@pytest.mark.parametrize("env", ["CartPole-v1", "HalfCheetah-v4"])
def test_every_flag_changes_the_settings(env: str, algorithm: str) -> None:
    settings = settings_for(env, algorithm, None)
    before = values_of(settings)
    for flag in settings_flags(settings, texts=False):
        value = other(flag.default, flag.kind)
        if flag.name == "limit" and settings.reward_scaling is None:
            with pytest.raises(InputError, match="did you mean reward_scaling"):
                changed(settings, {flag.name: value})
            continue
        refused = {"quantiles_dropped": "each of the critics says 1 quantile"}
        if settings.algorithm.experience.capacity:
            refused["reward_scaling"] = "keeps its rewards"
        if not settings.algorithm.lag:
            refused["overlap"] = "takes its gradient for that of the policy that acted"
        if settings.actions == "rescale":
            refused["actions"] = "lie between -1 and 1"
        if refused := refused.get(flag.name):
            with pytest.raises(InputError, match=refused):
                changed(settings, {flag.name: value})
            continue
        after = changed(settings, {flag.name: value})
        again = values_of(after)
        assert again[flag.name] == value, flag.name
        assert [name for name in again if name != flag.name and again[name] != before[name]] == [], flag.name


def test_the_discount_is_that_of_the_scaled_rewards_too() -> None:
    settings = changed(settings_for("HalfCheetah-v4", None, None), {"gamma": 0.9})
    assert settings.algorithm.credit.gamma == settings.reward_scaling.gamma == 0.9  # type: ignore[attr-defined]


def test_a_value_out_of_range_is_told_by_its_flag() -> None:
    with pytest.raises(InputError, match=r"^--envs is 0, but it must be 1 or more"):
        changed(settings_for("CartPole-v1", None, None), {"num_envs": 0})
