"""What an algorithm may ask of an action's distribution."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree


class AbstractDistribution(eqx.Module):
    """A distribution over one event: an action, a choice, a sample. Its parameters are its array leaves."""

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> PyTree[Array]:
        """An event; or an array of independent ones of this leading shape, all from one key."""

    @abc.abstractmethod
    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[PyTree[Array], Float[Array, ""]]:
        """An event and the logarithm of its probability or density, in one pass.

        Differentiable through the event where the event is continuous; nothing is stopped here.
        """

    @abc.abstractmethod
    def log_prob(self, event: PyTree[Array]) -> Float[Array, ""]:
        """The logarithm of the probability (finite support) or of the density of an event."""

    @abc.abstractmethod
    def entropy(self) -> Float[Array, ""]:
        """The expectation of `-log_prob`, in nats, in closed form; `NotImplementedError` where there is none."""

    @abc.abstractmethod
    def kl(self, other: Any) -> Float[Array, ""]:
        """KL(self || other) in nats, for another distribution of the same kind."""

    @abc.abstractmethod
    def mode(self) -> PyTree[Array]:
        """The event of the greatest probability or density."""
