"""Heavy tails: where a mean or a variance does not exist, an error that is read from a spread means nothing."""

import math

import numpy as np
from jaxtyping import Float

FEWEST = 128  # numbers, of which the largest says something
ENOUGH = 512  # numbers, of which a tail index does
HALF = 0.5  # of all squared deviations, in a single one: for normal numbers, less than once in a million
ROUNDING = 1e-5  # of the largest number: what varies by less was rounded, and has no tail
SURE = 3.0  # standard errors below 2, where a variance ends


def tail_index(numbers: Float[np.ndarray, " n"], largest: int) -> float:
    r"""Hill's estimate of $\alpha$ in $P(|x| > t) \sim t^{-\alpha}$, from the numbers furthest from the median.

    Infinite where these do not vary. Its standard error is $\alpha / \sqrt{k}$ for the k largest. Hill 1975, "A simple
    general approach to inference about the tail of a distribution".
    """
    apart = np.sort(np.abs(numbers - np.median(numbers)))[::-1]
    if not apart[largest] > 0:
        return math.inf
    total = float(np.sum(np.log(apart[:largest] / apart[largest])))
    return largest / total if total > 0 else math.inf


def heavy_tail(rows: Float[np.ndarray, "kinds kept"], count: int) -> str:
    """Why an error from `count` replicates means nothing, if one of the rows of numbers has a heavy tail; else empty.

    The rows hold the last replicates, and zeros where there are fewer.
    """
    kept = np.sort(np.asarray(rows, np.float64)[:, :count])  # here all else can be read off: each estimate comes by
    n = kept.shape[1]
    if n < FEWEST:
        return ""
    middle = (kept[:, (n - 1) // 2] + kept[:, n // 2]) / 2
    apart = kept - middle[:, None]
    spread = np.einsum("ij,ij->i", apart, apart).tolist()
    most = np.maximum(-apart[:, 0], apart[:, -1]).tolist()
    size = np.maximum(-kept[:, 0], kept[:, -1]).tolist()
    for i, name in enumerate(("value", "gradient")):
        if most[i] <= ROUNDING * size[i]:
            continue
        if most[i] ** 2 > HALF * spread[i]:
            return (
                f"a single replicate makes up {most[i] ** 2 / spread[i]:.0%} of the spread of the {name}, so "
                "its error is not known: take more samples, or bound f where it is rarely very large"
            )
        if n < ENOUGH:
            continue
        largest = round(n**0.46)
        index = tail_index(kept[i], largest)
        if index * (1 + SURE / math.sqrt(largest)) < 2:
            what = "mean" if index < 1 else "variance"
            return (
                f"the {name} of the replicates has a heavy tail (index {index:.2g}), so that it seems to have no "
                f"{what} and its error means nothing: bound f, or take its logarithm"
            )
    return ""
