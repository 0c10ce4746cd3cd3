"""What the policy does: how its episodes end, how long they are, and its actions in the same states over training."""

import numpy as np

from ..charts import Chart, Columns, Heat, IntervalRow, Intervals, Line, Lines, Stack
from ..folders import Told
from ..measure import Episodes, Examination
from ..probe import Probe

BINS = 24
MOST_COLUMNS = 24  # of probabilities beside each other
MOST_DIMENSIONS = 3  # of a continuous action, each with a chart
PROBABILITIES = 0.2  # that an axis of them spans at least


def charts(told: Told, measured: Examination) -> list[Chart]:
    """Of one run; nothing where nothing was measured."""
    found: list[Chart] = []
    if measured.episodes is not None and len(measured.episodes.lengths):
        found.append(_lengths(told, measured.episodes))
    if measured.probe is not None:
        one = _gaussian if measured.probe.continuous else _discrete
        found += one(told, measured.probe)
    return sorted(found, key=lambda chart: chart.wide)  # what is wide comes last, or it would leave holes


def _lengths(told: Told, episodes: Episodes) -> Columns:
    """A histogram, by how episodes ended."""
    lengths, ended = episodes.lengths, episodes.terminated
    low, high = lengths.min(), lengths.max()
    count = int(min(BINS, high - low + 1))
    edges = np.linspace(low - 0.5, high + 0.5, count + 1) if high > low else np.array([low - 0.5, low + 0.5])
    kinds = (("terminated", ended), ("truncated", ~ended))
    stacks = [
        Stack(f"{name}: {kind.sum()}", np.histogram(lengths[kind], edges)[0].astype(float), told.index + i)
        for i, (name, kind) in enumerate(kinds)
    ]
    about = (
        f"{len(lengths)} fresh episodes of the last policies, actions drawn. Terminated: the environment ended them; "
        "truncated: a time limit did."
    )
    return Columns(
        f"lengths-{told.index}", f"Length and end of an episode{_of(told)}", about, "steps", "episodes", edges,
        tuple(stacks),
    )  # fmt: skip


def _discrete(told: Told, found: Probe) -> list[Chart]:
    """Probabilities in each state of the probe at some stages, and their average over training."""
    most = max(1, MOST_COLUMNS // len(found.actions))
    places = np.unique(np.linspace(0, len(found.stages) - 1, min(most, len(found.stages))).astype(int))
    stages = [found.stages[i] for i in (places if most > 1 else places[-1:])]
    heat = Heat(
        f"probe-{told.index}", f"Probability of each action{_of(told)}",
        "Rows: states that the last policy of the first seed met, in the order of their time. The same states are "
        "shown to its earlier policies.",
        "action", "state", found.states, tuple((stage.name, found.actions) for stage in stages),
        np.concatenate([stage.first for stage in stages], axis=1), told.index, wide=True,
    )  # fmt: skip
    return [heat, _over_training(told, found, "Average probability of each action", "probability", PROBABILITIES)]


def _gaussian(told: Told, found: Probe) -> list[Chart]:
    """Mean and spread of each action in each state, first and last; and the spread over training."""
    charts: list[Chart] = []
    for i, action in enumerate(found.actions[:MOST_DIMENSIONS]):
        rows = []
        for stage in (found.stages[0], found.stages[-1])[: len(found.stages)]:
            last = stage is found.stages[-1]
            for name, mean, std in zip(found.states, stage.first[:, i], stage.second[:, i], strict=True):
                label = f"{name}, {stage.name}" if not last else name
                rows.append(IntervalRow(label, float(mean), float(mean - std), float(mean + std), told.index, last))
        rows = [row for pair in zip(rows[len(found.states) :], rows[: len(found.states)], strict=True) for row in pair]
        about = (
            "Mean and one standard deviation, before clipping, in states that the last policy of the first seed met. "
            "Strong: at the end; pale: before training."
        )
        title = f"Action {action}{_of(told)}" if len(found.actions) > 1 else f"Action{_of(told)}"
        charts.append(Intervals(f"probe-{told.index}-{i}", title, about, "action", tuple(rows)))
    return [*charts, _over_training(told, found, "Standard deviation of the actions", "standard deviation")]


def _over_training(told: Told, found: Probe, title: str, unit: str, span: float = 0.0) -> Lines:
    steps = np.array([stage.steps for stage in found.stages])
    average = np.stack([stage.average for stage in found.stages])
    lines = tuple(
        Line(f"action {name}", steps, column, run=told.index + i)
        for i, (name, column) in enumerate(zip(found.actions, average.T, strict=True))
    )
    about = "Average over the states that the last policy met: before training, at each checkpoint kept, at the end."
    return Lines(f"actions-{told.index}", title + _of(told), about, "agent steps", unit, lines, marks=True, span=span)


def _of(told: Told) -> str:
    return "" if told.name == told.algorithm else f", {told.name}"
