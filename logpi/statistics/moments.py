"""Means and variances that grow batch by batch.

Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1, in two forms that differ in their
rounding. Sums of squared deviations are exact in their counts, and so fit an average over any number of replicates;
variances stay of the size of the data, and so fit what is kept for a whole training.
"""

from typing import NamedTuple

from jaxtyping import Array, Float


class Moments(NamedTuple):
    """The mean of some numbers, and their `spread`: the sum of squared deviations from it, or the variance."""

    mean: Float[Array, "*n"]
    spread: Float[Array, "*n"]


def merged_sums(
    old: Moments, new: Moments, n_old: Float[Array, ""], n_new: Float[Array, ""], n: Float[Array, ""]
) -> Moments:
    r"""$\bar x + \delta n_2 / n$ and $S_1 + S_2 + \delta^2 n_1 n_2 / n$, with $\delta = \bar x_2 - \bar x_1$.

    Of `n_old` and `n_new` numbers, `n` together; a spread is the sum of squared deviations.
    """
    step = new.mean - old.mean
    return Moments(old.mean + step * (n_new / n), old.spread + new.spread + step**2 * (n_old * n_new / n))


def merged_variances(old: Moments, new: Moments, share: Float[Array, ""]) -> Moments:
    r"""$\bar x + s \delta$ and $v_1 + s (v_2 - v_1) + s (1 - s) \delta^2$, with $\delta = \bar x_2 - \bar x_1$.

    The new numbers are a share $s$ of all; a spread is the variance with $n$ below.
    """
    shift = new.mean - old.mean
    spread = old.spread + share * (new.spread - old.spread) + share * (1 - share) * shift**2
    return Moments(old.mean + share * shift, spread)
