"""Baselines: what is taken off a cost before it weighs a score. None moves the expectation; each changes the variance.

A baseline must not depend on the event whose score it weighs: the mean of one's own batch is biased by 1/n.
"""

import abc
import dataclasses
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..errors import check_between, check_fields, check_whole, InputError, shown
from ..parameters import apart
from ..statistics.leave_one_out import mean_of_others
from .problem import as_scalar, check_function, independent, Problem


class AbstractBaseline(eqx.Module):
    """What the costs of a batch are compared with."""

    @abc.abstractmethod
    def __call__(
        self, problem: Problem, params: PyTree, key: PRNGKeyArray, costs: Float[Array, "units unit"]
    ) -> Float[Array, "..."]:
        """The baseline of each cost, or one that broadcasts. Rows of `costs` are independent of each other."""

    @abc.abstractmethod
    def updated(self, value: Float[Array, ""]) -> "AbstractBaseline":
        """The baseline after `value` was seen as an estimate of the expectation: used only from then on."""


def check_baseline(value: object) -> None:
    """Raises `InputError` for what is no baseline, a class of one included."""
    if not isinstance(value, AbstractBaseline):
        hint = f"{value.__name__}()" if isinstance(value, type) else "LeaveOneOut()"
        raise InputError(f"baseline is {shown(value)}, but it must be one of logpi's baselines: give {hint}, say.")


def level_of(
    baseline: AbstractBaseline,
    problem: Problem,
    params: PyTree,
    key: PRNGKeyArray,
    costs: Float[Array, " samples"],
    unit: int = 1,
) -> Float[Array, " samples"]:
    """The baseline of each cost, where runs of `unit` of them depend on each other."""
    units = costs.reshape(-1, unit)
    return jnp.broadcast_to(baseline(problem, params, key, units), units.shape).reshape(costs.shape)


class NoBaseline(AbstractBaseline):
    """Zero: the plain score function."""

    def __call__(self, problem, params, key, costs) -> Float[Array, ""]:
        return jnp.zeros(())

    def updated(self, value: Float[Array, ""]) -> "NoBaseline":
        return self


class Constant(AbstractBaseline):
    """A number given beforehand."""

    value: float | Float[Array, ""]

    def __check_init__(self):
        check_fields(self, check_between, "value", low=-math.inf)

    def __call__(self, problem, params, key, costs) -> Float[Array, ""]:
        return jnp.asarray(self.value, costs.dtype)

    def updated(self, value: Float[Array, ""]) -> "Constant":
        return self


class LeaveOneOut(AbstractBaseline):
    """For each event the mean cost of the others. Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline".

    Adding a constant to f changes nothing but rounding.
    """

    def __call__(self, problem, params, key, costs: Float[Array, "units unit"]) -> Float[Array, "units 1"]:
        """The mean cost of the other units. Raises `InputError` if there is one unit only."""
        units = costs.shape[0]
        if units < 2:
            raise InputError(
                "LeaveOneOut compares independent samples, and this batch has 1: give `samples` of 2 or more (of 2 "
                "sets or more where samples are drawn in sets), or another baseline."
            )
        means = jnp.mean(costs, axis=1)  # one axis: with a second one of length 1, XLA takes three times as long
        return mean_of_others(means)[:, None]

    def updated(self, value: Float[Array, ""]) -> "LeaveOneOut":
        return self


class MovingAverage(AbstractBaseline):
    """The exponential average of earlier values; `expectation.updated(value)` adds one, after its use.

    Updated before its use it would contain its own sample, and be biased.
    """

    decay: float | Float[Array, ""] = 0.9
    total: Float[Array, ""] = eqx.field(default_factory=lambda: jnp.zeros(()))
    weight: Float[Array, ""] = eqx.field(default_factory=lambda: jnp.zeros(()))

    def __check_init__(self):
        check_fields(self, check_between, "decay", low=0, high=1)
        check_fields(self, check_between, "total", low=-math.inf)
        check_fields(self, check_between, "weight", low=0)

    def __call__(self, problem, params, key, costs) -> Float[Array, ""]:
        """The average; 0 before the first value."""
        return stop_gradient(self.total / jnp.maximum(self.weight, 1e-8))

    def updated(self, value: Float[Array, ""]) -> "MovingAverage":
        total = self.decay * self.total + (1 - self.decay) * stop_gradient(value)
        return MovingAverage(self.decay, total, self.decay * self.weight + (1 - self.decay))


class Learned(AbstractBaseline):
    """`function(context)`, a model of the expected cost, fitted by one step of least squares for each value seen.

    For problems that come with a context (a state, an input): Mnih & Gregor 2014 (arXiv:1402.0030), section 2.3.
    """

    function: Callable[[PyTree], Float[Array, ""]]  # any callable pytree, as an `equinox.nn.MLP` with out_size="scalar"
    context: PyTree
    learning_rate: float | Float[Array, ""] = 0.01

    def __check_init__(self):
        check_function("function", self.function)
        check_fields(self, check_between, "learning_rate", low=0)

    def __call__(self, problem, params, key, costs) -> Float[Array, ""]:
        """What the function expects in this context. Raises `InputError` unless that is one number."""
        return stop_gradient(as_scalar(self.function(self.context), "the function of Learned").astype(costs.dtype))

    def updated(self, value: Float[Array, ""]) -> "Learned":
        """One step down the squared error of the function in this context."""

        floats, rest = apart(self.function, eqx.is_inexact_array)

        def error(floats):
            expected = as_scalar(rest.filled(floats)(self.context), "the function of Learned")
            return 0.5 * (expected - stop_gradient(value)) ** 2

        pairs = zip(floats, jax.grad(error)(floats), strict=True)
        moved = [(x - self.learning_rate * slope).astype(x.dtype) for x, slope in pairs]
        return Learned(rest.filled(moved), self.context, self.learning_rate)

    def at(self, context: PyTree) -> "Learned":
        """The same function in another context."""
        return Learned(self.function, context, self.learning_rate)


class Optimal(AbstractBaseline):
    r"""The constant of least total variance, $E[f |s|^2] / E[|s|^2]$ with the score s, from a pilot of its own.

    The pilot's events are drawn and thrown away in every call: taken from the same batch it would be biased. Greensmith
    et al. 2004 (JMLR 5), theorem 8.
    """

    pilot: int = 32

    def __check_init__(self):
        check_fields(self, check_whole, "pilot", low=1)

    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, costs) -> Float[Array, ""]:
        """The constant. Costs `pilot` events and their scores."""
        draws = dataclasses.replace(problem, draw=independent).draws(params, key, self.pilot)
        floats, rest = apart(params, eqx.is_inexact_array)

        def score(event):
            events = jax.tree.map(lambda x: x[None], event)
            gradient = jax.grad(lambda floats: problem.log_probs(rest.filled(floats), events)[0])(floats)
            return jnp.sum(ravel_pytree(gradient)[0] ** 2)

        weights = jax.vmap(score)(draws.events)
        return stop_gradient(
            jnp.sum(weights * problem.costs(params, draws.events)) / jnp.maximum(jnp.sum(weights), 1e-30)
        )

    def updated(self, value: Float[Array, ""]) -> "Optimal":
        return self
