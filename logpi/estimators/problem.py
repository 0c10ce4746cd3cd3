"""The question every estimator is asked: the expectation of a function under a distribution with parameters."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..derivatives import slope_of
from ..distributions import AbstractDistribution, as_distribution
from ..distributions.guards import right_table, still_boundary, still_support, within_constraints
from ..distributions.probabilities import log_prob_of_draw, probability
from ..errors import InputError, shown, takes
from ..jaxprs.discontinuities import given
from ..parameters import frozen


def is_function(value: object) -> bool:
    """Whether it can be called, and is none of Python's own types, which take no arrays."""
    return callable(value) and not (isinstance(value, type) and value.__module__ == "builtins")


def check_function(name: str, value: object) -> None:
    """Raises `InputError` for what is no function."""
    if not is_function(value):
        raise InputError(f"{name} is {shown(value)}, but it must be a function: give one, for example jnp.sum.")


def as_scalar(value: Any, name: str) -> Float[Array, ""]:
    """What the function of this name returned; `InputError` if it is not one number."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise InputError(
            f"{name} returned {shown(value)}, but it must return one number: is a return missing?"
        ) from None
    if not jnp.isrealobj(array):
        raise InputError(f"{name} returned a complex number, but it must return a real one: return its real part.")
    if array.size != 1:
        raise InputError(f"{name} returned shape {array.shape}, but it must return one number: sum it.")
    return array.reshape(())


NOT_FOLLOWED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


class Draws(eqx.Module):
    """Events along a first axis, in runs of `unit` that depend on each other; units are independent."""

    events: PyTree[Array]
    unit: int = eqx.field(static=True, default=1)


def independent(dist: AbstractDistribution, key: PRNGKeyArray, samples: int) -> Draws:
    """Independent events, all from one key."""
    return Draws(dist.sample(key, (samples,)))


class Problem(eqx.Module):
    """E[f(x, params)] for x from `of(params)`; `draw` says how several events are drawn at once."""

    f: Callable[..., Any]
    of: Callable[[PyTree], Any] | None = None
    draw: Callable[[AbstractDistribution, PRNGKeyArray, int], Draws] = independent
    continuous: bool = eqx.field(static=True, default=False)  # said to be so, and not to be measured

    def distribution(self, params: PyTree) -> AbstractDistribution:
        """The distribution that the parameters stand for."""
        return as_distribution(params if self.of is None else followed(self.of, "of")(params))

    def frozen(self, params: PyTree) -> AbstractDistribution:
        """The same distribution, of which no derivative is taken."""
        # Not the events alone: a sampler without a derivative is then never asked for one.
        return self.distribution(frozen(params))

    def draws(self, params: PyTree, key: PRNGKeyArray, samples: int) -> Draws:
        """Events of the frozen distribution."""
        return frozen(self.draw(self.frozen(params), key, samples))

    def log_probs(self, params: PyTree, events: PyTree[Array]) -> Float[Array, " samples"]:
        """The log-probability of each event, to be differentiated; refused where the support moves (see there).

        The derivative is NaN where it moves a probability of exactly 0 or 1.
        """
        dist = self.distribution(params)
        log_probs = jax.vmap(lambda event: log_prob_of_draw(dist, event))(events)
        return log_probs + still_support(dist) + self.still_boundary(params)

    def log_probs_of_listed(self, params: PyTree, events: PyTree[Array]) -> Float[Array, " samples"]:
        """The same of events that were listed and not drawn; NaN where the list is not that of the distribution."""
        return self.log_probs(params, events) + right_table(self.distribution(params))

    def still_boundary(self, params: PyTree) -> Float[Array, ""]:
        """0, whose derivative is NaN where the parameters move a probability of exactly 0 or 1: no draw shows it."""
        return still_boundary(self.distribution, params)

    def probabilities(self, params: PyTree, events: PyTree[Array]) -> tuple[Array, Array]:
        """The probability of each event, to be differentiated, and whether the event's cost may count."""
        dist = self.distribution(params)
        probs, counts = jax.vmap(lambda event: probability(dist, event))(events)
        return probs + still_support(dist), counts

    def costs(self, params: PyTree, events: PyTree[Array]) -> Float[Array, " samples"]:
        """The function's value for each event. Raises `InputError` unless that is one real number.

        NaN where a parameter of the distribution is outside of its range. Every estimator asks for costs, however it
        draws.
        """
        takes_params, f = takes_parameters(self.f), followed(self.f, "f")

        costs = jax.vmap(lambda event: number(f(event, params) if takes_params else f(event)))(events)
        within = within_constraints(self.distribution(params))
        # The derivative in the first alone: in each of them it would be summed over all, whatever it is.
        first = jnp.pad(slope_of(within)[None], (0, costs.shape[0] - 1))
        return costs + stop_gradient(within) + first


def followed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The same function; `InputError` where it asks for a number while JAX only follows what it does with it."""

    def call(*args):
        try:
            with given():
                return function(*args)
        except NOT_FOLLOWED as error:
            kind = type(error).__name__
        cure = ", or wrap it: logpi.host(f)" if name == "f" else ""
        raise InputError(
            f"{name} cannot be followed by JAX ({kind}: Python's if, float() or int(), or a function of NumPy, on what "
            f"it is given): write it with jnp.where and functions of jax.numpy{cure}."
        )

    return call


def takes_parameters(f: Callable[..., Any]) -> bool:
    """Whether a function is `f(x, params)` and not `f(x)`: whether it needs a second argument.

    Raises `InputError` for one that cannot be called in either way.
    """
    if takes(f, 1):
        return False
    if not takes(f, 2):
        raise InputError(
            f"f is called as f(x) or f(x, params), but its arguments are {inspect.signature(f)}: give it one or two."
        )
    return True


def number(value: Any) -> Float[Array, ""]:
    """What f returned as a float; `InputError` if it is not one real number."""
    if value is None:
        raise InputError("f returned None for one event, but it must return one number: is a return missing?")
    leaves = jax.tree.leaves(value)
    if not all(map(_is_numeric, leaves)):
        raise InputError(f"f returned {shown(value)} for one event, but it must return one number: give a score of it.")
    if len(leaves) != 1 or jnp.shape(leaves[0]):
        what = f"an array of shape {jnp.shape(leaves[0])}" if len(leaves) == 1 else f"{len(leaves)} values"
        raise InputError(
            f"f returned {what} for one event, but it must return one number: sum or index what it returns."
        )
    value = jnp.asarray(leaves[0])
    if jnp.issubdtype(value.dtype, jnp.complexfloating):
        raise InputError("f returned a complex number, but an expectation to climb is real: return its real part.")
    return value.astype(jnp.result_type(value, jnp.float32))


def _is_numeric(leaf: Any) -> bool:
    """Whether it is a number or an array of them, and not text, a set, a random key, any object."""
    try:
        dtype = jnp.asarray(leaf).dtype
    except (TypeError, ValueError, OverflowError):  # of the last kind are whole numbers of more than 32 bits
        return False
    return jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)
