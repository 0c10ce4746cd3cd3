"""Independent Gaussians, as they are drawn and squashed by tanh."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import InputError
from .base import AbstractDistribution
from .threefry import fast_key, in_one_row, stored
from .traits import Family, Quantiles, Traits, traits, wide_enough

HALF_LOG_TWO_PI = 0.5 * float(np.log(2 * np.pi))
WIDE = 0.02  # standard deviations from one number to the next, from where on a density at it is not that of draws
FAR = 1e4  # standard deviations, which nothing is beyond
NODES = 20  # of the sum in an entropy of a TanhNormal


class Normal(AbstractDistribution):
    """A Gaussian with a diagonal covariance. The event has the shape of `mean`; `log_std` is in natural logarithms.

    Raises `InputError` unless both have one shape: broadcast, an entropy would count too few entries.
    """

    mean: Float[Array, "..."]
    log_std: Float[Array, "..."]

    def __check_init__(self):
        _check_shapes("Normal", self.mean, self.log_std)

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "*batch_and_shape"]:
        """`mean + std * noise`, differentiable in both."""
        dtype = jnp.result_type(self.mean, self.log_std, jnp.float32)  # not JAX's default, which may be of 64 bits
        noise = in_one_row(functools.partial(_noise, dtype=dtype), fast_key(key), shape + self.mean.shape)
        mean, std = (jnp.broadcast_to(x, noise.shape) for x in (self.mean, jnp.exp(self.log_std)))
        return mean + std * noise

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Float[Array, "*shape"], Float[Array, ""]]:
        event = self.sample(key)
        return event, self.log_prob(event)

    def log_prob(self, event: Float[Array, "*shape"]) -> Float[Array, ""]:
        """The logarithm of the density, summed over the entries."""
        z = (event - self.mean) * jnp.exp(-self.log_std)
        return -jnp.sum(0.5 * z**2 + self.log_std + HALF_LOG_TWO_PI)

    def entropy(self) -> Float[Array, ""]:
        return jnp.sum(self.log_std + HALF_LOG_TWO_PI + 0.5)

    def kl(self, other: Any) -> Float[Array, ""]:
        log_ratio = self.log_std - other.log_std
        shift = (self.mean - other.mean) * jnp.exp(-other.log_std)
        return 0.5 * jnp.sum(jnp.exp(2 * log_ratio) + shift**2 - 1 - 2 * log_ratio)

    def mode(self) -> Float[Array, "*shape"]:
        return self.mean


@functools.partial(jax.jit, static_argnums=1, static_argnames="dtype", inline=True)
def _noise(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Float[Array, "..."]:
    """`jax.random.normal`, put into memory: its inverse error function is a tenth of an expectation's time."""
    return stored(lambda key: jax.random.normal(key, shape, dtype), key, shape, dtype)


@traits.register
def _(dist: Normal) -> Traits:
    shape = jnp.shape(dist.mean)
    return Traits(
        "Normal",
        is_proven=lambda: True,
        shape=shape,
        families=lambda: [
            Family("Normal", "Normal", shape, lambda: {"loc": dist.mean, "scale": jnp.exp(dist.log_std)})
        ],
        quantiles=lambda: Quantiles(dist.mean.size, lambda uniform: _numbers_at(dist, uniform)),
        not_reparametrised=list,
        constraints=lambda: [wide_enough("Normal", dist.mean, jnp.exp(dist.log_std))],
        summary=lambda: {"mean": dist.mean, "std": np.exp(np.asarray(dist.log_std))},
    )


def _numbers_at(dist: Any, uniform: Float[Array, " d"]) -> Float[Array, "*shape"]:
    return dist.mean + jnp.exp(dist.log_std) * jax.scipy.special.ndtri(uniform).reshape(dist.mean.shape)


class TanhNormal(AbstractDistribution):
    r"""$\tanh(u)$ of each entry of a `Normal` event $u$: between -1 and 1, as actions within bounds are.

    Haarnoja et al. 2018 (arXiv:1812.05905), appendix C. The event has the shape of `mean`; `log_std` is in natural
    logarithms, and both are of $u$. Raises `InputError` unless both have one shape.
    """

    mean: Float[Array, "..."]
    log_std: Float[Array, "..."]

    def __check_init__(self):
        _check_shapes("TanhNormal", self.mean, self.log_std)

    @property
    def normal(self) -> Normal:
        """The distribution of what is squashed."""
        return Normal(self.mean, self.log_std)

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "*batch_and_shape"]:
        """Differentiable in both parameters. What is rounded to -1 or 1 becomes the number before."""
        return _inside(_tanh(self.normal.sample(key, shape)))

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Float[Array, "*shape"], Float[Array, ""]]:
        """From $u$ itself, which cannot be found again from a number that was rounded near to 1."""
        u = self.normal.sample(key)
        return _inside(_tanh(u)), self.normal.log_prob(u) - jnp.sum(_log_slope(u))

    def log_prob(self, event: Float[Array, "*shape"]) -> Float[Array, ""]:
        """The density of $u$ over the slope of tanh there, summed in logarithms; -1 and 1 are the numbers before.

        Near to these, where the numbers are far apart in $u$, it is the mean density of all that is rounded to the
        event, so that the score is right for draws: at a mean of 30 all are one number, and it is 0.
        """
        return jnp.sum(_log_density(self, _inside(event)))

    def entropy(self) -> Float[Array, ""]:
        r"""The Gaussian's, and the mean of $\log(1 - \tanh(u)^2)$; both right to $10^{-8}$, as the gradient is.

        $\log(2 \cosh u) = E|u + 2 K \xi / 2|$ with $\xi$ standard normal and $K$ of Kolmogorov's distribution, because
        a logistic variable is $2 K \xi$ (Stefanski 1991, Statistics & Probability Letters 11, p. 69). So of a Gaussian
        $u$ it is the mean over $K$ of the mean size of another Gaussian, which has a closed form.
        """
        squares, weights = (jnp.asarray(x, jnp.result_type(self.mean, self.log_std)) for x in _kolmogorov())
        mean, variance = jnp.ravel(self.mean)[:, None], jnp.exp(2 * jnp.ravel(self.log_std))[:, None] + squares[None]
        size = jnp.sqrt(2 * variance / jnp.pi) * jnp.exp(-(mean**2) / (2 * variance))
        size = size + mean * jax.scipy.special.erf(mean / jnp.sqrt(2 * variance))
        return self.normal.entropy() + 2 * jnp.sum(jnp.log(2.0) - size @ weights)

    def kl(self, other: Any) -> Float[Array, ""]:
        """That of the Gaussians: what is one to one changes no divergence."""
        return self.normal.kl(other.normal)

    def mode(self) -> Float[Array, "*shape"]:
        """The image of the Gaussian's mode, which is the median of each entry: the densest number may be 1 itself."""
        return _inside(_tanh(self.mean))


def _check_shapes(kind: str, mean: Array, log_std: Array) -> None:
    shapes = jnp.shape(mean), jnp.shape(log_std)
    if shapes[0] != shapes[1]:
        raise InputError(
            f"mean and log_std of a {kind} have the shapes {shapes[0]} and {shapes[1]}, but each entry needs both: "
            "give one shape, by jnp.broadcast_to where a number is to hold for all."
        )


def _last(dtype: Any) -> float:
    """The number before 1."""
    return 1 - float(jnp.finfo(dtype).epsneg)


def _inside(event: Float[Array, "..."]) -> Float[Array, "..."]:
    last = _last(jnp.result_type(event))
    return jnp.clip(event, -last, last)


def _tanh(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """To all digits: XLA's is 1 from 8 on, and beside it off by several numbers, of which arctanh makes half a unit."""
    away = jnp.where(jnp.abs(u) < 1, 1.0, jnp.abs(u))  # so that what is not taken has a derivative
    beyond = jnp.exp(-2 * away)
    return jnp.where(jnp.abs(u) < 1, jnp.tanh(u), jnp.sign(u) * (1 - 2 * beyond / (1 + beyond)))


def _log_slope(u: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\log(1 - \tanh(u)^2)$, of which no digit is lost far from 0."""
    return 2 * (jnp.log(2.0) - u - jax.nn.softplus(-2 * u))


def _log_density(dist: TanhNormal, event: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Of each entry, at its number or over all that is rounded to it, whichever is right."""
    u, apart = jnp.arctanh(event), 1 - _last(jnp.result_type(event))
    sign, std, rest = jnp.where(event < 0, -1.0, 1.0), jnp.exp(dist.log_std), 1 - jnp.abs(event)
    density = -0.5 * ((u - dist.mean) / std) ** 2 - dist.log_std - HALF_LOG_TWO_PI - _log_slope(u)
    # What is rounded to the event lies between these, in standard deviations; to the last number goes all beyond. Of
    # atanh(1 - r) = log((2 - r) / r) / 2 they are read off by factors of r, for XLA drops what is added to it.
    is_last, half = rest <= apart, 0.5 * apart / rest
    low = (sign * (u - dist.mean) - 0.5 * jnp.log1p(half)) / std
    high = jnp.where(is_last, jnp.maximum(low, 0.0) + FAR, (sign * (u - dist.mean) - 0.5 * jnp.log1p(-half)) / std)
    is_wide = is_last | ((high - low > WIDE) & (rest < 0.5))
    is_above = low + high > 0  # of both tails the one in which a difference is no difference of ones
    low, high = jnp.where(is_above, -high, low), jnp.where(is_above, -low, high)
    low, high = jnp.where(is_wide, low, -1.0), jnp.where(is_wide, high, 1.0)  # so that what is not taken is finite
    most = jax.scipy.special.log_ndtr(high)
    mass = most + jnp.log(-jnp.expm1(jax.scipy.special.log_ndtr(low) - most))
    return jnp.where(is_wide, mass - jnp.log(jnp.where(is_last, 1.5, 1.0) * apart), density)


@functools.cache
def _kolmogorov() -> tuple[np.ndarray, np.ndarray]:
    """Squares of numbers of Kolmogorov's distribution, even in their logarithms, and the share that each stands for."""
    numbers, k = np.geomspace(0.18, 3.2, NODES), np.arange(1, 200)[:, None]
    density = 8 * numbers * np.sum((-1.0) ** (k - 1) * k**2 * np.exp(-2 * k**2 * numbers**2), axis=0)
    shares = density * numbers
    return numbers**2, shares / np.sum(shares)


@traits.register
def _(dist: TanhNormal) -> Traits:
    return Traits(
        "TanhNormal",
        is_proven=lambda: True,
        shape=jnp.shape(dist.mean),
        contains=lambda event: jnp.abs(event) < 1,  # `log_prob` goes on beyond
        such_as="numbers between -1 and 1",
        quantiles=lambda: Quantiles(dist.mean.size, lambda uniform: _inside(_tanh(_numbers_at(dist.normal, uniform)))),
        # arctanh of numbers that are spread evenly between -1 and 1 has mean 0 and variance pi^2 / 12.
        nearest_uniform=lambda: TanhNormal(
            jnp.zeros_like(dist.mean), jnp.full_like(dist.log_std, np.log(np.pi / np.sqrt(12)))
        ),
        not_reparametrised=list,
        constraints=lambda: [wide_enough("TanhNormal", dist.mean, jnp.exp(dist.log_std))],
        summary=lambda: _moments(dist),
    )


def _moments(dist: TanhNormal) -> dict[str, np.ndarray]:
    """Mean and standard deviation of each entry's event, from as many of its quantiles as a picture shows."""
    even = jax.scipy.special.ndtri((np.arange(256) + 0.5) / 256)
    mean, std = np.asarray(dist.mean), np.exp(np.asarray(dist.log_std))
    events = np.tanh(mean[..., None] + np.broadcast_to(std, mean.shape)[..., None] * np.asarray(even))
    return {"mean": events.mean(axis=-1), "std": events.std(axis=-1)}


class ClippedNormal(AbstractDistribution):
    """A Gaussian of which what lies beyond -1 and 1 is put onto them: of each entry, a density between two atoms.

    The noise of deterministic policies (Fujimoto et al. 2018, arXiv:1802.09477, algorithm 1), of which the action is
    what the environment gets. Its log-probability is of the atom at -1 and 1, and of the density between them. Raises
    `InputError` unless mean and log_std have one shape.
    """

    mean: Float[Array, "..."]
    log_std: Float[Array, "..."]

    def __check_init__(self):
        _check_shapes("ClippedNormal", self.mean, self.log_std)

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "*batch_and_shape"]:
        return jnp.clip(Normal(self.mean, self.log_std).sample(key, shape), -1, 1)

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Float[Array, "*shape"], Float[Array, ""]]:
        event = self.sample(key)
        return event, self.log_prob(event)

    def log_prob(self, event: Float[Array, "*shape"]) -> Float[Array, ""]:
        z = (event - self.mean) * jnp.exp(-self.log_std)
        between = -0.5 * z**2 - self.log_std - HALF_LOG_TWO_PI
        low, high = self._atoms()
        return jnp.sum(jnp.where(event <= -1, low, jnp.where(event >= 1, high, between)))

    def entropy(self) -> Float[Array, ""]:
        """Of the atoms and of the density together."""
        mass, _, squares = self._moments()
        atoms = -sum(jnp.exp(atom) * atom for atom in self._atoms())
        return jnp.sum(atoms + mass * (self.log_std + HALF_LOG_TWO_PI) + 0.5 * squares)

    def kl(self, other: Any) -> Float[Array, ""]:
        mass, first, squares = self._moments()
        shift, ratio = (self.mean - other.mean) * jnp.exp(-other.log_std), jnp.exp(self.log_std - other.log_std)
        of_other = shift**2 * mass + 2 * shift * ratio * first + ratio**2 * squares
        atoms = sum(jnp.exp(p) * (p - q) for p, q in zip(self._atoms(), other._atoms(), strict=True))
        return jnp.sum(atoms + mass * (other.log_std - self.log_std) + 0.5 * (of_other - squares))

    def mode(self) -> Float[Array, "*shape"]:
        """The mean, put onto the ends where it lies beyond them."""
        return jnp.clip(self.mean, -1, 1)

    def _ends(self) -> tuple[Array, Array]:
        """-1 and 1 as standard normal numbers."""
        return (-1 - self.mean) * jnp.exp(-self.log_std), (1 - self.mean) * jnp.exp(-self.log_std)

    def _atoms(self) -> tuple[Array, Array]:
        """The log-probabilities of -1 and of 1."""
        low, high = self._ends()
        return jax.scipy.special.log_ndtr(low), jax.scipy.special.log_ndtr(-high)

    def _moments(self) -> tuple[Array, Array, Array]:
        """Of the standard normal number between the ends: its mass, its mean and its mean square, not normalised."""
        low, high = self._ends()
        at_low, at_high = (jnp.exp(-0.5 * end**2 - HALF_LOG_TWO_PI) for end in (low, high))
        mass = jax.scipy.special.ndtr(high) - jax.scipy.special.ndtr(low)
        return mass, at_low - at_high, mass + low * at_low - high * at_high


@traits.register
def _(dist: ClippedNormal) -> Traits:
    return Traits(
        "ClippedNormal",
        is_proven=lambda: True,
        shape=jnp.shape(dist.mean),
        contains=lambda event: jnp.abs(event) <= 1,
        such_as="numbers from -1 to 1",
        quantiles=lambda: Quantiles(dist.mean.size, lambda uniform: jnp.clip(_numbers_at(dist, uniform), -1, 1)),
        # Numbers that are spread evenly between -1 and 1 have mean 0 and variance 1 / 3.
        nearest_uniform=lambda: ClippedNormal(
            jnp.zeros_like(dist.mean), jnp.full_like(dist.log_std, -0.5 * np.log(3.0))
        ),
        not_reparametrised=list,
        constraints=lambda: [wide_enough("ClippedNormal", dist.mean, jnp.exp(dist.log_std))],
        summary=lambda: {"mean": dist.mean, "std": np.exp(np.asarray(dist.log_std))},
    )
