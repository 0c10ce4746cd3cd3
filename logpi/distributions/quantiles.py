"""Events from numbers between 0 and 1, so that the numbers can be drawn in better ways than independently."""

import math
from functools import singledispatch

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import InputError
from .base import AbstractDistribution
from .bernoulli import Bernoulli
from .categorical import Categorical
from .joint import Joint
from .normal import Normal
from .numpyro import FromNumpyro
from .numpyro.adapter import entries_of, shape_of
from .support import choices, name_of


@singledispatch
def num_uniforms(dist: AbstractDistribution) -> int:
    """How many independent uniform numbers an event takes. Raises `InputError` where `from_uniform` does not exist."""
    raise InputError(
        f"{name_of(dist)} has no quantile function here, so its events cannot be made from evenly spread numbers: use "
        "the estimator without Antithetic, Stratified or QuasiMonteCarlo."
    )


@singledispatch
def from_uniform(dist: AbstractDistribution, uniform: Float[Array, " d"]) -> Array:
    """The event at these quantiles, one for each entry."""
    raise InputError(f"{name_of(dist)} has no quantile function here.")


@num_uniforms.register
def _(dist: Normal) -> int:
    return dist.mean.size


@from_uniform.register
def _(dist: Normal, uniform: Float[Array, " d"]) -> Array:
    return dist.mean + jnp.exp(dist.log_std) * jax.scipy.special.ndtri(uniform).reshape(dist.mean.shape)


@num_uniforms.register
def _(dist: Bernoulli) -> int:
    return dist.logits.size


@from_uniform.register
def _(dist: Bernoulli, uniform: Float[Array, " d"]) -> Array:
    return (uniform.reshape(dist.logits.shape) > jax.nn.sigmoid(-dist.logits)).astype(jnp.int32)


@num_uniforms.register
def _(dist: Categorical) -> int:
    return 1


@from_uniform.register
def _(dist: Categorical, uniform: Float[Array, " d"]) -> Array:
    return _choice(jax.nn.softmax(dist.logits), uniform[0])


@num_uniforms.register
def _(dist: Joint) -> int:
    return sum(num_uniforms(part) for part in dist.parts)


@from_uniform.register
def _(dist: Joint, uniform: Float[Array, " d"]) -> Array:
    sizes = [num_uniforms(part) for part in dist.parts]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    pieces = zip(dist.parts, starts, sizes, strict=True)
    return jnp.stack([from_uniform(part, uniform[start : start + size]) for part, start, size in pieces])


@num_uniforms.register
def _(dist: FromNumpyro) -> int:
    shape = shape_of(dist.distribution)
    if dist.distribution.is_discrete:
        if not dist.distribution.has_enumerate_support:
            return num_uniforms.dispatch(object)(dist)
        choices(dist)  # a finite support is enough
        return math.prod(shape)
    try:
        jax.eval_shape(entries_of(dist.distribution).icdf, jnp.full(shape, 0.5))
    except (NotImplementedError, AttributeError, ImportError):  # some of NumPyro's ask for another library
        return num_uniforms.dispatch(object)(dist)
    return math.prod(shape)


@from_uniform.register
def _(dist: FromNumpyro, uniform: Float[Array, " d"]) -> Array:
    inner = entries_of(dist.distribution)
    if not dist.distribution.is_discrete:
        with jax.numpy_rank_promotion("allow"):
            return inner.icdf(uniform.reshape(shape_of(dist.distribution)))
    values, shape = choices(dist)
    events = jnp.asarray(values[0]).reshape(-1, *(1,) * len(shape))
    with jax.numpy_rank_promotion("allow"):
        probs = jnp.exp(inner.log_prob(jnp.broadcast_to(events, (events.shape[0], *shape))))
    columns = probs.reshape(probs.shape[0], -1)
    index = jax.vmap(_choice, in_axes=(1, 0))(columns, uniform)
    return jnp.asarray(values[0])[index].reshape(shape)


def _choice(probs: Float[Array, " n"], uniform: Float[Array, ""]) -> Array:
    # Rounding may leave the sum below 1, and the rest must not go to a choice of probability 0.
    total = jnp.cumsum(probs)
    return jnp.sum(total <= uniform * total[-1])
