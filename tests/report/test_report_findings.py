"""Each rule on a made-up history that shows what it looks for, and on one that does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from logpi.report.findings import findings, RULES
from logpi.report.folders import tell
from tests.report.report_runs import BOX, folder, rising, rows, UPDATES


def late_noise(t: float, seed: int) -> float:
    return 5.0 if t < 0.5 else 0.02


SHOWN: dict[str, tuple[dict[str, Any], str]] = {
    "dropped": ({"dropped": lambda t, seed: t > 0.9 and seed == 0}, r"^6 of 180 updates led to NaN"),
    "no_episode": (
        {"episodes": 0, "return_mean": None, "return_squares": None, "length_mean": None}, r"^No episode ended",
    ),
    "noise": (
        {"signal_to_noise": late_noise},
        r"mostly noise after 1,\d{3} steps: signal-to-noise 0\.02, below 0\.1.*some 3,200 steps.*has 64",
    ),
    "critic": ({"explained_variance": 0.01}, r"^The critic explains nothing: 0\.01 of"),
    "collapse": ({"entropy": lambda t, seed: 0.69 if t < 0.3 else 0.001}, r"collapsed from 0\.69 to 0\.001 nats"),
    "large_steps": ({"kl": lambda t, seed: 0.5 if seed == 0 else 0.01}, r"33% of them by a KL above 0\.1 nats"),
    "cut_rows": ({"clipped": 0.45}, r"^45% of rows are clipped"),
    "fell": ({"curve": lambda t, seed: 200 * min(t, 1 - t)}, r"^The return fell from its best"),
    "no_rise": ({"curve": lambda t, seed: 20.0 + seed}, r"did not rise"),
    "disagree": ({"curve": lambda t, seed: 100 * t * seed}, r"^The seeds disagree: they end between 0 and 1\d\d"),
    "rose": ({}, r"^The return rose from \S+ to \S+ \[.*\] over 3 seeds\.$"),
}  # fmt: skip
FROM_THE_FOLDER = {"empty", "stopped", "unfinished"}


def sentences(path: Path) -> list[str]:
    return [finding.text for finding in findings(tell(path))]


def test_every_rule_has_a_history_that_shows_it() -> None:
    assert set(SHOWN) | FROM_THE_FOLDER == {rule.name for rule in RULES}
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("name", SHOWN)
def test_a_rule_says_what_it_sees(name: str, tmp_path: Path) -> None:
    changes, pattern = SHOWN[name]
    found = sentences(folder(tmp_path / "run", rows(**changes)))
    assert any(re.search(pattern, text) for text in found), found


def test_a_rise_to_one_episode_has_no_interval(tmp_path: Path) -> None:
    history = rows(seeds=1, updates=16, episodes=1, return_squares=lambda t, seed: rising(t, seed) ** 2)
    assert any(
        re.search(r"rose from \S+ to [\d.]+\.$", text) for text in sentences(folder(tmp_path / "run", history, 1))
    )


def test_a_good_training_has_nothing_but_good_news(tmp_path: Path) -> None:
    found = findings(tell(folder(tmp_path / "run", rows())))
    assert [finding.level for finding in found] == ["good"]


@pytest.mark.parametrize(
    ("name", "level"),
    [("signal_to_noise", 0.11), ("explained_variance", 0.06), ("clipped", 0.29), ("kl", 0.09), ("entropy", 0.6)],
)
def test_just_within_a_threshold_nothing_is_said(name: str, level: float, tmp_path: Path) -> None:
    found = findings(tell(folder(tmp_path / "run", rows(**{name: level}))))
    assert [finding.level for finding in found] == ["good"]


@pytest.mark.parametrize("name", ["signal_to_noise", "explained_variance"])
def test_where_returns_do_not_vary_there_is_nothing_to_learn(name: str, tmp_path: Path) -> None:
    """A solved environment: no signal is left, and that is no fault."""
    flat = {"curve": lambda t, seed: 500.0, "return_squares": 2 * 500.0**2, name: 0.0}
    found = sentences(folder(tmp_path / "run", rows(**flat)))
    assert not any("noise" in text or "critic" in text for text in found), found


def test_the_entropy_of_a_density_may_be_negative(tmp_path: Path) -> None:
    """It collapses by nats in each dimension: from 2 to -4 in two dimensions is 3 each, less than ln 50."""
    box = {"action_space": BOX}
    for low, collapsed in ((-4.0, False), (-8.0, True)):
        made = folder(tmp_path / f"{-low:.0f}", rows(entropy=lambda t, s, low=low: 2.0 if t < 0.3 else low), **box)
        assert any("entropy collapsed" in text for text in sentences(made)) == collapsed


def test_noise_of_all_seeds_but_one_is_seen_in_their_middle(tmp_path: Path) -> None:
    """The middle of three seeds is the mean of all: one good seed lifts it; of nine it does not."""
    mostly = {"signal_to_noise": lambda t, seed: 9.0 if seed == 0 else 0.01}
    few = sentences(folder(tmp_path / "few", rows(3, **mostly), 3))
    many = sentences(folder(tmp_path / "many", rows(9, **mostly), 9))
    assert not any("noise" in text for text in few) and any("mostly noise" in text for text in many)


def test_an_unfinished_run_says_how_to_go_on(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", rows(updates=UPDATES // 2), summary={})
    assert any("ended without finishing at 1,920 of 3,840 steps (logpi resume" in text for text in sentences(made))


def test_a_run_with_a_fault_says_which(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", rows(updates=9), summary={})
    (made / "fault.json").write_text('{"quantity": "gradient", "seed": 1, "update": 10}')
    found = findings(tell(made))
    assert found[0].level == "fault" and "the gradient in rollout 10 of seed 1" in found[0].text


def test_an_empty_run_says_so_and_nothing_else_of_its_curves(tmp_path: Path) -> None:
    found = sentences(folder(tmp_path / "run", [], summary={}))
    assert len(found) == 2 and "nothing to show but the settings" in found[0]


def test_a_rise_within_chance_is_none(tmp_path: Path) -> None:
    """One seed whose episodes vary by 10: a rise of 1 is less than their standard error."""
    made = folder(tmp_path / "run", rows(1, curve=lambda t, seed: 50 + t), 1)
    assert any("did not rise" in text for text in sentences(made))
    assert rising(1.0, 0) == 100.0
