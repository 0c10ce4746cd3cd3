r"""Signal and noise of a gradient, from independent estimates of it.

All but the first are functions of the Gram matrix $K_{ij} = g_i \cdot g_j$ of the estimates: it is small, however many
parameters there are.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from .jackknife import standard_error

Gram = Float[np.ndarray, "batches batches"]
SPLITS = 64  # random halves


def signal_and_variance(square_of_mean: Any, mean_of_squares: Any, n: Any) -> tuple[Any, Any]:
    r"""$|G|^2$ and $\mathrm{tr}\,\Sigma / n$, the variance of the mean, both unbiased; the first may come out negative.

    From $|\bar g|^2$ and the mean of $|g_i|^2$ of `n` independent estimates, two or more; numbers or arrays of any
    library. McCandlish et al. 2018 (arXiv:1812.06162), appendix A.1, with one estimate for the small batch and all of
    them for the large one.
    """
    variance = (mean_of_squares - square_of_mean) / (n - 1)
    return square_of_mean - variance, variance


def signal_and_noise(gram: Gram) -> tuple[float, float]:
    r"""$|G|^2$ and $\mathrm{tr}\,\Sigma$ of a single batch's gradient; the first may come out negative."""
    batches = len(gram)
    signal, variance = signal_and_variance(float(gram.sum()) / batches**2, float(np.trace(gram)) / batches, batches)
    return signal, variance * batches


def signal_to_noise(gram: Gram) -> float:
    r"""$|G|^2 / \mathrm{tr}\,\Sigma$ of one batch; 0 where all estimates are 0, infinite where they all agree."""
    signal, noise = signal_and_noise(gram)
    if noise <= 1e-12 * max(signal, 0.0):
        return float("inf") if signal > 0 else 0.0
    return signal / noise


def jackknife(statistic: Callable[[Gram], float], gram: Gram) -> tuple[float, float]:
    """A statistic of the batches, and its standard error by leaving out one at a time; 0 where it is not known."""
    left_out = [statistic(np.delete(np.delete(gram, i, 0), i, 1)) for i in range(len(gram))]
    error = standard_error(np.array(left_out))
    return statistic(gram), error if np.isfinite(error) else 0.0


def cosine_of_halves(gram: Gram) -> tuple[float, float]:
    """The mean cosine between the mean gradients of two random halves, and its spread over the splits."""
    batches, rng = len(gram), np.random.default_rng(0)
    found = []
    for _ in range(SPLITS):
        order = rng.permutation(batches)
        one, other = (np.isin(np.arange(batches), half) * 1.0 for half in np.array_split(order, 2))
        found.append(_cosine(one, other, gram))
    return float(np.mean(found)), float(np.std(found, ddof=1))


def cosine_to_the_rest(gram: Gram) -> tuple[float, float]:
    """The mean cosine between one batch's gradient and the mean of all others, and its standard error."""
    batches = len(gram)
    found = [_cosine(row, 1 - row, gram) for row in np.eye(batches)]
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(batches))


def _cosine(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"], gram: Gram) -> float:
    """Between two weighted sums of the estimates; 0 where one of them is 0."""
    lengths = np.sqrt(max(one @ gram @ one, 0.0) * max(other @ gram @ other, 0.0))
    return float(one @ gram @ other / lengths) if lengths > 0 else 0.0
