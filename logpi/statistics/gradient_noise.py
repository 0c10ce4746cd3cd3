r"""Signal and noise of a gradient, from independent estimates of it.

All of it is a function of the Gram matrix $K_{ij} = g_i \cdot g_j$ of the estimates: it is small, however many
parameters there are.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Gram = Float[np.ndarray, "batches batches"]
SPLITS = 64  # random halves


def signal_and_noise(gram: Gram) -> tuple[float, float]:
    r"""$|G|^2$ and $\mathrm{tr}\,\Sigma$ of one batch's gradient, both without bias; the first may come out negative.

    McCandlish et al. 2018 (arXiv:1812.06162), appendix A.1, with all batches for the large one.
    """
    batches = len(gram)
    mean_square = float(gram.sum()) / batches**2
    noise = (float(np.trace(gram)) / batches - mean_square) * batches / (batches - 1)
    return mean_square - noise / batches, noise


def signal_to_noise(gram: Gram) -> float:
    r"""$|G|^2 / \mathrm{tr}\,\Sigma$ of one batch; 0 where all estimates are 0, infinite where they all agree."""
    signal, noise = signal_and_noise(gram)
    if noise <= 1e-12 * max(signal, 0.0):
        return float("inf") if signal > 0 else 0.0
    return signal / noise


def jackknife(statistic: Callable[[Gram], float], gram: Gram) -> tuple[float, float]:
    """A statistic of the batches, and its standard error by leaving out one at a time (Efron & Stein 1981, eq. 1.2)."""
    batches = len(gram)
    left = np.array([statistic(np.delete(np.delete(gram, i, 0), i, 1)) for i in range(batches)])
    error = np.sqrt((batches - 1) / batches * np.sum((left - left.mean()) ** 2)) if np.isfinite(left).all() else 0.0
    return statistic(gram), float(error)


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
