"""The learning curve, drawn with characters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ..statistics import curves

WIDTH, HEIGHT = 60, 8  # of the drawing, in characters
# The dots of a Braille character, by row from above and column: what to add to U+2800.
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


def learning_curve(
    rows: Sequence[dict[str, Any]], width: int = WIDTH, height: int = HEIGHT, ascii: bool = False
) -> str:
    """The return of the episodes of all seeds against agent steps; empty if fewer than two parts have any.

    In Braille dots, two by four to a character, or where these cannot be written, in asterisks.
    """
    dots = (1, 1) if ascii else (4, 2)
    levels, last_step = _levels(rows, width * dots[1])
    if levels is None:
        return ""
    low, high = _range(levels)
    drawing = _drawing(levels, low, high, height * dots[0])
    texts = _as_text(drawing, dots)
    labels = ["" for _ in texts]
    for row in (0, height // 2, height - 1):
        labels[row] = _label(low + (high - low) * (height - 1 - row) / (height - 1))
    margin = max(map(len, labels))
    corner, bar, tick = ("+", "-", "|") if ascii else ("└", "─", "┤")
    side = "|" if ascii else "│"
    lines = [f"{label:>{margin}} {tick if label else side}{text}" for label, text in zip(labels, texts, strict=True)]
    axis = f"{'0':<{width // 2}}{f'{last_step:,} steps':>{width - width // 2}}"
    head = f"{'return':>{margin}}"
    return "\n".join([head, *lines, f"{'':>{margin}} {corner}{bar * width}", f"{'':>{margin}}  {axis}"])


def _levels(rows: Sequence[dict[str, Any]], columns: int) -> tuple[Float[np.ndarray, " columns"] | None, int]:
    """The mean return of the episodes in each part of the training, and the step that the training came to."""
    ended = [row for row in rows if row["episodes"]]
    last_step = max((row["steps"] for row in rows), default=0)
    if not ended:
        return None, last_step
    steps = np.array([row["steps"] for row in ended], np.float64)
    weights = np.array([row["episodes"] for row in ended], np.float64)
    returns = np.array([row["return_mean"] for row in ended], np.float64)
    # As many parts as each have some iterations of every seed: the line between them is straight.
    parts = int(np.clip(len(rows) // (4 * len({row["seed"] for row in rows})), 2, columns))
    mean = curves.learning_curve(steps, returns, np.linspace(0, max(last_step, 1), parts + 1), weights).mean
    known = np.isfinite(mean)
    if known.sum() < 2:
        return None, last_step
    middles = (np.arange(parts) + 0.5) / parts
    places = (np.arange(columns) + 0.5) / columns
    return np.interp(places, middles[known], mean[known]), last_step


def _range(levels: Float[np.ndarray, " columns"]) -> tuple[float, float]:
    low, high = float(levels.min()), float(levels.max())
    least = max(0.01 * abs(high), 1e-6)  # less is a flat line, and goes through the middle
    middle, half = (low + high) / 2, max(high - low, least) / 2
    return middle - half, middle + half


def _drawing(levels: Float[np.ndarray, " columns"], low: float, high: float, rows: int) -> np.ndarray:
    """A line through the levels: (rows, columns), true where there is ink, the top row first."""
    heights = np.round((levels - low) / max(high - low, 1e-12) * (rows - 1)).astype(int)
    drawing = np.zeros((rows, len(levels)), bool)
    for column, here in enumerate(heights):
        before = heights[max(column - 1, 0)]
        # A steep line is a column of dots from just above the last one on.
        start = here if here == before else before + (1 if here > before else -1)
        drawing[rows - 1 - max(start, here) : rows - min(start, here), column] = True
    return drawing


def _as_text(drawing: np.ndarray, dots: tuple[int, int]) -> list[str]:
    rows, columns = drawing.shape[0] // dots[0], drawing.shape[1] // dots[1]
    if dots == (1, 1):
        return ["".join("*" if ink else " " for ink in row) for row in drawing]
    cells = drawing.reshape(rows, 4, columns, 2).transpose(0, 2, 1, 3)
    codes = (cells * _DOTS).sum((2, 3))
    return ["".join(chr(0x2800 + code) if code else " " for code in row) for row in codes.tolist()]


def _label(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
