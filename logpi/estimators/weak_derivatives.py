r"""Measure-valued (weak) derivatives, by a table: $\partial_\theta E[f(x)] = c \, (E[f(x^+)] - E[f(x^-)])$.

Mohamed et al. 2020 (arXiv:1906.10652), table 1, and Heidergott & Vázquez-Abad 2008; the two sides are coupled by
sharing their random numbers. Each rule below is one scalar parameter of one family, and is tested against closed forms.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..derivatives import first_order, no_gradients
from ..distributions import AbstractDistribution
from ..distributions.threefry import fold_in, split
from ..distributions.traits import families_of, Family
from ..errors import InputError
from ..parameters import frozen
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


def _bernoulli_probs(_key, shape, probs):
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


def triples(
    family: Family, parameters: dict[str, Array], key: PRNGKeyArray, samples: int
) -> Iterator[tuple[str, np.ndarray, Array, Side, Side]]:
    """For each parameter its name, the entry of the event that each of its numbers moves, c, x+ and x-."""
    for i, (name, rule) in enumerate(RULES[family.name].items()):
        shape = parameters[name].shape
        draw: Any = (samples, *shape)
        with jax.numpy_rank_promotion("allow"):  # draws have one axis more than the parameters
            constant, plus, minus = rule(random.fold_in(key, i), draw, **parameters)
        entries = np.arange(int(np.prod(family.shape))).repeat(int(np.prod(shape[len(family.shape) :])))
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
        live, still = in_table(dist), in_table(problem.frozen(params))
        events = problem.draws(params, base_key, samples).events
        flat = events.reshape(samples, -1)
        slope, offset = jnp.zeros((), jnp.float32), 0
        for i, ((family, moving), (_, fixed)) in enumerate(zip(live, still, strict=True)):
            for name, entries, constant, plus, minus in triples(family, fixed, fold_in(key, i), samples):
                difference = _mean_difference(problem, params, flat, events.shape, entries + offset, (plus, minus))
                parameter = moving[name].reshape(-1)
                slope += jnp.sum(constant.reshape(-1) * difference * (parameter - stop_gradient(parameter)))
            slope += _without_rule(family.name, moving)
            offset += int(np.prod(family.shape))
        return jnp.mean(problem.costs(params, events)) + first_order(slope, params, "MeasureValued()")


def _mean_difference(problem, params, flat, shape, entries, sides) -> Float[Array, " p"]:
    """The mean of f(x+) - f(x-) for each number of a parameter, where x+ and x- differ from an event in one entry."""
    samples, size = flat.shape
    count = entries.shape[0]

    def costs(values):
        values = values.reshape(samples, count)
        # Counts and choices may come as other integers than the events; an event keeps its own type.
        moved = jnp.broadcast_to(flat[:, None, :], (samples, count, size))
        moved = moved.at[:, np.arange(count), entries].set(values.astype(flat.dtype))
        return problem.costs(frozen(params), moved.reshape(samples * count, *shape[1:])).reshape(samples, count)

    plus, minus = sides
    return stop_gradient(jnp.mean(costs(plus) - costs(minus), axis=0))


def _without_rule(name: str, parameters: dict[str, Array]) -> Float[Array, ""]:
    """0; raises `InputError` where a derivative is taken in a parameter that the table has no rule for."""
    others = {
        parameter: value
        for parameter, value in parameters.items()
        if parameter not in RULES[name] and jnp.issubdtype(value.dtype, jnp.inexact)
    }
    sentence = (
        f"{name} has no measure-valued derivative here for one of its parameters ({', '.join(others)}): "
        "use Score(), or take jax.lax.stop_gradient of that parameter."
    )
    return no_gradients(others.values(), sentence)


def in_table(dist: AbstractDistribution) -> list[tuple[Family, dict[str, Array]]]:
    """The families of the entries of an event, in order, with their parameters. Raises `InputError` for others."""
    found = []
    for family in families_of(dist):
        if family.name not in RULES:
            raise InputError(
                f"{family.kind} is not in the table of measure-valued derivatives ({', '.join(RULES)}): use Score(), "
                "which is right for any distribution."
            )
        found.append((family, family.parameters()))
    return found
