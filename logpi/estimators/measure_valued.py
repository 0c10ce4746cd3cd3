"""Derivatives as differences between two distributions: no derivative of f, and none of a log-probability."""

from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..distributions import AbstractDistribution, Bernoulli, Categorical, FromNumpyro, Joint, Normal
from ..distributions.numpyro import entries_of, own_name, shape_of
from ..errors import InputError
from ..generator import fold_in, split
from .base import AbstractEstimator
from .parameters import frozen
from .problem import Problem
from .refusal import first_order, no_gradients
from .support import name_of
from .triples import Family, RULES


class MeasureValued(AbstractEstimator):
    r"""$\sum_j c_j \, \frac1n \sum_i (f(x_i^{j+}) - f(x_i^{j-}))$, j over the scalar parameters of a known family.

    Right for jumps in f, and for the bounds of `Uniform`. Each event costs two evaluations of f for each scalar
    parameter, and one for the value. Pflug 1989; Mohamed et al. 2020 (arXiv:1906.10652), section 6.
    """

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean cost, with these differences as its first derivative. Raises `InputError` for an unknown family."""
        base_key, key = split(key)
        dist = problem.distribution(params)
        live, still = families(dist), families(problem.frozen(params))
        events = problem.draws(params, base_key, samples).events
        flat = events.reshape(samples, -1)
        slope, offset = jnp.zeros((), jnp.float32), 0
        for i, (family, fixed) in enumerate(zip(live, still, strict=True)):
            for name, entries, constant, plus, minus in fixed.rules(fold_in(key, i), samples):
                difference = _mean_difference(problem, params, flat, events.shape, entries + offset, plus, minus)
                parameter = family.parameters[name].reshape(-1)
                slope += jnp.sum(constant.reshape(-1) * difference * (parameter - stop_gradient(parameter)))
            slope += _without_rule(family)
            offset += int(np.prod(family.shape))
        return jnp.mean(problem.costs(params, events)) + first_order(slope, params, "MeasureValued()")


def _mean_difference(problem, params, flat, shape, entries, plus, minus) -> Float[Array, " p"]:
    """The mean of f(x+) - f(x-) for each number of a parameter, where x+ and x- differ from an event in one entry."""
    samples, size = flat.shape
    count = entries.shape[0]

    def costs(values):
        values = values.reshape(samples, count)
        # Counts and choices may come as other integers than the events; an event keeps its own type.
        moved = jnp.broadcast_to(flat[:, None, :], (samples, count, size))
        moved = moved.at[:, np.arange(count), entries].set(values.astype(flat.dtype))
        return problem.costs(frozen(params), moved.reshape(samples * count, *shape[1:])).reshape(samples, count)

    return stop_gradient(jnp.mean(costs(plus) - costs(minus), axis=0))


def _without_rule(family: Family) -> Float[Array, ""]:
    sentence = (
        f"{family.name} has no measure-valued derivative here for one of its parameters ({', '.join(family.others)}): "
        "use Score(), or take jax.lax.stop_gradient of that parameter."
    )
    return no_gradients(family.others.values(), sentence)


@singledispatch
def families(dist: AbstractDistribution) -> list[Family]:
    """The families of the entries of an event, in order. Raises `InputError` for a distribution not in the table."""
    raise InputError(
        f"{name_of(dist)} is not in the table of measure-valued derivatives ({', '.join(RULES)}): use Score(), which "
        "is right for any distribution."
    )


@families.register
def _(dist: Normal) -> list[Family]:
    return [Family("Normal", dist.mean.shape, {"loc": dist.mean, "scale": jnp.exp(dist.log_std)}, {})]


@families.register
def _(dist: Bernoulli) -> list[Family]:
    return [Family("Bernoulli", dist.logits.shape, {"probs": jax.nn.sigmoid(dist.logits)}, {})]


@families.register
def _(dist: Categorical) -> list[Family]:
    return [Family("Categorical", (), {"logits": dist.logits}, {})]


@families.register
def _(dist: Joint) -> list[Family]:
    return [family for part in dist.parts for family in families(part)]


@families.register
def _(dist: FromNumpyro) -> list[Family]:
    inner = entries_of(dist.distribution)
    name = own_name(inner).removesuffix("Probs").removesuffix("Logits")
    if name not in RULES or (inner.event_shape and name != "Categorical"):
        return families.dispatch(object)(dist)
    return [_family_of(inner, name, shape_of(dist.distribution))]


def _family_of(inner: Any, name: str, shape: tuple[int, ...]) -> Family:
    """NumPyro's parameters under the table's names, as derivatives flow from them."""
    if name == "Categorical":
        logits = inner.logits
        return Family(name, shape, {"logits": jnp.broadcast_to(logits, (*shape, logits.shape[-1]))}, {})
    given = {parameter: getattr(inner, parameter) for parameter in inner.arg_constraints}
    if name in ("Bernoulli", "Binomial", "Geometric", "NegativeBinomial"):
        # Two forms, by probabilities or by logits: one is a function of the other.
        probs = jax.nn.sigmoid(given.pop("logits")) if "logits" in given else given.pop("probs")
        # NumPyro's negative binomial counts what comes with `probs`; the table's counts failures before a success.
        given |= {"success": 1 - probs} if name == "NegativeBinomial" else {"probs": probs}
    parameters = {parameter: jnp.broadcast_to(value, shape) for parameter, value in given.items()}
    others = {
        parameter: value
        for parameter, value in parameters.items()
        if parameter not in RULES[name] and jnp.issubdtype(value.dtype, jnp.inexact)
    }
    return Family(name, shape, parameters, others)
