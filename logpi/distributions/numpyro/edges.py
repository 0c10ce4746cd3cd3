"""Probabilities of exactly 0 or 1, beside which what is drawn does not show the derivative.

Of `Bernoulli(probs=0.0)` heads are never drawn, but their probability has the derivative 1: a score, which sees only
what was drawn, leaves f(heads) out. A sum over all events does not (see `probabilities`).
"""

from collections.abc import Callable, Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ...derivatives import unknown
from ...parameters import frozen
from ..base import AbstractDistribution
from ..joint import Joint
from .adapter import FromNumpyro, own_name, parts_of
from .constraints import unvalidated

# NumPyro's log-probability is cut off beside these numbers; all others of its families are NaN or right there.
EDGES = {"BernoulliProbs": (0, 1), "BinomialProbs": (0, 1), "CategoricalProbs": (0,), "MultinomialProbs": (0,)}

Edge = tuple[str, Array, Bool[Array, "..."]]  # of which distribution, its probabilities, which of them are at the edge


def edges_of(dist: AbstractDistribution) -> Iterator[Edge]:
    """The probabilities of a distribution that may be at the edge."""
    if isinstance(dist, Joint):
        for part in dist.parts:
            yield from edges_of(part)
    if isinstance(dist, FromNumpyro):
        for part in parts_of(dist.distribution):
            ends = EDGES.get(own_name(part), ())
            if ends and eqx.is_inexact_array(part.probs):  # a number of Python's is a constant
                probs: Array = part.probs
                yield type(part).__name__, probs, jnp.any(jnp.stack([probs == end for end in ends]), axis=0)


def off_edge(dist: AbstractDistribution) -> Float[Array, ""]:
    """0, whose derivative is NaN in each probability at the edge.

    So it is in whatever that is made of, even where it does not depend on it: 0 times NaN is NaN. Where the parameters
    are known, `still_edge` tells the difference.
    """
    return sum((unknown(probs, at_edge) for _, probs, at_edge in edges_of(dist)), jnp.zeros((), jnp.float32))


def still_edge(of: Callable[[PyTree], AbstractDistribution], params: PyTree) -> Float[Array, ""]:
    """0, whose derivative is NaN in each parameter that moves a probability at the edge, and in no other.

    A sigmoid that was rounded to 1 does not move it, nor does what a mask multiplies by 0.
    """
    if not any(True for _ in edges_of(of(params))):
        return jnp.zeros((), jnp.float32)
    try:
        moving = _moving(of, params)
    except (NotImplementedError, TypeError, ValueError):  # `of` has no derivative; its value may still be asked for
        return off_edge(of(params))
    leaves = zip(jax.tree.leaves(eqx.filter(params, eqx.is_inexact_array)), jax.tree.leaves(moving), strict=True)
    return sum((unknown(x, moves) for x, moves in leaves), jnp.zeros((), jnp.float32))


def broken_edge(of: Callable[[PyTree], AbstractDistribution], params: PyTree) -> str | None:
    """What to say of a probability at the edge that the parameters move, where there is one."""
    with unvalidated():
        found = [(kind, probs[at_edge]) for kind, probs, at_edge in edges_of(of(params)) if jnp.any(at_edge)]
        if not found or not any(jnp.any(moves) for moves in jax.tree.leaves(_moving(of, params))):
            return None
    kind, probs = found[0]
    return (
        f"probs of {kind} is {float(probs[0]):g}, where the derivative lies in events that are never drawn: sum over "
        "all of them with Enumerate(), or keep it inside, as jax.nn.sigmoid(p)"
    )


def _moving(of: Callable[[PyTree], AbstractDistribution], params: PyTree) -> PyTree[Bool[Array, "..."]]:
    """For each float among the parameters, whether a probability at the edge moves with it.

    That is, faster than by what it was rounded to the edge by.
    """
    dynamic, static = eqx.partition(frozen(params), eqx.is_inexact_array)

    def found(dynamic):
        edges = list(edges_of(of(eqx.combine(dynamic, static))))
        return [probs for _, probs, _ in edges], [(probs, at_edge) for _, probs, at_edge in edges]

    _, pull, edges = jax.vjp(found, dynamic, has_aux=True)
    weights = []
    for i, (probs, at_edge) in enumerate(edges):
        precision = jnp.finfo(probs.dtype)
        rounded = jnp.where(probs == 0, precision.tiny, precision.eps).astype(probs.dtype)
        # Of different sizes, so that no two of them cancel.
        size = jax.random.uniform(jax.random.key(i), probs.shape, probs.dtype, 1.0, 2.0)
        weights.append(jnp.where(at_edge, size / rounded, 0))
    (moved,) = pull(weights)
    return jax.tree.map(lambda speed: ~(jnp.abs(speed) <= 1), moved)  # NaN moves, too
