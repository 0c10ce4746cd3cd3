"""The figures for notebooks: every chart of the page, with the numbers that the page has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import logpi.report
from logpi.report.charts import Columns, Heat, IntervalRow, Intervals, Level, Stack
from logpi.report.document import gather
from logpi.report.drawing import draw
from tests.report.report_runs import folder, rows


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("runs")
    return [folder(place / "ppo", rows()), folder(place / "a2c", rows(curve=lambda t, seed: 60 * t + seed), a2c=True)]


def test_every_chart_of_the_page_is_a_figure(runs: list[Path]) -> None:
    _, _, sections = gather(runs, fresh=False)
    charts = {chart.key: chart for section in sections for chart in section.charts}
    drawn = logpi.report.figures(runs)
    assert list(drawn) == list(charts) and len(drawn) >= 11
    for key, figure in drawn.items():
        assert isinstance(figure, Figure)
        axes = figure.axes[0]
        assert axes.get_title(loc="left") == charts[key].title and axes.get_xlabel() == charts[key].x
        figure.canvas.draw()


def test_a_curve_has_the_pages_numbers(runs: list[Path]) -> None:
    (_, _, sections), figure = gather(runs[:1], fresh=False), logpi.report.figures(runs[0])["return"]
    chart = next(chart for section in sections for chart in section.charts if chart.key == "return")
    thick = [line for line in chart.lines if line.style == "main"]
    shown = [line for line in figure.axes[0].lines if line.get_linewidth() == 1.8]
    assert len(shown) == len(thick) == 1
    np.testing.assert_array_equal(shown[0].get_xdata(), thick[0].x)
    np.testing.assert_array_equal(shown[0].get_ydata(), thick[0].y)


def test_intervals_stand_in_the_order_of_the_list() -> None:
    rows = (IntervalRow("all", 3.0, 2.0, 4.0), IntervalRow("seed 0", 2.5, strong=False))
    figure = draw(Intervals("key", "Title", "About.", "return", rows, (Level(1.0, "a level"),)))
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["all", "seed 0"]
    assert axes.yaxis.get_inverted() and [text.get_text() for text in axes.texts] == ["a level"]


def test_shares_and_counts_are_drawn() -> None:
    heat = Heat(
        "heat", "Actions", "About.", "action", "state", ("step 1", "step 9"),
        (("before", ("0", "1")), ("after", ("0", "1"))), np.array([[0.5, 0.5, 0.1, 0.9], [0.5, 0.5, np.nan, 1.0]]),
    )  # fmt: skip
    stacks = (Stack("terminated", np.array([1.0, 2.0])), Stack("truncated", np.array([4.0, 0.0])))
    bars = Columns("bars", "Lengths", "About.", "steps", "episodes", np.array([0.0, 1.0, 2.0]), stacks)
    assert len(draw(heat).axes) == 2  # the second one is the scale of colours
    tops = [patch.get_y() + patch.get_height() for patch in draw(bars).axes[0].patches]
    assert tops == [1.0, 2.0, 5.0, 2.0]
