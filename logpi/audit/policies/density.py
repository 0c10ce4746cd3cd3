"""Sums and integrals of a density, over whatever its events are."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...distributions import AbstractDistribution
from ...distributions.support import all_events
from ...distributions.traits import traits
from ...errors import InputError
from ...jaxprs.compilation import bounded_jit
from ...parameters import apart, Frame
from .quadrature import around, asked, CauchyMap, integrated, LogDensity, pieces_of, POINTS, spread

TAIL = 400  # integers past the largest draw of a count
MOST_COUNTS = 2**20  # that are summed
ATOM = 0.01  # of the draws are one number
NEIGHBOURS = 2000  # draws that are asked for their nearest ones
FLAT = 0.5  # dimensions that events may seem to lack, and still fill their space
ON_SURFACE = "the events lie on a surface (as probabilities that sum to 1 do), where no volume is."


@dataclasses.dataclass(frozen=True)
class Grid:
    """Events that carry a density's mass, and the logarithm of what each stands for: weight times density."""

    events: Array
    log_mass: Float[np.ndarray, " n"]
    error: float  # what the sum of the masses may be off, by rounding or by the grid
    standard_error: Float[np.ndarray, ""] | float = 0.0  # of the sum, where the grid is random

    @property
    def mass(self) -> Float[np.ndarray, " n"]:
        """The probability of each event's cell."""
        return np.exp(self.log_mass)


def grid_of(dist: AbstractDistribution, draws: Array | None, support: Any) -> Grid:
    """The cheapest grid that is right for these events.

    `support` is an array of all events, or an interval (low, high); without it, a finite support is listed, counts are
    summed, and numbers are integrated around the draws. Raises `InputError` where none of these is possible.
    """
    if support is not None and not isinstance(support, tuple):
        return _sum_over(dist, jnp.asarray(support))
    if support is None:
        try:
            return _sum_over(dist, all_events(dist))
        except InputError:
            pass
    dimensions = 1 if draws is None else int(np.prod(draws.shape[1:]))
    if draws is not None and _counts(dist, draws):
        if dimensions > 1:
            raise InputError("several counts have too many combinations to sum: audit one of them.")
        return _counted(dist, draws)
    if draws is None or dimensions == 1:
        return _line(dist, draws, support)
    grid = _plane(dist, draws) if dimensions == 2 else _cloud(dist, draws)
    off = abs(float(np.sum(grid.mass)) - 1)
    # Draws that lie on a surface while their density has a volume are wrong, and their moments show it.
    if off > grid.error + 5 * float(grid.standard_error) and _on_surface(draws):
        raise InputError(ON_SURFACE)
    return grid


def log_prob(dist: AbstractDistribution, event: Array) -> Array:
    """The log-probability of one event."""
    return dist.log_prob(event)


def each(function: Callable[..., Array], dist: AbstractDistribution, events: Array) -> Float[np.ndarray, "n *numbers"]:
    """`function(dist, event)` of every event, compiled as one, and once for all that differ in their floats only."""
    floats, rest = apart(dist, eqx.is_inexact_array)
    try:
        hash(rest)
    except TypeError:  # it holds other arrays, or an object that cannot be looked up
        return np.asarray(jax.jit(jax.vmap(lambda event: function(dist, event)))(events), np.float64)
    return np.asarray(_each(function, floats, rest, tuple(map(type, rest.others)), events), np.float64)


@bounded_jit
def _each(function: Callable[..., Array], floats: list[Array], rest: Frame, _kinds: Any, events: Array) -> Array:
    return jax.vmap(lambda event: function(rest.filled(floats), event))(events)


def _counts(dist: AbstractDistribution, draws: Array) -> bool:
    """Whether events are whole numbers: some of NumPyro's (the geometric) are drawn as floats."""
    return jnp.issubdtype(draws.dtype, jnp.integer) or traits(dist).is_discrete()


def log_densities(dist: AbstractDistribution, events: Array) -> Float[np.ndarray, " n"]:
    """The log-density of each event; -inf outside of the support and where it is not a number."""
    values = each(log_prob, dist, events)
    is_inside = traits(dist).contains(events)  # some formulas go on beyond the support, as NumPyro's do
    if is_inside is not None:
        values = np.where(np.asarray(is_inside).reshape(len(values), -1).all(axis=1), values, -np.inf)
    return np.where(np.isnan(values), -np.inf, values)


def _sum_over(dist: AbstractDistribution, events: Array) -> Grid:
    return Grid(events, log_densities(dist, events), 1e-4)


def _counted(dist: AbstractDistribution, draws: Array) -> Grid:
    """Whole numbers from 0 on, to well beyond the draws; what lies beyond is taken to fall by the power at the end."""
    most = min(int(draws.max()) + TAIL, MOST_COUNTS)
    grid = _sum_over(dist, jnp.arange(most).reshape(-1, *draws.shape[1:]))
    middle, last = grid.log_mass[most // 2], grid.log_mass[-1]
    power = (middle - last) / np.log(most / (most // 2)) if last > -np.inf else np.inf
    beyond = most * np.exp(last) / (power - 1) if power > 1 else np.inf
    return dataclasses.replace(grid, error=grid.error + (beyond if last > -np.inf else 0.0))


def _line(dist: AbstractDistribution, draws: Array | None, support: tuple[float, float] | None) -> Grid:
    """On an interval, or on the whole line, with the atoms that draws show."""
    shape = () if draws is None else draws.shape[1:]

    def events(x: np.ndarray) -> Array:
        return jnp.asarray(x, jnp.float32).reshape(-1, *shape)

    def log_density(x: np.ndarray) -> np.ndarray:
        return log_densities(dist, events(x))

    if support is not None:
        low, high = support
        found = integrated(log_density, CauchyMap(0.5 * (low + high), 0.5 * (high - low)), support)
        return Grid(events(found.points), found.log_mass, 1e-3 + found.error)
    flat = np.asarray(draws, np.float64).reshape(-1)
    found = integrated(log_density, around(flat))
    atoms, log_mass = _atoms(log_density, flat)
    log_masses = np.concatenate([log_mass, np.where(np.isin(found.points, atoms), -np.inf, found.log_mass)])
    return Grid(events(np.concatenate([atoms, found.points])), log_masses, 1e-3 + found.error)


def _atoms(log_density: LogDensity, draws: Float[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that are drawn again and again, as often as they should if what is said of them is a log-probability.

    Rounding makes draws equal, too: of a density d, a share of d times the distance to the next number. And where that
    is the same beside a number as at it, it is a density: draws were clipped.
    """
    numbers, counts = np.unique(draws, return_counts=True)
    numbers, share = numbers[counts > ATOM * len(draws)], counts[counts > ATOM * len(draws)] / len(draws)
    if not len(numbers):
        return numbers, share
    apart = np.maximum(4 * np.spacing(np.abs(numbers).astype(np.float32)), 1e-30)
    beside = np.concatenate([numbers - apart, numbers, numbers + apart])
    below, log_mass, above = np.clip(asked(log_density, beside), -1e30, 1e30).reshape(3, -1)
    is_smooth = np.maximum(np.abs(above - log_mass), np.abs(below - log_mass)) < 1e-3
    mass, error = np.exp(log_mass), np.sqrt(share * (1 - share) / len(draws))
    is_rounded = share < 100 * mass * np.spacing(np.abs(numbers).astype(np.float32))
    is_atom = (np.abs(mass - share) < 10 * error) & ~is_rounded & ~is_smooth
    return numbers[is_atom], log_mass[is_atom]


def _on_surface(draws: Array) -> bool:
    """Whether events lie on a surface, by how much further the second-nearest one is than the nearest.

    In d dimensions, the logarithm of that ratio has the mean 1 / d. Facco et al. 2017 (arXiv:1803.06992), eq. 3.
    """
    from scipy.spatial import KDTree

    flat = np.unique(np.asarray(draws, np.float64).reshape(len(draws), -1), axis=0)
    spread = flat.std(axis=0)
    if not spread.all():  # where there is but one event, it has no neighbours
        return True
    flat = (flat / spread)[np.random.default_rng(0).permutation(len(flat))[:NEIGHBOURS]]
    distance = KDTree(flat).query(flat, k=3)[0]
    dimensions = 1 / max(float(np.mean(np.log(distance[:, 2] / distance[:, 1]))), 1e-6)
    return dimensions < flat.shape[1] - FLAT


def _plane(dist: AbstractDistribution, draws: Array) -> Grid:
    """Rows and columns, whose ends are those that are seen from the middle of the draws."""
    flat = np.asarray(draws, np.float64).reshape(len(draws), 2)
    middle = np.median(flat, axis=0)

    def log_density(events: np.ndarray) -> np.ndarray:
        return log_densities(dist, jnp.asarray(events, jnp.float32).reshape(-1, *draws.shape[1:]))

    def along(i: int, x: np.ndarray) -> np.ndarray:
        return log_density(np.where(np.arange(2) == i, x[:, None], middle))

    lines = [around(flat[:, i]) for i in range(2)]
    pieces = [pieces_of(functools.partial(along, i), lines[i]) for i in range(2)]
    (x, dx, _), (y, dy, _) = (spread(*pair, int(POINTS**0.5), 3, 1) for pair in zip(pieces, lines, strict=True))
    events = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    log_mass = log_density(events).reshape(len(x), len(y)) + dx[:, None] + dy[None, :]
    log_mass = np.where(np.isposinf(log_mass), -np.inf, log_mass)
    mass = np.exp(log_mass)
    is_even = np.add.outer(np.arange(len(x)), np.arange(len(y))) % 2 == 0
    noise = 2 * abs(float(mass[is_even].sum() - mass[~is_even].sum()))
    events = jnp.asarray(events, jnp.float32).reshape(-1, *draws.shape[1:])
    return Grid(events, log_mass.reshape(-1), 1e-2 + noise)


def _cloud(dist: AbstractDistribution, draws: Array) -> Grid:
    """Importance sampling from a wide Student t around the draws: always the same points, with a standard error."""
    flat = np.asarray(draws, np.float64).reshape(len(draws), -1)
    n, d, freedom = POINTS, flat.shape[1], 5.0
    try:
        root = np.linalg.cholesky(1.5 * np.cov(flat.T) + 1e-9 * np.eye(d))
    except np.linalg.LinAlgError:
        raise InputError(ON_SURFACE) from None
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(freedom, (n, 1)) / freedom)
    from scipy.special import gammaln

    constant = gammaln((freedom + d) / 2) - gammaln(freedom / 2) - 0.5 * d * np.log(freedom * np.pi)
    log_q = constant - np.log(np.diag(root)).sum() - (freedom + d) / 2 * np.log1p((noise**2).sum(1) / freedom)
    events = jnp.asarray(flat.mean(0) + noise @ root.T, jnp.float32).reshape(n, *draws.shape[1:])
    log_weight = log_densities(dist, events) - log_q
    error = float(np.std(np.exp(log_weight)) / np.sqrt(n))
    return Grid(events, log_weight - np.log(n), 1e-4, error)
