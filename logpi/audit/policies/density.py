"""Sums and integrals of a density, over whatever its events are."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ...distributions import AbstractDistribution
from ...distributions.support import all_events
from ...distributions.traits import traits
from ...errors import InputError
from ...jaxprs.compilation import bounded_jit

POINTS = 2**16  # of a quadrature in one dimension; in two, the square root of it along each
TAIL = 400  # integers past the largest draw of a count


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
        return _sum_over(dist, jnp.arange(int(draws.max()) + TAIL).reshape(-1, *draws.shape[1:]))
    if draws is None or dimensions == 1:
        return _line(dist, draws, support)
    return _plane(dist, draws) if dimensions == 2 else _cloud(dist, draws)


def log_prob(dist: AbstractDistribution, event: Array) -> Array:
    """The log-probability of one event."""
    return dist.log_prob(event)


def each(function: Callable[..., Array], dist: AbstractDistribution, events: Array) -> Float[np.ndarray, "n *numbers"]:
    """`function(dist, event)` of every event, compiled as one, and once for all that differ in their floats only."""
    floats, rest = eqx.partition(dist, eqx.is_inexact_array)
    try:
        hash(tuple(jax.tree.leaves(rest, is_leaf=eqx.is_array)))
    except TypeError:  # it holds other arrays, or an object that cannot be looked up
        return np.asarray(jax.jit(jax.vmap(lambda event: function(dist, event)))(events), np.float64)
    return np.asarray(_each(function, floats, rest, events), np.float64)


@bounded_jit
def _each(function: Callable[..., Array], floats: PyTree, rest: PyTree, events: Array) -> Array:
    return jax.vmap(lambda event: function(eqx.combine(floats, rest), event))(events)


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


def _line(dist: AbstractDistribution, draws: Array | None, support: tuple[float, float] | None) -> Grid:
    """The midpoint rule: on an interval, or on the whole line drawn together by a Cauchy quantile function."""
    shape = () if draws is None else draws.shape[1:]
    u = (np.arange(POINTS) + 0.5) / POINTS
    if support is not None:
        x, slope = support[0] + (support[1] - support[0]) * u, np.full(POINTS, support[1] - support[0])
    else:
        x, slope = _cauchy(u, np.asarray(draws, np.float64).reshape(-1))
    log_mass = log_densities(dist, jnp.asarray(x, jnp.float32).reshape(-1, *shape)) + np.log(slope / POINTS)
    return Grid(jnp.asarray(x, jnp.float32).reshape(-1, *shape), log_mass, 1e-3)


def _plane(dist: AbstractDistribution, draws: Array) -> Grid:
    side = int(POINTS**0.5)
    u = (np.arange(side) + 0.5) / side
    flat = np.asarray(draws, np.float64).reshape(len(draws), 2)
    (x, dx), (y, dy) = _cauchy(u, flat[:, 0]), _cauchy(u, flat[:, 1])
    events = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, *draws.shape[1:])
    area = np.log(dx[:, None] * dy[None, :] / side**2).reshape(-1)
    return Grid(jnp.asarray(events, jnp.float32), log_densities(dist, jnp.asarray(events, jnp.float32)) + area, 1e-2)


def _cauchy(u: Float[np.ndarray, " n"], draws: Float[np.ndarray, " m"]) -> tuple[np.ndarray, np.ndarray]:
    """Points of the whole line, dense where the draws are, and the slope of the map to them."""
    low, middle, high = np.quantile(draws, [0.25, 0.5, 0.75])
    scale = max(high - low, 1e-6)
    angle = np.pi * (u - 0.5)
    return middle + scale * np.tan(angle), scale * np.pi / np.cos(angle) ** 2


def _cloud(dist: AbstractDistribution, draws: Array) -> Grid:
    """Importance sampling from a wide Student t around the draws: always the same points, with a standard error."""
    flat = np.asarray(draws, np.float64).reshape(len(draws), -1)
    n, d, freedom = POINTS, flat.shape[1], 5.0
    if not flat.std(axis=0).all() or np.linalg.eigvalsh(np.corrcoef(flat.T))[0] < 1e-6:
        raise InputError("the events lie on a surface (as probabilities that sum to 1 do), where no volume is.")
    root = np.linalg.cholesky(1.5 * np.cov(flat.T) + 1e-9 * np.eye(d))
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(freedom, (n, 1)) / freedom)
    from scipy.special import gammaln

    constant = gammaln((freedom + d) / 2) - gammaln(freedom / 2) - 0.5 * d * np.log(freedom * np.pi)
    log_q = constant - np.log(np.diag(root)).sum() - (freedom + d) / 2 * np.log1p((noise**2).sum(1) / freedom)
    events = jnp.asarray(flat.mean(0) + noise @ root.T, jnp.float32).reshape(n, *draws.shape[1:])
    log_weight = log_densities(dist, events) - log_q
    error = float(np.std(np.exp(log_weight)) / np.sqrt(n))
    return Grid(events, log_weight - np.log(n), 1e-4, error)
