"""Control variates that are differentiable: an idea of f, subtracted by score and added back pathwise."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..derivatives import first_order
from ..distributions import AbstractDistribution
from ..distributions.guards import check_reparametrised
from ..distributions.threefry import fast_key, split
from ..distributions.traits import traits
from ..errors import check_between, check_fields, InputError
from .base import AbstractEstimator
from .disarm import bernoulli_logits
from .problem import as_scalar, check_function, followed, Problem

Surrogate = Callable[[Array], Float[Array, ""]]


class LAX(AbstractEstimator):
    r"""$(f(x) - c(x)) \, \partial \log \pi(x) + \partial_\theta c(x(\theta))$ for continuous events and any smooth c.

    Unbiased whatever the smooth surrogate; `logpi.tune` fits its arrays. Grathwohl et al. 2018
    (arXiv:1711.00123), eq. 3.
    """

    surrogate: Surrogate

    def __check_init__(self):
        check_function("surrogate", self.surrogate)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean over samples. Raises `InputError` where the events are not reparametrised."""
        dist = problem.distribution(params)
        wrong = check_reparametrised(dist)
        moving = problem.draw(dist, key, samples).events
        events = stop_gradient(moving)
        costs = problem.costs(params, events)
        guess = jax.vmap(lambda event: as_scalar(followed(self.surrogate, "the surrogate")(event), "the surrogate"))
        guesses = guess(moving)
        push = jnp.mean(_score(problem, params, events) * (stop_gradient(costs) - guesses) + guesses) + wrong
        return jnp.mean(costs) + first_order(push - stop_gradient(push), params, "LAX()")


class RELAX(AbstractEstimator):
    r"""LAX for coins and choices: c sees the noisy logits z, of which the event is the sign or the largest entry.

    $(f(b) - c(\tilde z)) \, \partial \log \pi(b) + \partial_\theta c(z) - \partial_\theta c(\tilde z)$, where $\tilde
    z$ is drawn given b. Unbiased whatever the smooth surrogate, a function of an array of the shape of the logits.
    Grathwohl et al. 2018 (arXiv:1711.00123), eq. 7.
    """

    surrogate: Surrogate

    def __check_init__(self):
        check_function("surrogate", self.surrogate)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean over samples. Raises `InputError` for events that are neither coins nor one choice."""
        return _relax(
            problem, params, key, samples, lambda z, _: followed(self.surrogate, "the surrogate")(z), "RELAX()"
        )


class REBAR(AbstractEstimator):
    r"""RELAX with f itself at relaxed events as the surrogate, times `scale`: $c(z) = \eta f(\sigma(z / \lambda))$.

    f must take coins between 0 and 1; for a choice give `relaxed`, a function of a vector of probabilities. Unbiased
    for any scale and temperature; `logpi.tune` fits both. Each sample costs three evaluations of f. Tucker et al. 2017
    (arXiv:1703.07370), eq. 7.
    """

    temperature: float | Float[Array, ""] = 0.5
    scale: float | Float[Array, ""] = 1.0
    relaxed: Callable[[Array], Float[Array, ""]] | None = None

    def __check_init__(self):
        check_fields(self, check_between, "temperature", low=1e-6)
        check_fields(self, check_between, "scale", low=-math.inf)
        if self.relaxed is not None:
            check_function("relaxed", self.relaxed)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """The mean over samples. Raises `InputError` for a choice without `relaxed`, or for other events."""
        is_choice = traits(problem.distribution(params)).categorical_logits() is not None
        if is_choice and self.relaxed is None:
            raise InputError(
                "REBAR needs f between the choices of a categorical, and f takes only their numbers: give relaxed=, a "
                "function of a vector of probabilities that equals f at its corners, or use UnorderedSet()."
            )

        def surrogate(z, params):
            soft = (jax.nn.softmax if is_choice else jax.nn.sigmoid)(z / self.temperature)
            value = (
                as_scalar(followed(self.relaxed, "relaxed")(soft), "relaxed")
                if self.relaxed is not None
                else problem.costs(params, soft[None])[0]
            )
            return self.scale * value

        return _relax(problem, params, key, samples, surrogate, "REBAR()")


def _relax(problem, params, key, samples, surrogate, name) -> Float[Array, ""]:
    z, again, events = jax.vmap(lambda key: noisy_logits(problem.distribution(params), key, name))(split(key, samples))
    costs = problem.costs(params, events)
    guess = jax.vmap(lambda z, params: as_scalar(surrogate(z, params), "the surrogate"), in_axes=(0, None))
    guesses, again = guess(z, params), guess(again, params)
    push = jnp.mean(_score(problem, params, events) * (stop_gradient(costs) - again) + guesses - again)
    return jnp.mean(costs) + first_order(push - stop_gradient(push), params, name)


def _score(problem: Problem, params: PyTree, events: Array) -> Float[Array, " samples"]:
    """0, with the score as its derivative: what it multiplies is then a constant to the parameters, not to `tune`."""
    log_probs = problem.log_probs(params, events)
    return log_probs - stop_gradient(log_probs)


def noisy_logits(dist: AbstractDistribution, key: PRNGKeyArray, name: str) -> tuple[Array, Array, Array]:
    """z, another z given the event that the first one means, and that event. Both move with the logits.

    Tucker et al. 2017 (arXiv:1703.07370), appendix C; Maddison et al. 2017 (arXiv:1611.00712).
    """
    first, second = split(key)
    choice = traits(dist).categorical_logits()
    logits = bernoulli_logits(dist, name) if choice is None else jax.nn.log_softmax(choice)
    # Never 0, and never 1: the largest uniform number is the last one before it.
    u = jax.random.uniform(fast_key(first), logits.shape, minval=jnp.finfo(jnp.float32).tiny)
    v = jax.random.uniform(fast_key(second), logits.shape, minval=jnp.finfo(jnp.float32).tiny)
    if choice is None:
        z = logits + _logit(u)
        event = (stop_gradient(z) > 0).astype(jnp.int32)
        odds = _logit(v)
        heads = jax.nn.softplus(odds - jax.nn.log_sigmoid(-logits))
        tails = -jax.nn.softplus(-odds - jax.nn.log_sigmoid(logits))
        return z, jnp.where(event == 1, heads, tails), event
    z = logits - jnp.log(-jnp.log(u))
    event = jnp.argmax(stop_gradient(z))
    top = -jnp.log(v[event])
    others = -jnp.log(-jnp.log(v) * jnp.exp(-logits) + top)
    again = jnp.where(jnp.arange(logits.shape[0]) == event, -jnp.log(top), others)
    return z, again, event


def _logit(p: Array) -> Array:
    return jnp.log(p) - jnp.log1p(-p)
