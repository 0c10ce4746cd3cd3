"""What every estimator is."""

import abc

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..errors import InputError, shown
from .problem import Problem


def check_multiple(name: str, samples: int, of: int, drawn: str) -> None:
    """Raises `InputError` unless `samples` splits into what an estimator draws: pairs, or sets of some size."""
    if samples % of:
        cure = "an even number" if drawn == "pairs" else f"a multiple of {of}"
        raise InputError(f"samples is {samples}, but {name} draws {drawn}: give {cure}.")


def check_estimator(name: str, value: object) -> None:
    """Raises `InputError` for what is no estimator, a class of one included."""
    if not isinstance(value, AbstractEstimator):
        hint = f"{value.__name__}()" if isinstance(value, type) else "Score()"
        raise InputError(f"{name} is {shown(value)}, but it must be one of logpi's estimators: give {hint}, say.")


class AbstractEstimator(eqx.Module):
    """A way to write a program whose value is unbiased for E[f], and whose derivative is unbiased for its gradient.

    The array leaves of an estimator are what `tune` may fit: they may move the variance, never the expectation.
    """

    @abc.abstractmethod
    def __call__(self, problem: Problem, params: PyTree, key: PRNGKeyArray, samples: int) -> Float[Array, ""]:
        """A scalar from `samples` events, to be differentiated in `params`."""
