"""What is known of a distribution's support: the bounds it depends on, and its events where they are finitely many.

All are generic functions (`functools.singledispatch`) over the kinds of distributions; register your own kind.
"""

import math
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ..derivatives import no_gradients
from ..errors import InputError
from .base import AbstractDistribution
from .bernoulli import Bernoulli
from .categorical import Categorical
from .foreign import Foreign
from .joint import Joint
from .numpyro import FromNumpyro
from .numpyro.adapter import entries_of, of_entries, parts_of, shape_of
from .numpyro.bounds import ends_of
from .point import Point

MOST_EVENTS = 2**20  # a sum of a million terms still fits into memory


def name_of(dist: AbstractDistribution) -> str:
    """What people call a distribution."""
    inner = dist.distribution if isinstance(dist, (FromNumpyro, Foreign)) else dist
    return type(inner).__name__


@singledispatch
def bounds(dist: AbstractDistribution) -> list[Array]:
    """The arrays on which the support depends; none for a kind that is not known to have any."""
    return []


@bounds.register
def _(dist: Point) -> list[Array]:
    return [x for x in jax.tree.leaves(dist.event) if eqx.is_inexact_array(x)]


@bounds.register
def _(dist: Joint) -> list[Array]:
    return [bound for part in dist.parts for bound in bounds(part)]


@bounds.register
def _(dist: FromNumpyro) -> list[Array]:
    from numpyro.distributions import Delta

    parts = list(parts_of(dist.distribution))
    found = [leaf for part in parts for leaf in (*jax.tree.leaves(part.support), *ends_of(part)[0])]
    found += [part.v for part in parts if isinstance(part, Delta)]
    return [x for x in found if eqx.is_inexact_array(x)]


def still_support(dist: AbstractDistribution) -> Float[Array, ""]:
    """0; raises `InputError` where a derivative is taken in a bound of the support.

    The score function leaves out what crosses a moving bound: for `Uniform(0, t)` it even has the wrong sign.
    """
    sentence = (
        f"the support of {name_of(dist)} moves with its parameters, so the score function is wrong for it: use "
        "MeasureValued() (it knows the bounds of Uniform), or Pathwise() where f is smooth."
    )
    return no_gradients(bounds(dist), sentence)


def is_positive(dist: AbstractDistribution) -> bool:
    """Whether every event is known to lie above 0, but for one that has no probability."""
    if not isinstance(dist, FromNumpyro):
        return False
    low = getattr(of_entries(dist.distribution.support), "lower_bound", None)
    return low is not None and not isinstance(low, Tracer) and bool(np.all(np.asarray(low) >= 0))


@singledispatch
def choices(dist: AbstractDistribution) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """The values that each entry of an event can take, and the event's shape. Raises `InputError` if not finite."""
    raise InputError(
        f"{name_of(dist)} is not known to have a finite support, so its events cannot be summed over: use Score(), or "
        "MeasureValued() for a family in its table (Poisson, Geometric)."
    )


@choices.register
def _(dist: Categorical) -> tuple[list[np.ndarray], tuple[int, ...]]:
    return [np.arange(dist.logits.shape[0])], ()


@choices.register
def _(dist: Bernoulli) -> tuple[list[np.ndarray], tuple[int, ...]]:
    return [np.arange(2)] * dist.logits.size, dist.logits.shape


@choices.register
def _(dist: Joint) -> tuple[list[np.ndarray], tuple[int, ...]]:
    parts = [choices(part) for part in dist.parts]
    return [row for values, _ in parts for row in values], (len(parts), *parts[0][1])


@choices.register
def _(dist: FromNumpyro) -> tuple[list[np.ndarray], tuple[int, ...]]:
    inner = dist.distribution
    if not inner.has_enumerate_support:
        return choices.dispatch(object)(dist)
    try:
        with jax.ensure_compile_time_eval():
            values = np.asarray(entries_of(inner).enumerate_support(expand=False)).reshape(-1)
    # Not concrete, or several sizes at once.
    except (NotImplementedError, jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
        raise InputError(
            f"the support of {name_of(dist)} cannot be listed, because its size depends on the parameters or is not "
            "the same for all entries: give one number (as total_count) that is not among the parameters, or use "
            "Score()."
        ) from None
    shape = shape_of(inner)
    return [values] * math.prod(shape), shape


def table(values: list[np.ndarray]) -> np.ndarray:
    """Every combination of the values of several entries, a row each. Raises `InputError` for more than 2^20 rows."""
    count = math.prod(len(row) for row in values)
    if count > MOST_EVENTS:
        raise InputError(
            f"there are {count:,} combinations of {len(values)} entries, and at most {MOST_EVENTS:,} are summed: use "
            "RaoBlackwell(entries=...) to sum over fewer entries, or Score()."
        )
    return np.stack(np.meshgrid(*values, indexing="ij"), axis=-1).reshape(count, len(values))


def all_events(dist: AbstractDistribution) -> Array:
    """All events of a finite support, along a first axis. Raises `InputError` where they are infinite or too many."""
    values, shape = choices(dist)
    return jnp.asarray(table(values).reshape(-1, *shape))
