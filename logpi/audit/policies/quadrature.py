r"""Integrals along the line of densities that may be infinite at the ends of their support, or have long tails.

Where the density begins and ends is found by search, whatever library it comes from. Towards each end, a finite one or
an infinite one, the points come closer as $t^8$ does: of $x^{a - 1}$ that leaves $t^{8 a - 1}$, which is smooth.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

POINTS = 2**16
GRADE = 8  # the power
MOST_ERROR = 0.5  # of a density that no grid resolves; one that is off by more is not normalised
PIECES = 16  # of a support, at most
ROUNDED = 16  # numbers beside an end, where rounding moves a point by a share of its distance
TINY, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)

LogDensity = Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]  # -inf outside of the support


class Quadrature(NamedTuple):
    """Points, the logarithm of the mass that each stands for, and what their sum may be off."""

    points: Float[np.ndarray, " n"]
    log_mass: Float[np.ndarray, " n"]
    error: float


class CauchyMap(NamedTuple):
    """The line as numbers u between 0 and 1, dense where draws are: by a Cauchy quantile function."""

    middle: float
    scale: float

    def at(self, x: Any) -> Any:
        """u of a number."""
        return 0.5 + np.arctan((x - self.middle) / self.scale) / math.pi

    def beside(self, end: float, sign: int, log_step: Float[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray]:
        """Numbers that are steps of u away from an end, to all digits, and the logarithm of the slope there."""
        angle = math.pi * np.exp(log_step)
        if math.isinf(end):
            away = self.scale / np.tan(angle)
            return self.middle - sign * away, np.log(math.pi * self.scale) - 2 * np.log(np.sin(angle))
        there = math.atan((end - self.middle) / self.scale)
        cosine = np.cos(there + sign * angle)
        away = self.scale * np.sin(angle) / (math.cos(there) * cosine)
        return end + sign * away, np.log(math.pi * self.scale) - 2 * np.log(np.abs(cosine))


def around(draws: Float[np.ndarray, " m"]) -> CauchyMap:
    """The map that is dense where these are."""
    low, middle, high = map(float, np.quantile(draws, [0.25, 0.5, 0.75]))
    return CauchyMap(middle, (high - low) or max(float(np.std(draws)), 1e-6))


def integrated(log_density: LogDensity, line: CauchyMap, interval: tuple[float, float] | None = None) -> Quadrature:
    """Over an interval, or over the whole line."""
    pieces = pieces_of(log_density, line) if interval is None else [interval]
    x, log_weight, near = spread(pieces, line, POINTS, GRADE, GRADE)
    log_mass = asked(log_density, x) + log_weight
    log_mass = np.where(np.isposinf(log_mass), -np.inf, log_mass)
    mass = np.exp(log_mass)
    # The sums over every other point show how far the sum over all may be off.
    noise = abs(2 * float(mass[::2].sum() - mass[1::2].sum()))
    return Quadrature(x, log_mass, min(noise + float(mass[near].sum()), MOST_ERROR))


def spread(
    pieces: list[tuple[float, float]], line: CauchyMap, number: int, grade: int, far_grade: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points on pieces of the line, the logarithms of their weights, and which are next to an end but for rounding.

    The powers are those with which points come closer towards a finite end, and an infinite one.
    """
    count = number // (2 * len(pieces))
    points, log_weight, is_rounded = [], [], []
    t = (np.arange(count) + 0.5) / count
    for low, high in pieces:
        half = 0.5 * (line.at(high) - line.at(low))
        for end, sign in ((low, 1), (high, -1)):
            power = grade if math.isfinite(end) else far_grade
            log_step = math.log(half) + power * np.log(t)
            x, slope = line.beside(end, sign, log_step)
            apart = max(float(np.spacing(np.float32(abs(end)))), TINY) if math.isfinite(end) else 0.0
            x = np.maximum(x, end + apart) if sign > 0 else np.minimum(x, end - apart)
            points.append(x)
            log_weight.append(slope + log_step + math.log(power / count) - np.log(t))
            is_rounded.append((np.abs(x - end) <= ROUNDED * apart) & (abs(end) > TINY))
    x = np.clip(np.concatenate(points), -LARGEST, LARGEST)
    return x, np.concatenate(log_weight), np.concatenate(is_rounded)


def asked(log_density: LogDensity, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The density of up to `POINTS` numbers, asked for so many of them, so that it is compiled once."""
    return log_density(np.concatenate([x, np.full(POINTS - len(x), x[-1])]))[: len(x)]


def pieces_of(log_density: LogDensity, line: CauchyMap) -> list[tuple[float, float]]:
    """Where the density is not 0: from where to where. The whole line, where there are too many pieces."""
    u = (np.arange(POINTS) + 0.5) / POINTS
    x = line.middle + line.scale * np.tan(math.pi * (u - 0.5))
    is_in = log_density(x) > -np.inf
    places = np.flatnonzero(is_in[1:] != is_in[:-1])
    if not is_in.any() or len(places) > 2 * PIECES:
        return [(-math.inf, math.inf)]
    ends = list(_ends(log_density, x[places], x[places + 1], is_in[places])) if len(places) else []
    ends = [-math.inf] * bool(is_in[0]) + ends + [math.inf] * bool(is_in[-1])
    return list(zip(ends[::2], ends[1::2], strict=True))


def _ends(log_density: LogDensity, low, high, low_is_in) -> Float[np.ndarray, " ends"]:
    """Between each pair of numbers the end of the support, to all digits of 32 bits."""
    low, high = _ordered(low), _ordered(high)
    each = POINTS // len(low)
    while np.any(high - low > 1):
        steps = np.linspace(0, 1, each)
        grid = low[:, None] + np.round((high - low)[:, None] * steps[None]).astype(np.int64)
        values = asked(log_density, _number(grid.reshape(-1))).reshape(grid.shape)
        is_same = (values > -np.inf) == low_is_in[:, None]
        is_same[:, 0], is_same[:, -1] = True, False
        last = np.argmin(is_same, axis=1) - 1  # the last one before the first that differs
        row = np.arange(len(low))
        low, high = grid[row, last], grid[row, last + 1]
    inside, outside = np.where(low_is_in, low, high), np.where(low_is_in, high, low)
    is_infinite = np.isposinf(asked(log_density, _number(inside)))
    ends = _number(np.where(is_infinite, inside, outside))
    return np.where(np.abs(ends) <= 2 * TINY, 0.0, ends)


def _ordered(x: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The numbers of 32 bits, counted in their order."""
    bits = np.asarray(x, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits + 2**31), bits)


def _number(order: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    bits = np.where(order < 0, -order - 2**31, order).astype(np.int32)
    return bits.view(np.float32).astype(np.float64)
