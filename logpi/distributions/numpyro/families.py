"""The traits of NumPyro's distributions: what is known of each of its families."""

import math
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...errors import InputError
from ..traits import Constraint, Family, Traits, traits, wide_enough
from .adapter import entries_of, FromNumpyro, HURDLES, of_entries, own_name, parts_of, shape_of
from .boundary import boundary_within, drawn_log_prob, pmf_of
from .rebuilding import own_parameters
from .samplers import inverse_cdf, outside_whitelist
from .support_bounds import ends_of

MOST_RATE = 1e6  # of a Poisson


@traits.register
def _(dist: FromNumpyro) -> Traits:
    inner = dist.distribution
    return Traits(
        type(inner).__name__,
        shape=shape_of(inner),
        is_discrete=lambda: bool(inner.is_discrete),
        is_proven=lambda: all(map(own_name, parts_of(inner))),
        values=lambda: _values(inner),
        contains=lambda event: _contains(inner, event),
        support_bounds=lambda: _support_bounds(inner),
        pmf=lambda event: pmf_of(dist, event),
        log_prob_of_draw=lambda event: drawn_log_prob(dist, event),
        families=lambda: [_family(inner)],
        bernoulli_logits=lambda: _bernoulli_logits(inner),
        categorical_logits=lambda: _categorical_logits(inner),
        quantiles=lambda: inverse_cdf(dist),
        not_reparametrised=lambda: outside_whitelist(inner),
        parameters=lambda: ((type(x).__name__, *field) for x in parts_of(inner) for field in vars(x).items()),
        own_parameters=lambda: own_parameters(inner),
        constraints=lambda: _constraints(inner),
        boundary=lambda: boundary_within(inner),
    )


def _contains(distribution: Any, event: Array) -> Any:
    support = distribution.support
    if support is None:  # Lévy's has none, and a user's own need not
        return None
    with jax.numpy_rank_promotion("allow"):
        inside = support(event)
        return inside | (event == 0) if own_name(entries_of(distribution)) in HURDLES else inside


def _values(distribution: Any) -> list[np.ndarray] | None:
    if not distribution.has_enumerate_support:
        return None
    try:
        with jax.ensure_compile_time_eval():
            values = np.asarray(entries_of(distribution).enumerate_support(expand=False)).reshape(-1)
    # Not concrete, or several sizes at once.
    except (NotImplementedError, jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
        raise InputError(
            f"the support of {type(distribution).__name__} cannot be listed, because its size depends on the "
            "parameters or is not the same for all entries: give one number (as total_count) that is not among the "
            "parameters, or use Score()."
        ) from None
    return [values] * math.prod(shape_of(distribution))


def _support_bounds(distribution: Any) -> list[Array]:
    from numpyro.distributions import Delta

    parts = list(parts_of(distribution))
    found = [leaf for part in parts for leaf in (*jax.tree.leaves(part.support), *ends_of(part)[0])]
    found += [part.v for part in parts if isinstance(part, Delta)]
    return [x for x in found if eqx.is_inexact_array(x)]


def _constraints(distribution: Any) -> Iterator[Constraint]:
    """NumPyro's `arg_constraints`, of single numbers and of triangles; others cost more than a draw.

    Outside of them its samplers say nothing, and draw what means nothing (-1 of a Poisson whose rate is negative).
    """
    from numpyro.distributions import constraints as c

    for part in parts_of(distribution):
        for name, constraint in part.arg_constraints.items():
            value, constraint = vars(part).get(name), of_entries(constraint)
            kinds = c.greater_than, c.less_than, type(c.interval(0, 1)), type(c.lower_cholesky)
            if isinstance(constraint, kinds) and value is not None:
                low, high = (getattr(constraint, end, None) for end in ("lower_bound", "upper_bound"))
                yield Constraint(type(part).__name__, name, value, constraint, low, high)
        yield from _drawable(part)


def _drawable(part: Any) -> Iterator[Constraint]:
    """What a sampler of 32 bits needs: JAX's Poisson has a variance of 0.9 to 1.02 times its mean beyond a million, and
    a normal one falls on few numbers where these are as far apart as it is wide.
    """
    name = own_name(part)
    if name == "Poisson" and jnp.result_type(part.rate) != jnp.float64:
        cure = "JAX's sampler has another variance beyond; give a Normal of mean and variance rate, or 64 bits"
        yield Constraint(name, "rate", part.rate, lambda rate: rate <= MOST_RATE, None, MOST_RATE, cure)
    if "loc" in part.arg_constraints and "scale" in part.arg_constraints and jnp.ndim(part.loc) == jnp.ndim(part.scale):
        yield wide_enough(name, part.loc, part.scale)
    if "loc" in part.arg_constraints and "scale_tril" in part.arg_constraints:
        yield wide_enough(name, part.loc, jnp.linalg.norm(part.scale_tril, axis=-1))


def _bernoulli_logits(distribution: Any) -> Float[Array, "*shape"] | None:
    entries = entries_of(distribution)
    if own_name(entries) not in ("BernoulliLogits", "BernoulliProbs"):
        return None
    return jnp.broadcast_to(entries.logits, shape_of(distribution))


def _categorical_logits(distribution: Any) -> Float[Array, " n"] | None:
    if own_name(distribution) not in ("CategoricalLogits", "CategoricalProbs"):
        return None
    return distribution.logits if distribution.batch_shape == () else None


def _family(distribution: Any) -> Family:
    entries, shape = entries_of(distribution), shape_of(distribution)
    name = own_name(entries).removesuffix("Probs").removesuffix("Logits")
    name = "" if entries.event_shape and name != "Categorical" else name
    return Family(type(distribution).__name__, name, shape, lambda: _parameters(entries, name, shape))


def _parameters(entries: Any, name: str, shape: tuple[int, ...]) -> dict[str, Array]:
    """NumPyro's parameters under a textbook's names, as derivatives flow from them."""
    if name == "Categorical":
        logits = entries.logits
        return {"logits": jnp.broadcast_to(logits, (*shape, logits.shape[-1]))}
    given = {parameter: getattr(entries, parameter) for parameter in entries.arg_constraints}
    if name in ("Bernoulli", "Binomial", "Geometric", "NegativeBinomial"):
        # Two forms, by probabilities or by logits: one is a function of the other.
        probs = jax.nn.sigmoid(given.pop("logits")) if "logits" in given else given.pop("probs")
        # NumPyro's negative binomial counts what comes with `probs`; the textbook's, failures before a success.
        given |= {"success": 1 - probs} if name == "NegativeBinomial" else {"probs": probs}
    return {parameter: jnp.broadcast_to(value, shape) for parameter, value in given.items()}
