"""Advantages as an update takes them: what happens to a batch of them before they weigh anything.

Here and not in an objective, because an objective sees rows one by one.
"""

import abc
from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from .surrogates import standardise


class AbstractAdvantages(eqx.Module):
    """From the advantages of a batch to those that weigh its rows."""

    standardised: eqx.AbstractClassVar[bool]  # whether they come out with mean 0 and standard deviation 1

    @abc.abstractmethod
    def __call__(self, advantage: Float[Array, "*rows"], weight: Float[Array, "*rows"]) -> Float[Array, "*rows"]:
        """The advantages to take. Rows of weight 0 count for nothing."""


class Unchanged(AbstractAdvantages):
    """As credit gave them: the gradient keeps its scale."""

    standardised: ClassVar[bool] = False

    def __call__(self, advantage: Float[Array, "*rows"], weight: Float[Array, "*rows"]) -> Float[Array, "*rows"]:
        return advantage


class Standardised(AbstractAdvantages):
    """Of mean 0 and standard deviation 1 over the batch.

    It scales the gradient, and biases it: a batch's own mean and deviation depend on its samples.
    """

    standardised: ClassVar[bool] = True

    def __call__(self, advantage: Float[Array, "*rows"], weight: Float[Array, "*rows"]) -> Float[Array, "*rows"]:
        return standardise(advantage, weight)
