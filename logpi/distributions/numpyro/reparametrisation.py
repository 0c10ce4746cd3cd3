"""Which parameters a sampler can be differentiated in: a whitelist. A gradient that is not zero may still be wrong."""

from functools import singledispatch
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ...derivatives import no_gradients
from ...errors import InputError
from ..base import AbstractDistribution
from ..joint import Joint
from ..normal import Normal
from ..point import Point
from ..support import name_of
from .adapter import FromNumpyro, of_entries, parts_of


@singledispatch
def irreparametrised(dist: AbstractDistribution) -> list[Array]:
    """The arrays in which the sampler has no derivative, or a wrong one. Raises `InputError` for discrete events."""
    raise InputError(
        f"{name_of(dist)} is not known to be reparametrised, so its events have no derivative (of discrete events it "
        "would be 0): use Score(), which is right for any distribution."
    )


@irreparametrised.register
def _(dist: Normal) -> list[Array]:
    return []


@irreparametrised.register
def _(dist: Point) -> list[Array]:
    return []


@irreparametrised.register
def _(dist: Joint) -> list[Array]:
    return [array for part in dist.parts for array in irreparametrised(part)]


@irreparametrised.register
def _(dist: FromNumpyro) -> list[Array]:
    if dist.distribution.is_discrete:
        return irreparametrised.dispatch(object)(dist)
    parts = list(parts_of(dist.distribution))
    found = [
        x
        for part in parts
        for name in set(part.gather_pytree_data_fields()) - set(part.reparametrized_params)
        for x in jax.tree.leaves(vars(part).get(name), is_leaf=_is_own)
    ]
    # A sampler of angles jumps from one end of the circle to the other, whatever it is moved by.
    found += [x for part in parts if _is_wrapped(part) for x in jax.tree.leaves(part)]
    return [x for x in found if isinstance(x, jax.Array) and eqx.is_inexact_array(x)]


def _is_wrapped(distribution: Any) -> bool:
    from numpyro.distributions import constraints

    return isinstance(of_entries(distribution.support), type(constraints.circular))


def _is_own(node: Any) -> bool:
    """Whether a node of a NumPyro distribution is a part of its own, or none of its sampler's parameters.

    A transform is a function, and so has a path; a support only says where the events are.
    """
    from numpyro.distributions import Distribution
    from numpyro.distributions.constraints import Constraint
    from numpyro.distributions.transforms import Transform

    return isinstance(node, (Distribution, Constraint, Transform))


def check_reparametrised(dist: AbstractDistribution) -> Float[Array, ""]:
    """0; raises `InputError` for discrete events, or where a parameter not on the whitelist is differentiated in."""
    sentence = (
        f"a parameter of {name_of(dist)} is not reparametrised, so the derivative of its events in it is missing or "
        "wrong: use Score(), or take jax.lax.stop_gradient of that parameter."
    )
    return no_gradients(irreparametrised(dist), sentence)
