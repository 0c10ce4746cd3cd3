"""Arithmetic of intervals of real numbers (Moore 1966, chapter 3), whose ends may belong to them or not.

An end is a number and a side: (0.0, 0) is 0, (0.0, 1) lies just above it. (inf, -1) is above every number; (inf, 0) is
infinity itself, as a constant may be; (inf, 1) is infinity where a number passes it, as a logarithm does at 0. So ends
compare as tuples do.
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

End = tuple[float, int]

ZERO: End = (0.0, 0)
BELOW: End = (-math.inf, 1)
ABOVE: End = (math.inf, -1)
ROUNDED = 1e-15  # what is left of a sum, as a part of its terms, that may have come of rounding


class Span(NamedTuple):
    """The numbers from `low` to `high`; where `hole`, without 0."""

    low: End
    high: End
    hole: bool = False


ANY, WHOLE = Span(BELOW, ABOVE), Span((-math.inf, -1), (math.inf, 1))
POSITIVE, NONNEGATIVE, UNIT = Span((0.0, 1), ABOVE), Span(ZERO, ABOVE), Span(ZERO, (1.0, 0))


def point(value: float) -> Span:
    """A single number."""
    return Span((value, 0), (value, 0))


def may_be_0(span: Span) -> bool:
    """Whether 0 is one of the numbers."""
    return not span.hole and span.low <= ZERO <= span.high


def without_0(span: Span) -> Span:
    """The same numbers but 0, unless that is the only one."""
    if span.low == span.high:
        return span
    low, high = ((0.0, side) if end == ZERO else end for end, side in ((span.low, 1), (span.high, -1)))
    return Span(low, high, True)


def hull(spans: Iterable[Span]) -> Span:
    """What holds the numbers of all of them."""
    spans = list(spans)
    both = Span(min(span.low for span in spans), max(span.high for span in spans))
    return both if any(map(may_be_0, spans)) else without_0(both)


def meet(a: Span, b: Span) -> Span:
    """The numbers that are in both."""
    both = Span(max(a.low, b.low), min(a.high, b.high))
    return both if may_be_0(a) and may_be_0(b) else without_0(both)


def passes_infinity(span: Span) -> bool:
    """Whether the numbers pass infinity."""
    return span.low == WHOLE.low or span.high == WHOLE.high


def finite(span: Span) -> Span:
    """The numbers, if they do not pass infinity."""
    return span._replace(low=max(span.low, (-math.inf, 0)), high=min(span.high, (math.inf, 0)))


def negate(a: Span) -> Span:
    """The interval of -x."""
    return Span((-a.high[0], -a.high[1]), (-a.low[0], -a.low[1]), a.hole)


def magnitude(a: Span) -> Span:
    """The interval of |x|."""
    if a.low >= ZERO or a.high <= ZERO:
        return a if a.low >= ZERO else negate(a)
    return Span((0.0, int(a.hole)), max(a.high, negate(a).high), a.hole)


def plus(a: Span, b: Span) -> Span:
    """The interval of x + y."""
    return Span(_sum(a.low, b.low, -1), _sum(a.high, b.high, 1))


def times(a: Span, b: Span) -> Span:
    """The interval of x y, which lies between the products of the ends."""
    low = min(_product(x, y, -1) for x in a[:2] for y in b[:2])
    high = max(_product(x, y, 1) for x in a[:2] for y in b[:2])
    both = Span(low, high)
    return both if may_be_0(a) or may_be_0(b) else without_0(both)


def reciprocal(a: Span) -> Span:
    """The interval of 1/x, of which nothing is known where x may be 0."""
    if may_be_0(a):
        return WHOLE
    if a.low < ZERO < a.high:
        return ANY._replace(hole=True)
    sign = 1 if a.low > ZERO else -1
    return Span(_inverse(a.high, sign), _inverse(a.low, sign), a.hole)


def power(a: Span, y: int) -> Span:
    """The interval of a whole power of x."""
    if y < 0:
        return reciprocal(power(a, -y))
    if y == 0:
        return point(1.0)
    if y % 2 == 0:
        a = magnitude(a)
    return Span(_to_the(a.low, y), _to_the(a.high, y), a.hole)


def rising(a: Span, function: Callable[[float], float], lowest: float, highest: float) -> Span:
    """The values of a function that rises from one limit to another, which it does not reach but at infinity."""

    def at(end):
        value, beyond = _value(function, end[0]), not _is_infinity(end)
        if value <= lowest:
            return lowest, int(beyond)
        return (highest, -int(beyond)) if value >= highest else (value, end[1])

    kept = a.hole and function(0.0) == 0
    return Span(at(a.low), at(a.high), kept)


def rising_from(start: float, a: Span, function: Callable[[float], float]) -> Span:
    """The values of a function that rises from `start` on, where it may be -infinity; before, it is NaN."""
    edge = (start, int(a.hole and start == 0))
    low, high = max(a.low, edge), max(a.high, edge)
    return Span(_log_end(function, low), _log_end(function, high))


def _log_end(function: Callable[[float], float], end: End) -> End:
    value = _value(function, end[0])
    return (value, -1 if end[1] == 0 else 1) if value == -math.inf else (value, end[1])


def _value(function: Callable[[float], float], x: float) -> float:
    try:
        return function(x)
    except OverflowError:
        return math.copysign(math.inf, x)
    except ValueError:  # a logarithm of 0
        return -math.inf


def _sign(x: float) -> int:
    return (x > 0) - (x < 0)


def _is_infinity(end: End) -> bool:
    return math.isinf(end[0]) and end[1] * _sign(end[0]) >= 0


def _infinite(value: float, *of: End) -> End:
    """An infinite end that comes of others: passed, or a constant, or not reached."""
    ranks = [end[1] * _sign(end[0]) for end in of if math.isinf(end[0])]
    return value, max(ranks, default=-1) * _sign(value)


def _sum(a: End, b: End, outward: int) -> End:
    value = a[0] + b[0]
    if math.isnan(value):
        value = outward * math.inf
    if math.isinf(value):
        return _infinite(value, a, b)
    if value * outward < 0 and abs(value) <= ROUNDED * max(abs(a[0]), abs(b[0])):
        return ZERO
    return value, outward if a[1] * b[1] < 0 else a[1] or b[1]


def _product(a: End, b: End, outward: int) -> End:
    value = a[0] * b[0]
    if math.isinf(value):
        return _infinite(value, a, b)
    if value == 0 and a[0] != 0 and b[0] != 0:  # too small for a number
        return 0.0, _sign(a[0]) * _sign(b[0])
    x, y = a[1] * _sign(b[0]), b[1] * _sign(a[0])
    side = outward if x * y < 0 else _sign(x or y or a[1] * b[1])
    return 0.0 if math.isnan(value) else value, side  # 0 times infinity: the other ends tell the rest


def _inverse(end: End, sign: int) -> End:
    value, side = end
    if value == 0 or math.isinf(1 / value):
        return sign * math.inf, -sign
    return (0.0, 0 if _is_infinity(end) else sign) if math.isinf(value) else (1 / value, -side)


def _to_the(end: End, y: int) -> End:
    value, side = _value(lambda x: math.copysign(abs(x) ** y, x if y % 2 else 1.0), end[0]), end[1]
    if y % 2 == 0:
        value = abs(value)
    if math.isinf(value):
        return _infinite(value, end)
    return (0.0, _sign(end[0])) if value == 0 and end[0] != 0 else (value, side)
