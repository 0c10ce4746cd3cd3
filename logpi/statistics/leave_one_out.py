"""The mean of the others: a baseline that does not know the number it is taken off."""

from typing import Any

from jaxtyping import Shaped

Numbers = Shaped[Any, "*batch n"]  # of NumPy or JAX, and so is the answer
Groups = Shaped[Any, "*batch n"]


def mean_of_others(x: Numbers) -> Numbers:
    r"""$\frac{1}{n-1} \sum_{j \ne i} x_j$ along the last axis, for two numbers or more.

    Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!", eq. 6. Summed from the first number on, so
    that an offset of all is not rounded away against what they vary by.
    """
    first = x[..., :1]
    shifted = x - first
    return first + (shifted.sum(-1, keepdims=True) - shifted) / (x.shape[-1] - 1)


def less_others_of_group(x: Numbers, group: Groups) -> Numbers:
    """Each number less the mean of the others with the same entry of `group`, as above; 0 where it has none."""
    same = group[..., :, None] == group[..., None, :]
    others = same.sum(-1) - 1
    shifted = x - x[..., :1]
    total = (same * shifted[..., None, :]).sum(-1)
    return (others > 0) * (shifted - (total - shifted) / others.clip(1))
