"""What NumPyro's samplers can do: reparametrisation, by a whitelist, and quantile functions (inverse CDFs).

A derivative of a draw that is not zero may still be wrong.
"""

import functools
import math
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..quantiles import choice_at
from ..support import choices
from ..traits import Quantiles
from .adapter import entries_of, FromNumpyro, of_entries, parts_of, shape_of


def outside_whitelist(distribution: Any) -> list[Array] | None:
    """The arrays in which the sampler has no derivative, or a wrong one; `None` for discrete events."""
    if distribution.is_discrete:
        return None
    found = list(_outside(distribution))
    # A sampler of angles jumps from one end of the circle to the other, whatever it is moved by.
    found += [x for part in parts_of(distribution) if _is_wrapped(part) for x in jax.tree.leaves(part)]
    return [x for x in found if isinstance(x, jax.Array) and eqx.is_inexact_array(x)]


def _outside(distribution: Any) -> Iterator[Any]:
    """A family is asked for its own parameters, and not what helps it to draw; a wrapper, what it is wrapped around."""
    from numpyro.distributions import Distribution, TransformedDistribution

    fields = vars(distribution)
    if isinstance(distribution, TransformedDistribution):
        yield from _outside(distribution.base_dist)
        return
    if distribution.arg_constraints:
        names = set(distribution.arg_constraints) - set(distribution.reparametrized_params)
        yield from (x for name in sorted(names) for x in jax.tree.leaves(fields.get(name)))
        return
    for name in distribution.gather_pytree_data_fields():
        for x in jax.tree.leaves(fields.get(name), is_leaf=_is_own):
            if isinstance(x, Distribution):
                yield from _outside(x)
            elif name not in distribution.reparametrized_params:
                yield x


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


def inverse_cdf(dist: FromNumpyro) -> Quantiles | None:
    """NumPyro's own `icdf` of continuous events; of a finite support, by its probabilities."""
    distribution = dist.distribution
    shape = shape_of(distribution)
    if distribution.is_discrete:
        if not distribution.has_enumerate_support:
            return None
        choices(dist)  # a finite support is enough
        return Quantiles(math.prod(shape), functools.partial(_choices_at, dist))
    try:
        jax.eval_shape(entries_of(distribution).icdf, jnp.full(shape, 0.5))
    except (NotImplementedError, AttributeError, ImportError):  # some of NumPyro's ask for another library
        return None
    return Quantiles(math.prod(shape), functools.partial(_numbers_at, distribution))


def _numbers_at(distribution: Any, uniform: Float[Array, " d"]) -> Array:
    with jax.numpy_rank_promotion("allow"):
        return entries_of(distribution).icdf(uniform.reshape(shape_of(distribution)))


def _choices_at(dist: FromNumpyro, uniform: Float[Array, " d"]) -> Array:
    values, shape = choices(dist)
    events = jnp.asarray(values[0]).reshape(-1, *(1,) * len(shape))
    with jax.numpy_rank_promotion("allow"):
        probs = jnp.exp(entries_of(dist.distribution).log_prob(jnp.broadcast_to(events, (events.shape[0], *shape))))
    columns = probs.reshape(probs.shape[0], -1)
    index = jax.vmap(choice_at, in_axes=(1, 0))(columns, uniform)
    return jnp.asarray(values[0])[index].reshape(shape)
