r"""Measure-valued (weak) derivatives, by a table: $\partial_\theta E[f(x)] = c \, (E[f(x^+)] - E[f(x^-)])$.

Mohamed et al. 2020 (arXiv:1906.10652), table 1, and Heidergott & Vázquez-Abad 2008; the two sides are coupled by
sharing their random numbers. Each rule below is one scalar parameter of one family, and is tested against closed forms.
"""

from collections.abc import Callable, Iterator
from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..derivatives import first_order, no_gradients
from ..distributions import AbstractDistribution, Bernoulli, Categorical, FromNumpyro, Joint, Normal
from ..distributions.numpyro.adapter import entries_of, own_name, shape_of
from ..distributions.support import name_of
from ..errors import InputError
from ..parameters import frozen
from ..threefry import fold_in, split
from .base import AbstractEstimator
from .problem import Problem

Side = Float[Array, "n *shape"]
Rule = Callable[..., tuple[Array, Array, Array]]  # (key, shape, **parameters) -> c, x+, x-


def _two_exponentials(key, shape) -> tuple[Array, Array]:
    first, second = random.exponential(key, (2, *shape))
    return first, first + second


def _normal_loc(key, shape, loc, scale):
    weibull = jnp.sqrt(2 * random.exponential(key, shape))
    return 1 / (scale * jnp.sqrt(2 * jnp.pi)), loc + scale * weibull, loc - scale * weibull


def _normal_scale(key, shape, loc, scale):
    size_key, sign_key, uniform_key = random.split(key, 3)
    maxwell = random.rademacher(sign_key, shape) * jnp.sqrt(2 * random.gamma(size_key, 1.5, shape))
    return 1 / scale, loc + scale * maxwell, loc + scale * maxwell * random.uniform(uniform_key, shape)


def _laplace_loc(key, shape, loc, scale):
    step = scale * random.exponential(key, shape)
    return 1 / (2 * scale), loc + step, loc - step


def _laplace_scale(key, shape, loc, scale):
    key, sign_key = random.split(key)
    sign = random.rademacher(sign_key, shape)
    one, two = _two_exponentials(key, shape)
    return 1 / scale, loc + sign * scale * two, loc + sign * scale * one


def _exponential_rate(key, shape, rate):
    one, two = _two_exponentials(key, shape)
    return 1 / rate, one / rate, two / rate


def _gamma_rate(key, shape, concentration, rate):
    gamma_key, key = random.split(key)
    gamma = random.gamma(gamma_key, concentration, shape)
    return concentration / rate, gamma / rate, (gamma + random.exponential(key, shape)) / rate


def _weibull_scale(key, shape, scale, concentration):
    one, two = _two_exponentials(key, shape)
    return concentration / scale, scale * two ** (1 / concentration), scale * one ** (1 / concentration)


def _pareto_alpha(key, shape, scale, alpha):
    one, two = _two_exponentials(key, shape)
    return 1 / alpha, scale * jnp.exp(one / alpha), scale * jnp.exp(two / alpha)


def _uniform_high(key, shape, low, high):
    inside = low + (high - low) * random.uniform(key, shape)
    return 1 / (high - low), jnp.broadcast_to(high, shape), inside


def _uniform_low(key, shape, low, high):
    inside = low + (high - low) * random.uniform(key, shape)
    return 1 / (high - low), inside, jnp.broadcast_to(low, shape)


def _poisson_rate(key, shape, rate):
    count = random.poisson(key, rate, shape)
    return jnp.ones_like(rate), count + 1, count


def _binomial_probs(key, shape, total_count, probs):
    count = random.binomial(key, total_count - 1, probs, shape).astype(jnp.int32)
    return jnp.broadcast_to(total_count, probs.shape).astype(probs.dtype), count + 1, count


def _bernoulli_probs(key, shape, probs):
    return jnp.ones_like(probs), jnp.ones(shape, jnp.int32), jnp.zeros(shape, jnp.int32)


def _geometric_probs(key, shape, probs):
    first, second = random.geometric(key, probs, (2, *shape)) - 1  # JAX counts trials, from 1 on
    return 1 / probs, first, 1 + first + second


def _negative_binomial_success(key, shape, total_count, success):
    rate_key, count_key, key = random.split(key, 3)
    rate = random.gamma(rate_key, total_count, shape) * (1 - success) / success
    count = random.poisson(count_key, rate)
    return total_count / success, count, 1 + count + random.geometric(key, success, shape) - 1


def _categorical_logits(key, shape, logits):
    """One triple for each logit: the choice itself, against a choice that is not it."""
    k = logits.shape[-1]
    probs = jax.nn.softmax(logits)
    others = jnp.where(jnp.eye(k, dtype=bool), -jnp.inf, logits[..., None, :])
    minus = random.categorical(key, others, shape=shape)
    return probs * (1 - probs), jnp.broadcast_to(jnp.arange(k), shape), minus


RULES: dict[str, dict[str, Rule]] = {
    "Normal": {"loc": _normal_loc, "scale": _normal_scale},
    "Laplace": {"loc": _laplace_loc, "scale": _laplace_scale},
    "Exponential": {"rate": _exponential_rate},
    "Gamma": {"rate": _gamma_rate},
    "Weibull": {"scale": _weibull_scale},
    "Pareto": {"alpha": _pareto_alpha},
    "Uniform": {"low": _uniform_low, "high": _uniform_high},
    "Poisson": {"rate": _poisson_rate},
    "Binomial": {"probs": _binomial_probs},
    "Bernoulli": {"probs": _bernoulli_probs},
    "Geometric": {"probs": _geometric_probs},
    "NegativeBinomial": {"success": _negative_binomial_success},
    "Categorical": {"logits": _categorical_logits},
}


class Family:
    """One event's worth of a family: its parameters, broadcast to the shape of the event."""

    def __init__(self, name: str, shape: tuple[int, ...], parameters: dict[str, Array], others: dict[str, Array]):
        self.name = name
        self.shape = shape
        self.parameters = parameters
        self.others = others  # parameters of the family's other form, and those without a rule

    def rules(self, key: PRNGKeyArray, samples: int) -> Iterator[tuple[str, np.ndarray, Array, Side, Side]]:
        """For each parameter its name, the entry of the event that each of its numbers moves, c, x+ and x-."""
        for i, (name, rule) in enumerate(RULES[self.name].items()):
            shape = self.parameters[name].shape
            draw: Any = (samples, *shape)
            with jax.numpy_rank_promotion("allow"):  # draws have one axis more than the parameters
                constant, plus, minus = rule(random.fold_in(key, i), draw, **self.parameters)
            entries = np.arange(int(np.prod(self.shape))).repeat(int(np.prod(shape[len(self.shape) :])))
            yield name, entries, jnp.broadcast_to(constant, shape), plus, minus


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
