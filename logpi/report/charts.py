"""Charts as data: what the page draws, with the table that says the same in numbers."""

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Float

from ..runs.files import as_json

Numbers = Float[np.ndarray, " points"]
DIGITS = 4  # significant ones in the page: more cannot be seen
NONE = "\N{EN DASH}"  # in place of a number that there is not
TABLE_ROWS = 12  # of a curve in its table


@dataclasses.dataclass(frozen=True)
class Line:
    """One curve. `low` and `high` are the band around it; `seconds` the wall time of each point."""

    name: str
    x: Numbers
    y: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    seconds: Numbers | None = None
    run: int = 0  # which colour
    style: str = "main"  # or seed, second, dashed, step, range (a band alone)


@dataclasses.dataclass(frozen=True)
class Level:
    """A line straight through a chart at a value that means something."""

    value: float
    text: str


@dataclasses.dataclass(frozen=True)
class Lines:
    """Curves over one axis."""

    key: str
    title: str
    about: str  # what is shown and how it was found, in a sentence or two
    x: str  # label with its unit
    y: str
    lines: tuple[Line, ...]
    levels: tuple[Level, ...] = ()
    log: bool = False
    wide: bool = False
    marks: bool = False  # a dot at each point
    span: float = 0.0  # the least that a linear axis reaches over, so that small differences look small


@dataclasses.dataclass(frozen=True)
class IntervalRow:
    """A number with its interval; NaN bounds for none."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    run: int = 0
    strong: bool = True


@dataclasses.dataclass(frozen=True)
class Intervals:
    """Numbers below each other, each with its interval."""

    key: str
    title: str
    about: str
    x: str
    rows: tuple[IntervalRow, ...]
    levels: tuple[Level, ...] = ()
    log: bool = False
    wide: bool = False


@dataclasses.dataclass(frozen=True)
class Heat:
    """Shares between 0 and 1 in a grid; columns come in groups."""

    key: str
    title: str
    about: str
    x: str
    y: str
    rows: tuple[str, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    values: Float[np.ndarray, "rows columns"]
    run: int = 0
    wide: bool = False


@dataclasses.dataclass(frozen=True)
class Stack:
    """One kind of what is counted in a histogram."""

    name: str
    counts: Float[np.ndarray, " bins"]
    run: int = 0


@dataclasses.dataclass(frozen=True)
class Columns:
    """A histogram, its kinds on top of each other."""

    key: str
    title: str
    about: str
    x: str
    y: str
    edges: Float[np.ndarray, " edges"]
    stacks: tuple[Stack, ...]
    wide: bool = False


Chart = Lines | Intervals | Heat | Columns


def as_data(chart: Chart) -> dict[str, Any]:
    """Plain JSON of a chart: `null` for what is not a number, and no more digits than can be seen."""
    given = dataclasses.asdict(chart, dict_factory=lambda pairs: {name: x for name, x in pairs if x is not None})
    data = as_json(given, _rounded, np.ndarray.tolist)
    return {"kind": type(chart).__name__.lower(), **data}


def _rounded(x: float) -> float | int | None:
    if not math.isfinite(x):
        return None
    short = float(f"{x:.{DIGITS}g}")
    short = short if math.isfinite(short) else x  # the largest number of all is rounded to infinity
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def shown(x: float | None) -> str:
    """A number as people read it: thousands set apart, four digits at most; a dash for none."""
    if x is None or not math.isfinite(x):
        return NONE
    if abs(x) >= 1000:
        return f"{x:,.0f}"
    return f"{x:.{DIGITS - 1}g}"


def table(chart: Chart) -> tuple[list[str], list[list[str]]]:
    """The head and the rows that say in numbers what a chart shows; of long curves, points at equal distances."""
    match chart:
        case Lines():
            return _lines_table(chart)
        case Intervals():
            rows = [[row.name, shown(row.value), shown(row.low), shown(row.high)] for row in chart.rows]
            return ["", chart.x, "from", "to"], rows
        case Heat():
            head = [f"{group}: {name}" for group, names in chart.groups for name in names]
            rows = zip(chart.rows, chart.values, strict=True)
            return [chart.y, *head], [[name, *(shown(float(v)) for v in values)] for name, values in rows]
        case Columns():
            head = [f"{chart.x} from", "to", *(stack.name for stack in chart.stacks)]
            edges = [shown(float(edge)) for edge in chart.edges]
            counts = zip(*(stack.counts for stack in chart.stacks), strict=True)
            rows = zip(edges[:-1], edges[1:], counts, strict=True)
            return head, [[low, high, *(shown(float(c)) for c in each)] for low, high, each in rows]


def _lines_table(chart: Lines) -> tuple[list[str], list[list[str]]]:
    """Every main curve at some of its points, each with its band."""
    kept = [line for line in chart.lines if line.style not in ("seed", "range")]
    head, rows = ["", chart.x, chart.y, "from", "to"], []
    for line in kept:
        places = np.unique(np.linspace(0, max(len(line.x) - 1, 0), TABLE_ROWS).astype(int)) if len(line.x) else []
        for i in places:
            band = [shown(float(b[i])) if b is not None else NONE for b in (line.low, line.high)]
            rows.append([line.name, shown(float(line.x[i])), shown(float(line.y[i])), *band])
    return head, rows
