"""Whether a mean has reached a threshold: evidence that holds however often one looks at it.

A gambler bets on each value that their mean is above the threshold, at odds that are fair if it is the threshold. As
long as no mean reaches it, what the gambler has can only fall on average, and comes to 20 times the stake in at most
one of 20 cases, however long the game goes on (Ville 1939; Waudby-Smith and Ramdas 2024, JRSS B 86(1), eq. 17). A value
has a lower bound, and need not have an upper one. Part of the stake is kept back for each look, as the mean may rise
with time (Shin, Ramdas and Rinaldo 2024, arXiv:2203.03532, section 2).
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float

# Shares of what the gambler has that the lowest value would cost: the stake is divided between them.
SHARES = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """That some mean has reached a threshold, after the values so far."""

    capital: tuple[float, ...] = (0.0,) * len(SHARES)  # of the gambler, by shares; at first all is kept back
    lowest: float = math.inf  # value so far
    highest: float = -math.inf
    count: int = 0  # of values so far

    @property
    def total(self) -> float:
        """What has come of a stake of 1. That it is ever `1 / alpha` has at most the probability `alpha`."""
        return sum(self.capital) / len(SHARES)

    def staked(self, share: float) -> "Evidence":
        """With this share of the stake, of what was kept back: whoever calls it keeps the shares below 1 in all."""
        return dataclasses.replace(self, capital=tuple(each + share for each in self.capital))

    def after(self, values: Float[np.ndarray, " n"], threshold: float, bound: float | None = None) -> "Evidence":
        """With further values, which are independent of what came before, as long as the mean is what it was then.

        `bound`: what no value is below. Without one, it is taken for the lowest value before these ones, or if that is
        higher, for what is as far below the threshold as 0 is from it, or as the highest value was above it. Nothing is
        bet on the first values then.
        """
        values = np.asarray(values, np.float64)
        far = max(abs(threshold), self.highest - threshold)
        low = min(self.lowest, threshold - far) if bound is None else bound
        capital = self.capital
        if math.isfinite(low) and low < threshold and (bound is not None or math.isfinite(self.lowest)):
            odds = (values - threshold) / (threshold - low)
            won = np.maximum(1.0 + np.outer(SHARES, odds), 0.0).prod(1)
            capital = tuple((np.array(capital) * won).tolist())
        lowest, highest = min(self.lowest, float(values.min())), max(self.highest, float(values.max()))
        return Evidence(capital, lowest, highest, self.count + len(values))
