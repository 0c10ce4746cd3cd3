"""Traits of a distribution: what is known of a kind beside what every distribution can do, told in one place.

Estimators, audits and figures ask `traits(dist)`, whatever kind it is. A kind answers beside its class, by
`@traits.register`, and only what it knows: what it does not say is unknown, and what is unknown is refused or done
without, never guessed. One thing is believed of every kind that does not tell otherwise: its support stays where it is.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

FEWEST_NUMBERS = 4  # that a scale is to span: rounding then adds at most half a hundredth to the variance of draws


class Constraint(NamedTuple):
    """A range that a parameter must keep to. Without bounds it is that of a Cholesky factor."""

    kind: str  # of which distribution, as people call it
    parameter: str
    value: Any
    holds: Callable[[Any], Any]  # whether a value keeps to it, for each entry
    low: Any = None
    high: Any = None
    cure: str = ""  # what to do, where it is not to be made of a free parameter


def wide_enough(kind: str, loc: Any, scale: Any) -> Constraint:
    """That a scale spans enough of the numbers around loc that its floats can tell apart."""
    if jnp.issubdtype(jnp.result_type(loc, scale), jnp.inexact):
        apart = float(jnp.finfo(jnp.result_type(loc, scale)).eps)
    else:
        apart = float(jnp.finfo(jnp.result_type(float)).eps)
    least = FEWEST_NUMBERS * apart * jnp.abs(jnp.asarray(loc))
    cure = "its draws are rounded: draw around 0, and add loc in f, or give 64 bits"
    low = f"{FEWEST_NUMBERS} times the distance of the floats around loc"
    return Constraint(kind, "scale", scale, lambda scale: scale >= least, low, None, cure)


class Boundary(NamedTuple):
    """Probabilities that may be exactly 0 or 1, beside which what is drawn does not show the derivative."""

    kind: str
    probs: Array
    is_at: Bool[Array, "..."]  # which of them are 0 or 1


class Quantiles(NamedTuple):
    """The quantile function: how many independent uniform numbers an event takes, and the event at these."""

    num_uniforms: int
    event: Callable[[Float[Array, " num_uniforms"]], Array]


class Probability(NamedTuple):
    """The probability of an event, and whether it or its derivative may count: if not, its cost must not either."""

    value: Float[Array, ""]
    counts: Bool[Array, ""]


class Branches(NamedTuple):
    """Events whose values, weighed, make an expectation: all there are, or one that was drawn."""

    events: PyTree[Array]  # (branches, ...)
    log_probs: Float[Array, " branches"]  # of each event
    weights: Float[Array, " branches"]  # of which the sum is 1


class Family(NamedTuple):
    """The family that the entries of an event come from, under the name and with the parameters of a textbook."""

    kind: str  # the distribution, as people call it
    name: str  # of the family; empty if it is not known
    shape: tuple[int, ...]
    parameters: Callable[[], dict[str, Array]]  # each of the shape of the event; logits have one axis more


def untold(*_: Any) -> None:
    """Unknown."""


def always() -> bool:
    """Known to be."""
    return True


@dataclasses.dataclass(frozen=True, eq=False)
class Traits:
    """What is known of one distribution: None, or nothing, where the answer is unknown.

    Most are functions, because some answers take a while, and some raise `InputError` with a better reason.
    """

    name: str  # what people call it
    has_log_prob: bool = True  # a foreign object need not
    holds: Callable[[], Any] = always  # whether the rest is right beside its own sampler and log_prob: by its numbers
    is_proven: Callable[[], bool] = bool  # known to be: log-probabilities are those of its draws, in derivatives too
    # Events.
    shape: tuple[int, ...] | None = None  # of one event, where it is an array and this is known
    is_discrete: Callable[[], bool] = bool  # known to be
    values: Callable[[], list[np.ndarray] | None] = untold  # that each entry can take, where they are finitely many
    contains: Callable[[Array], Any] = untold  # whether an array is an event, for each entry; of several events too
    such_as: str = "one that it can draw"  # what an event is, in words
    as_event: Callable[[Any], PyTree[Array] | None] = untold  # checked; where shape and `contains` do not say it all
    support_bounds: Callable[[], list[Array]] = list  # the arrays that place the ends of the support
    # Probabilities.
    pmf: Callable[[Array], Probability | None] = untold  # with the right derivative where it is 0, too
    log_prob_of_draw: Callable[[Array], Float[Array, ""] | None] = untold  # where rounding collects draws at an end
    families: Callable[[], list[Family] | None] = untold  # of the entries of an event, in order
    bernoulli_logits: Callable[[], Float[Array, "*shape"] | None] = untold  # if entries are independent zeros and ones
    categorical_logits: Callable[[], Float[Array, " n"] | None] = untold  # if an event is one choice out of n
    masked: Callable[[Bool[Array, " flags"]], Any] = untold  # with a flag for each of `values`: the rest is never drawn
    # Samplers.
    quantiles: Callable[[], Quantiles | None] = untold
    branches: Callable[[PRNGKeyArray], Branches | None] = untold  # where some parts are listed and others drawn
    nearest_uniform: Callable[[], Any] = untold  # of this kind, the likeliest for events that are spread evenly
    not_reparametrised: Callable[[], list[Array] | None] = untold  # in which a draw has no derivative, or a wrong one
    # Parameters.
    parameters: Callable[[], Iterable[tuple[str, str, Any]] | None] = untold  # kind, name, value; else its own fields
    # What it is a function of, and that function; None: itself.
    own_parameters: Callable[[], tuple[PyTree, Callable[[PyTree], Any]] | None] = untold
    constraints: Callable[[], Iterable[Constraint]] = tuple
    boundary: Callable[[], Iterable[Boundary]] = tuple
    parts: Callable[[], Sequence[Any]] = tuple  # independent distributions that it is made of
    summary: Callable[[], Mapping[str, Any]] = dict  # for pictures: probabilities; ones; or mean and std


@functools.singledispatch
def traits(dist: Any) -> Traits:
    """The traits of a distribution; of a kind that tells none, its name alone."""
    return Traits(type(dist).__name__)


def families_of(dist: Any) -> list[Family]:
    """The families of the entries of an event; one without a name where they are not known."""
    known = traits(dist)
    families = known.families()
    return [Family(known.name, "", (), dict)] if families is None else families


def nearest_uniform(dist: Any) -> Any:
    """A distribution of this kind and support under which all events are as likely as can be; itself if untold."""
    nearest = traits(dist).nearest_uniform()
    return dist if nearest is None else nearest
