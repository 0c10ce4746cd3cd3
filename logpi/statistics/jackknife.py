"""The jackknife: how sure a statistic is, from its values without each independent part in turn."""

import numpy as np
from jaxtyping import Float


def standard_error(left_out: Float[np.ndarray, " parts"]) -> float:
    r"""$\sqrt{\frac{n-1}{n} \sum_i (\theta_{(i)} - \bar\theta)^2}$, with $\theta_{(i)}$ the statistic without part i.

    Tukey's, as Efron & Stein 1981 (Annals of Statistics 9:3), eq. 1.2, have it. NaN where one of the values is not
    finite: nothing is known then.
    """
    n = len(left_out)
    if not np.isfinite(left_out).all():
        return float("nan")
    return float(np.sqrt((n - 1) / n * np.sum((left_out - np.mean(left_out)) ** 2)))
