"""Which leaves of a model an optimiser moves."""

import equinox as eqx
import jax
from jaxtyping import PyTree


class AbstractStatistics(eqx.Module):
    """A part of a model that is measured, not learned: no optimiser moves its leaves."""


def trainable(model: PyTree) -> PyTree:
    """A tree of the model's structure, True at every leaf that is learned: floating-point and not a statistic."""

    def is_statistics(node) -> bool:
        return isinstance(node, AbstractStatistics)

    def mark(node):
        return jax.tree.map(lambda _: False, node) if is_statistics(node) else eqx.is_inexact_array(node)

    return jax.tree.map(mark, model, is_leaf=is_statistics)
