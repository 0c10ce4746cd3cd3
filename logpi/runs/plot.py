"""The learning curves of a run, drawn with matplotlib."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ..statistics.intervals import interquartile_mean
from .run import Run

Points = Float[np.ndarray, " points"]
Curves = Float[np.ndarray, "seeds points"]

POINTS = 240  # along a curve
BINS = 1000  # that a training is divided into before it is smoothed, however many iterations it has
SMOOTHING = 0.01  # standard deviation of the Gaussian that a point is an average under, as a share of the training
RESAMPLES = 1000  # of the seeds, for the band
# Okabe and Ito's colours, which everyone can tell apart.
_BLUE, _GREY, _INK = "#0072B2", "#8C8C8C", "#262626"
_PANELS = (
    ("entropy", "entropy, nats"),
    ("kl", "KL of an update, nats"),
    ("explained_variance", "explained variance"),
    ("gradient_norm", "gradient norm"),
    ("signal_to_noise", "gradient signal / noise"),
)
_STYLE: Any = {
    "font.size": 9.0,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same picture on every machine
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#BFBFBF",
    "axes.labelcolor": _INK,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.titlecolor": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#EDEDED",
    "grid.linewidth": 0.8,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
}


def plot_curves(run: Run, path: str | Path | None = None):
    """The return of every seed against agent steps, what all seeds come to, and five measurements of the updates.

    With several seeds: the interquartile mean over seeds, with its 95 % bootstrap band. With one: the band is that of
    the mean over the episodes of which each point is made. Returns a `matplotlib.figure.Figure`; written to `path`
    too, in the form that its ending names. Raises `InputError` where matplotlib is missing, or there is no such form.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise InputError('The plot needs matplotlib, which is not installed: pip install "logpi[plot]".') from None
    with matplotlib.rc_context(_STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
        figure = Figure(figsize=(9.0, 5.4), dpi=130, layout=layout)
        grid = figure.add_gridspec(2, len(_PANELS), height_ratios=(2.4, 1.0), hspace=0.04)
        _draw_returns(figure.add_subplot(grid[0, :]), run)
        for i, (name, title) in enumerate(_PANELS):
            _draw_measurement(figure.add_subplot(grid[1, i]), run, name, title)
        if path is not None:
            _write(figure, Path(path))
    return figure


def _write(figure: Any, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except ValueError as error:  # matplotlib lists the endings that it knows
        raise InputError(f"{path} cannot be drawn ({error}): give a name that ends in .png, .svg or .pdf.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): give another.") from None


def _draw_returns(axes: Any, run: Run) -> None:
    steps, curves, errors = _returns(run)
    axes.set_title(_title(run), fontsize=11, pad=10)
    axes.set_ylabel("return of an episode")
    axes.set_xlabel("agent steps of each seed" if len(run.seeds) > 1 else "agent steps")
    if len(run.seeds) > 1:
        low, high = _band(curves)
        label = "interquartile mean over seeds, with its 95 % bootstrap band"
        _draw_seeds(axes, steps, curves, f"each of {len(run.seeds)} seeds")
    else:
        low, high = curves[0] - 1.96 * errors[0], curves[0] + 1.96 * errors[0]
        label = "mean, with its 95 % band over episodes"
    axes.fill_between(steps, low, high, color=_BLUE, alpha=0.2, linewidth=0)
    axes.plot(steps, _middle(curves), color=_BLUE, linewidth=2.0, label=label)
    axes.legend(loc="best", frameon=False)
    _scale(axes, run, steps, 6)


def _draw_measurement(axes: Any, run: Run, name: str, title: str) -> None:
    steps = _grid(run)
    curves = np.stack([_smooth(*_columns(run, seed, name), steps)[0] for seed in run.seeds])
    axes.set_title(title, fontsize=8)
    if len(run.seeds) > 1:
        _draw_seeds(axes, steps, curves, None)
    axes.plot(steps, _middle(curves), color=_BLUE, linewidth=1.4)
    axes.tick_params(labelsize=7)
    if name == "signal_to_noise" and (curves > 0).any():
        axes.set_yscale("log", nonpositive="mask")
        axes.minorticks_off()
        axes.axhline(1.0, color=_INK, linewidth=0.8, linestyle=":")  # below it a gradient is mostly noise
    _scale(axes, run, steps, 3)


def _draw_seeds(axes: Any, steps: Points, curves: Curves, label: str | None) -> None:
    for i, curve in enumerate(curves):
        axes.plot(steps, curve, color=_GREY, linewidth=0.8, alpha=0.5, label=None if i else label)


def _scale(axes: Any, run: Run, steps: Points, ticks: int) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    # Rows that only reset count as no step, so a whole training ends a little below what was asked for.
    whole = not run.summary.get("interrupted")
    axes.set_xlim(0, max(run.settings.steps, steps[-1]) if whole else steps[-1])
    axes.xaxis.set_major_locator(MaxNLocator(ticks - 1, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _title(run: Run) -> str:
    seeds = f"seed {run.seeds[0]}" if len(run.seeds) == 1 else f"{len(run.seeds)} seeds"
    return f"{run.env}, {type(run.settings.algorithm).__name__}, {seeds}"


def _grid(run: Run) -> Points:
    """The steps that curves are drawn at: as far as every seed came."""
    last = {row["seed"]: row["steps"] for row in run.history}
    # At least one: of a seed whose environments have only broken down, no step counts.
    return np.linspace(0, max(min(last.values(), default=1), 1), POINTS)


def _columns(run: Run, seed: int, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of a seed's rows that have a number: steps, numbers, their squares, and a weight of 1 each."""
    rows = [row for row in run.history if row["seed"] == seed and row[name] is not None]
    steps, values = (np.array([row[key] for row in rows], np.float64) for key in ("steps", name))
    return steps, values, values**2, np.ones(len(rows))


def _returns(run: Run) -> tuple[Points, Curves, Curves]:
    """Steps, the mean return of the episodes around them for each seed, and its standard error."""
    steps, curves, errors = _grid(run), [], []
    for seed in run.seeds:
        rows = [row for row in run.history if row["seed"] == seed and row["return_squares"] is not None]
        keys = ("steps", "return_mean", "return_squares", "episodes")
        places, means, squares, weights = (np.array([row[key] for row in rows], np.float64) for key in keys)
        mean, error = _smooth(places, means, squares / np.maximum(weights, 1), weights, steps)
        curves.append(mean)
        errors.append(error)
    return steps, np.stack(curves), np.stack(errors)


def _smooth(
    places: np.ndarray, values: np.ndarray, squares: np.ndarray, weights: np.ndarray, grid: Points
) -> tuple[Points, Points]:
    """The weighted mean of the values around each point of a grid, and its standard error.

    NaN before the first value; where there are none nearby, in between the neighbours.
    """
    bins = np.minimum(places * BINS / grid[-1], BINS - 1).astype(int)
    count, total, square = (np.bincount(bins, weights * x, BINS) for x in (np.ones_like(values), values, squares))
    distance = (grid[:, None] / grid[-1] - (np.arange(BINS) + 0.5) / BINS) / SMOOTHING
    kernel = np.where(abs(distance) < 3, np.exp(-(distance**2) / 2), 0.0)
    near = kernel @ count
    filled = near > 0
    if not filled.any():
        return np.full_like(grid, np.nan), np.full_like(grid, np.nan)
    near, mean, square = (x[filled] for x in (near, kernel @ total, kernel @ square))
    mean, square = mean / near, square / near
    episodes = near**2 / (kernel**2 @ count)[filled]  # as many, all of one weight, would be as sure
    error = np.sqrt(np.maximum(square - mean**2, 0.0) / np.maximum(episodes - 1, 1))
    known = episodes > 1 + 1e-9  # one number alone says nothing of how sure it is
    mean = np.interp(grid, grid[filled], mean, left=np.nan)
    error = (
        np.interp(grid, grid[filled][known], error[known], left=np.nan) if known.any() else np.full_like(grid, np.nan)
    )
    return mean, error


def _middle(curves: Curves) -> Points:
    """The interquartile mean over seeds, where every seed has a value."""
    return np.where(np.isnan(curves).any(0), np.nan, interquartile_mean(curves.T))


def _band(curves: Curves) -> tuple[Points, Points]:
    """The 95 % percentile bootstrap of the interquartile mean over seeds, at every point; the same seeds for all."""
    drawn = np.random.default_rng(0).integers(len(curves), size=(RESAMPLES, len(curves)))
    means = interquartile_mean(curves[drawn].transpose(0, 2, 1))
    low, high = np.where(np.isnan(curves).any(0), np.nan, np.quantile(means, [0.025, 0.975], axis=0))
    return low, high
