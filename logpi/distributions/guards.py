"""Guards on the parameters of a distribution: their constraints, its boundary, its support, and its sampler.

Outside of its range, a sampler draws what means nothing. At the boundary of its range, a probability may have a
derivative that no draw shows: of `Bernoulli(probs=0.0)` heads are never drawn, but their probability has the derivative
1, and a score, which sees only what was drawn, leaves f(heads) out. A sum over all events does not.
"""

from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PyTree

from ..derivatives import doubt, no_gradients, unknown
from ..errors import InputError
from ..parameters import apart, frozen
from .base import AbstractDistribution
from .numpyro.adapter import unvalidated
from .traits import traits

Of = Callable[[PyTree], AbstractDistribution]


def still_support(dist: AbstractDistribution) -> Float[Array, ""]:
    """0; raises `InputError` where a derivative is taken in a bound of the support.

    The score function leaves out what crosses a moving bound: for `Uniform(0, t)` it even has the wrong sign.
    """
    known = traits(dist)
    sentence = (
        f"the support of {known.name} moves with its parameters, so the score function is wrong for it: use "
        "MeasureValued() (it knows the bounds of Uniform), or Pathwise() where f is smooth."
    )
    if not known.is_proven():
        doubt(known.name)
    return no_gradients(known.support_bounds(), sentence)


def check_reparametrised(dist: AbstractDistribution) -> Float[Array, ""]:
    """0; raises `InputError` for discrete events, or where a parameter not on the whitelist is differentiated in."""
    sentence = (
        f"a parameter of {traits(dist).name} is not reparametrised, so the derivative of its events in it is missing "
        "or wrong: use Score(), or take jax.lax.stop_gradient of that parameter."
    )
    return no_gradients(not_reparametrised(dist), sentence)


def not_reparametrised(dist: AbstractDistribution) -> list[Array]:
    """The arrays in which the sampler has no derivative, or a wrong one. Raises `InputError` for discrete events."""
    known = traits(dist)
    if not known.is_proven():
        doubt(known.name)
    arrays = known.not_reparametrised()
    if arrays is None:
        raise InputError(
            f"{known.name} is not known to be reparametrised, so its events have no derivative (of discrete events it "
            "would be 0): use Score(), which is right for any distribution."
        )
    return arrays


def parameters_of(dist: AbstractDistribution) -> Iterable[tuple[str, str, Any]]:
    """The parameters of a distribution and of those it is made of: of what kind, by what name, and the value."""
    known = traits(dist).parameters()
    return [(type(dist).__name__, *field) for field in vars(dist).items()] if known is None else known


def within_constraints(dist: AbstractDistribution) -> Float[Array, ""]:
    """0; NaN where a parameter is outside of its range, so that no result passes for one; its derivative is too."""
    total = jnp.zeros((), jnp.float32)  # of few bits, so that it widens no number that it is added to
    for constraint in traits(dist).constraints():
        value = constraint.value
        is_broken = ~jnp.all(jnp.asarray(constraint.holds(value)))
        total += jnp.where(is_broken, jnp.nan, 0.0).astype(jnp.float32)
        if eqx.is_inexact_array(value):
            total += unknown(value, jnp.broadcast_to(is_broken, value.shape))
    return total


def right_table(dist: AbstractDistribution) -> Float[Array, ""]:
    """0; NaN where the events that are listed for a distribution are those of another, which its name stands for."""
    return jnp.where(traits(dist).holds(), 0.0, jnp.nan).astype(jnp.float32)


def another_of_its_name(dist: AbstractDistribution) -> str | None:
    """What to say of a distribution that is not what its name stands for, where its numbers are known."""
    known = traits(dist)
    holds = jax.jit(known.holds)()  # one program: it draws and compares
    if isinstance(holds, Tracer) or bool(holds):
        return None
    return (
        f"log_prob of {known.name} is not that of a {known.name} of its parameters, so that nothing else is known of "
        "it: use Score(), which needs no more, or give the class a name of its own"
    )


def broken_constraint(make: Callable[[], AbstractDistribution]) -> str | None:
    """What to say of a parameter that is outside of its range, where there is one and the numbers are known."""
    with unvalidated():
        dist = make()
        return _not_a_number(dist) or _out_of_range(dist)


def _not_a_number(dist: AbstractDistribution) -> str | None:
    for kind, name, given in parameters_of(dist):
        if isinstance(given, Tracer) or not (isinstance(given, float) or eqx.is_inexact_array(given)):
            continue
        value = np.asarray(given)
        if np.any(np.isnan(value)):
            return f"{name} of {kind} is not a number (NaN): look at what the parameters make of it"
        if name == "probs" and np.any(value < 0):
            return f"probs of {kind} has {value.min():.4g}, but it must be 0 or more: give logits in place of it"
    return None


def _out_of_range(dist: AbstractDistribution) -> str | None:
    for kind, name, value, holds, low, high, cure in traits(dist).constraints():
        if isinstance(value, Tracer) or bool(np.all(np.asarray(holds(value)))):
            continue
        if low is None and high is None:
            return (
                f"{name} of {kind} {cure}"
                if cure
                else (
                    f"{name} of {kind}, given or made of its matrix, is not lower triangular with a positive diagonal: "
                    "make it of a free matrix, as jnp.tril(p, -1) + jnp.diag(jnp.exp(jnp.diag(p)))"
                )
            )
        array = np.asarray(value)
        worst = array[~np.broadcast_to(np.asarray(holds(value)), array.shape)].reshape(-1)[0]
        where = f"above {low}" if high is None else f"below {high}" if low is None else f"between {low} and {high}"
        free = "jax.nn.sigmoid(p)" if high is not None else "jnp.exp(p)"
        cure = cure or f"make it of a free parameter, as {free}"
        return f"{name} of {kind} is {worst:.4g}, but it must be {where}: {cure}"
    return None


def off_boundary(dist: AbstractDistribution) -> Float[Array, ""]:
    """0, whose derivative is NaN in each probability of exactly 0 or 1.

    So it is in whatever that is made of, even where it does not depend on it: 0 times NaN is NaN. Where the parameters
    are known, `still_boundary` tells the difference.
    """
    return sum((unknown(probs, is_at) for _, probs, is_at in traits(dist).boundary()), jnp.zeros((), jnp.float32))


def still_boundary(of: Of, params: PyTree) -> Float[Array, ""]:
    """0, whose derivative is NaN in each parameter that moves a probability of exactly 0 or 1, and in no other.

    A sigmoid that was rounded to 1 does not move it, nor does what a mask multiplies by 0.
    """
    if not any(True for _ in traits(of(params)).boundary()):
        return jnp.zeros((), jnp.float32)
    try:
        moving = _moving(of, params)
    except (NotImplementedError, TypeError, ValueError):  # `of` has no derivative; its value may still be asked for
        return off_boundary(of(params))
    floats = apart(params, eqx.is_inexact_array)[0]
    return sum((unknown(x, moves) for x, moves in zip(floats, moving, strict=True)), jnp.zeros((), jnp.float32))


def broken_boundary(of: Of, params: PyTree) -> str | None:
    """What to say of a probability of exactly 0 or 1 that the parameters move, where there is one."""
    with unvalidated():
        found = [(kind, probs[is_at]) for kind, probs, is_at in traits(of(params)).boundary() if jnp.any(is_at)]
        if not found or not any(jnp.any(moves) for moves in _moving(of, params)):
            return None
    kind, probs = found[0]
    return (
        f"probs of {kind} is {float(probs[0]):g}, where the derivative lies in events that are never drawn: sum over "
        "all of them with Enumerate(), or keep it inside, as jax.nn.sigmoid(p)"
    )


def _moving(of: Of, params: PyTree) -> list[Bool[Array, "..."]]:
    """For each float among the parameters, whether a probability of exactly 0 or 1 moves with it.

    That is, faster than by what it was rounded to there by.
    """
    floats, rest = apart(frozen(params), eqx.is_inexact_array)

    def at_boundary(floats):
        found = list(traits(of(rest.filled(floats))).boundary())
        return [probs for _, probs, _ in found], [(probs, is_at) for _, probs, is_at in found]

    _, pull, found = jax.vjp(at_boundary, floats, has_aux=True)
    weights = []
    for i, (probs, is_at) in enumerate(found):
        precision = jnp.finfo(probs.dtype)
        rounded = jnp.where(probs == 0, precision.tiny, precision.eps).astype(probs.dtype)
        # Of different sizes, so that no two of them cancel.
        size = jax.random.uniform(jax.random.key(i), probs.shape, probs.dtype, 1.0, 2.0)
        weights.append(jnp.where(is_at, size / rounded, 0))
    (moved,) = pull(weights)
    return [~(jnp.abs(speed) <= 1) for speed in moved]  # NaN moves, too
