r"""Natural gradients: as far as a step may move what a policy does, and not its parameters.

The Fisher matrix is $F = E[J^\top M J]$. $J$ is the derivative of a row's distribution in the policy's parameters, and
$M$ the Hessian of the divergence between two distributions, in the numbers that the second is made of, where both are
equal. It is never formed, and no second derivative of the network is taken.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from ..parameters import apart, trainable
from ..surrogates import Number, weighted_mean

Vector = Float[Array, " parameters"]
LinearMap = Callable[[Vector], Vector]  # a matrix, as what it makes of a vector
SHRINK = 0.8  # what a step that is not accepted is multiplied by


class NaturalStep(eqx.Module):
    """What a step along the natural gradient came to, over the rows of its batch."""

    gain: Float[Array, ""]  # of the surrogate's mean
    kl: Float[Array, ""]  # from the policy before, in nats
    share: Float[Array, ""]  # of the full step; 0 where none was accepted
    residual: Float[Array, ""]  # |F x - g| / |g|
    gradient_norm: Float[Array, ""]  # |g|


def divergences(old: PyTree, new: PyTree) -> Float[Array, "segments time"]:
    """KL(old || new) of each row's distributions, in nats."""
    return jax.vmap(jax.vmap(lambda p, q: p.kl(q)))(old, new)


def fisher(policies: Callable[[Vector], PyTree], params: Vector, weight: Float[Array, "segments time"]) -> LinearMap:
    """The Fisher matrix of a batch of distributions, as a function of a vector: `v -> F v`.

    `policies(params)` are the distributions of the rows, of any kind that knows `kl`; rows count by their `weight`.
    Amari 1998 (Neural Computation 10:251). Two passes through the network, one forward and one back, as for the
    Gauss-Newton matrix (Schraudolph 2002). So it has no negative curvature, as the Hessian of a KL has whose first
    distribution is not quite the second. Rows that hold pictures stay in memory, all of them.
    """

    def numbers_of(params: Vector) -> list[Array]:
        return apart(policies(params), eqx.is_inexact_array)[0]

    numbers, forward = jax.linearize(numbers_of, params)
    backward = jax.linear_transpose(forward, params)
    old = jax.lax.stop_gradient(policies(params))
    rest = apart(old, eqx.is_inexact_array)[1]

    def divergence(numbers: list[Array]) -> Float[Array, ""]:
        return weighted_mean(divergences(old, rest.filled(numbers)), weight)

    _, metric = jax.linearize(jax.grad(divergence), numbers)
    return lambda v: backward(metric(forward(v)))[0]


def conjugate_gradients(product: LinearMap, b: Vector, iterations: int) -> tuple[Vector, Vector]:
    """`x` with `product(x)` about `b`, and what is left of it: `b - product(x)`, computed anew and not carried along.

    Hestenes & Stiefel 1952, for a matrix without negative eigenvalues. Ends early where the rest is as small as the
    rounding of `b`.
    """
    enough = b @ b * jnp.finfo(b.dtype).eps ** 2

    def proceed(loop):
        done, _, _, _, size = loop
        return (done < iterations) & (size > enough)

    def again(loop):
        done, x, rest, direction, size = loop
        image = product(direction)
        curvature = direction @ image
        curved = curvature > 0
        length = jnp.where(curved, size / jnp.where(curved, curvature, 1.0), 0.0)
        rest = rest - length * image
        left = rest @ rest
        return done + 1, x + length * direction, rest, rest + left / size * direction, jnp.where(curved, left, 0.0)

    _, x, _, _, _ = jax.lax.while_loop(proceed, again, (0, jnp.zeros_like(b), b, b, b @ b))
    return x, b - product(x)


def trust_region(
    surrogate: Callable[[PyTree], Float[Array, "segments time"]],
    policies: Callable[[PyTree], PyTree],
    model: PyTree,
    weight: Float[Array, "segments time"],
    *,
    radius: Number,
    damping: Number,
    iterations: int,
    backtracks: int,
    accepts: Callable[[Float[Array, ""], Float[Array, ""]], Bool[Array, ""]],
) -> tuple[PyTree, NaturalStep]:
    r"""The model after a step $s = \sqrt{2 \delta / (x^\top F x)} \, x$ with $F x = g$, or a share of it.

    Schulman et al. 2015 (arXiv:1502.05477), appendix C; the direction is that of Kakade 2001 ("A natural policy
    gradient"). `surrogate(distributions)` is a number for each row, whose mean has the gradient $g$;
    `policies(model)` are the rows' distributions, and $\delta$ is the `radius` in nats. `damping` is added to the
    diagonal of $F$. The step is shortened up to `backtracks` times, until `accepts(gain, kl)`, of which both are of all
    rows; if none is accepted, or there is no gradient, the model stays as it is.
    """
    params, static = eqx.partition(model, trainable(model))
    start, unravel = ravel_pytree(params)

    def at(flat: Vector) -> PyTree:
        return policies(eqx.combine(unravel(flat), static))

    before, uphill = jax.value_and_grad(lambda flat: weighted_mean(surrogate(at(flat)), weight))(start)
    old, product, norm = at(start), fisher(at, start, weight), jnp.linalg.norm(uphill)
    unit = uphill / jnp.where(norm > 0, norm, 1.0)  # a step does not depend on the gradient's length, which may be tiny
    x, left = conjugate_gradients(lambda v: product(v) + damping * v, unit, iterations)
    step = _of_length(radius, x, x @ (unit - left))

    def tried(share):
        new = at(start + share * step)
        gain, kl = weighted_mean(surrogate(new), weight) - before, weighted_mean(divergences(old, new), weight)
        return share, gain, kl

    def proceed(loop):
        done, (_, gain, kl) = loop
        return (done < backtracks) & ~accepts(gain, kl)

    def again(loop):
        done, (share, _, _) = loop
        return done + 1, tried(SHRINK * share)

    _, found = jax.lax.while_loop(proceed, again, (0, tried(jnp.ones_like(norm))))
    share, gain, kl = (jnp.where(accepts(*found[1:]), number, 0.0) for number in found)
    return eqx.combine(unravel(start + share * step), static), NaturalStep(gain, kl, share, jnp.linalg.norm(left), norm)


def _of_length(radius: Number, x: Vector, curvature: Float[Array, ""]) -> Vector:
    """The multiple of a direction whose KL is the radius by second order; 0 where there is no curvature."""
    curved = curvature > 0
    return jnp.where(curved, jnp.sqrt(2 * radius / jnp.where(curved, curvature, 1.0)), 0.0) * x
