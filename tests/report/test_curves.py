"""The learning curves as a figure."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from logpi import InputError, PPO, Run, Settings
from logpi.spaces.kinds import Discrete
from logpi.statistics.intervals import interquartile_mean, mean_interval

figure = pytest.importorskip("matplotlib.figure")


def history(
    seeds: tuple[int, ...], iterations: int = 50, value: Any = lambda seed, i: float(i)
) -> list[dict[str, Any]]:
    """Rows of 100 steps and 4 episodes whose returns `value` gives, with variance 9."""
    rows = []
    for i in range(1, iterations + 1):
        for seed in seeds:
            mean = value(seed, i)
            measured = dict.fromkeys(("entropy", "kl", "explained_variance", "gradient_norm", "signal_to_noise"), 1 / i)
            squares = None if mean is None else 4 * (mean**2 + 9.0)
            rows.append({"seed": seed, "steps": 100 * i, "episodes": 0 if mean is None else 4, "return_mean": mean,
                         "return_squares": squares, **measured})  # fmt: skip
    return rows


def plotted(seeds: tuple[int, ...], rows: list[dict[str, Any]], path: Path | None = None, **summary: Any) -> Any:
    """The figure of a run that shows these rows."""
    space = Discrete(2)
    return Run("Env-v0", Settings(PPO(), steps=5000), seeds, (), space, space, rows, summary, {}).plot(path)


def curves(drawn: Any) -> list[np.ndarray]:
    """What is drawn in the large panel, line by line."""
    return [np.asarray(line.get_ydata()) for line in drawn.axes[0].get_lines()]


def test_several_seeds_show_each_and_their_interquartile_mean() -> None:
    seeds = tuple(range(8))
    drawn = plotted(seeds, history(seeds, value=lambda seed, i: 10.0 * seed))
    assert isinstance(drawn, figure.Figure) and len(drawn.axes) == 6
    *faint, middle = curves(drawn)
    np.testing.assert_allclose([line[-1] for line in faint], [10.0 * seed for seed in seeds])
    assert middle[-1] == pytest.approx(35.0)  # of the seeds 2 to 5
    band = drawn.axes[0].collections[0].get_paths()[0].vertices
    assert 0.0 <= band[:, 1].min() < 35.0 < band[:, 1].max() <= 70.0


def test_one_seed_has_the_error_of_its_episodes() -> None:
    drawn = plotted((3,), history((3,), value=lambda seed, i: 7.0))
    (line,) = curves(drawn)
    np.testing.assert_allclose(line[~np.isnan(line)], 7.0)
    band = drawn.axes[0].collections[0].get_paths()[0].vertices
    width = (band[:, 1].max() - band[:, 1].min()) / 2
    assert 1.96 * 3.0 / math.sqrt(50 * 4) < width < 1.96 * 3.0  # fewer than all episodes, and more than one
    assert drawn.axes[0].get_title(loc="left") == "Env-v0, PPO, seed 3"


def test_a_curve_follows_what_it_smooths() -> None:
    (line,) = curves(plotted((0,), history((0,), iterations=2000, value=lambda seed, i: 0.01 * i)))
    x = np.linspace(0, 20, len(line))
    inside = slice(10, -10)
    np.testing.assert_allclose(line[inside], x[inside], atol=0.05)


def test_axes_have_titles_and_units() -> None:
    drawn = plotted((0, 1), history((0, 1)))
    large, *small = drawn.axes
    assert large.get_ylabel() == "return of an episode" and large.get_xlabel() == "agent steps of each seed"
    titles = [axes.get_title(loc="left") for axes in small]
    assert titles == ["entropy, nats", "KL, nats", "expl. var., share", "grad. norm, norm", "signal/noise, ratio"]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        history((0, 1), iterations=1),
        history((0, 1), value=lambda seed, i: None),
        history((0, 1), value=lambda seed, i: None if seed or i < 9 else 1.0),
        [row | {"signal_to_noise": 0.0, "kl": None} for row in history((0, 1))],
    ],
)
def test_gaps_are_no_trouble(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    plotted((0, 1), rows, tmp_path / "curve.png", interrupted=True)
    assert (tmp_path / "curve.png").stat().st_size > 0


def test_steps_of_which_none_counts_are_drawn() -> None:
    """Where all environments broke down in the first rollout."""
    rows = [row | {"steps": 0} for row in history((0,), iterations=1)]
    assert plotted((0,), rows).axes


def test_it_is_written_as_its_name_says(tmp_path: Path) -> None:
    plotted((0,), history((0,)), tmp_path / "deeper" / "curve.svg")
    assert "<svg" in (tmp_path / "deeper" / "curve.svg").read_text()
    with pytest.raises(InputError, match=r"a name that ends in \.png"):
        plotted((0,), history((0,)), tmp_path / "curve.xyz")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(InputError, match=r'pip install "logpi\[plot\]"'):
        plotted((0,), history((0,)))


@pytest.mark.parametrize("n", range(2, 14))
def test_averages_are_those_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(size=(3, n))
    np.testing.assert_allclose(interquartile_mean(values), stats.trim_mean(values, 0.25, axis=-1))
    interval = mean_interval(values[0])
    low, high = stats.t.interval(0.95, n - 1, values[0].mean(), stats.sem(values[0]))
    assert dataclasses.astuple(interval) == pytest.approx((values[0].mean(), low, high))
