r"""The table of measure-valued derivatives: $\partial_\theta E[f(x)] = c \, (E[f(x^+)] - E[f(x^-)])$.

Mohamed et al. 2020 (arXiv:1906.10652), table 1, and Heidergott & Vázquez-Abad 2008; the two sides are coupled by
sharing their random numbers. Each row below is one scalar parameter of one family, and is tested against closed forms.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Float, PRNGKeyArray

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
