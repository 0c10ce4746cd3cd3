"""A critic against the returns that came, along streams of complete episodes."""

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float

from ...statistics.jackknife import standard_error

UNSEEN = 0.1  # of a return: what may lie beyond the last row, discounted
CLUSTERS = 8  # independent parts that a jackknife needs


@dataclasses.dataclass(frozen=True)
class Stream:
    """Rows of some environments in the order they happened, (streams, time), with what the critic said before each."""

    reward: Float[np.ndarray, "streams time"]  # as the algorithm saw it
    terminated: Bool[np.ndarray, "streams time"]
    valid: Bool[np.ndarray, "streams time"]
    value: Float[np.ndarray, "streams time"]


@dataclasses.dataclass(frozen=True)
class CriticError:
    """How far the critic is off, with jackknife standard errors over independent streams."""

    explained_variance: float  # of the returns; 1 all of it, below 0 worse than their mean
    explained_variance_error: float
    bias: float  # mean of value minus return, in units of reward
    bias_error: float
    guessed: float  # share of the returns that the critic itself had to fill in, at time limits
    rows: int
    clusters: int  # independent parts that the errors come from


def returns_to_go(
    stream: Stream, gamma: float
) -> tuple[Float[np.ndarray, "streams time"], Float[np.ndarray, "streams time"]]:
    r"""$\sum_k \gamma^k r_{t+k}$ along each stream, and the discount of the value that stands for what was not seen.

    A value stands there after a time limit and after the last row: that of the observation which followed.
    """
    returns, guessed = stream.value.astype(np.float64), np.ones(stream.value.shape)
    for t in range(returns.shape[1] - 2, -1, -1):
        ended = stream.terminated[:, t]
        following = np.where(ended, 0.0, gamma * returns[:, t + 1])
        left = np.where(ended, 0.0, gamma * guessed[:, t + 1])
        # The row that only resets shows what followed a time limit: its value is what stands for the rest.
        returns[:, t] = np.where(stream.valid[:, t], stream.reward[:, t] + following, stream.value[:, t])
        guessed[:, t] = np.where(stream.valid[:, t], left, 1.0)
    return returns, guessed


def critic_error(stream: Stream, gamma: float) -> CriticError | None:
    """The critic's error on rows far enough from the last; `None` where their returns do not vary."""
    returns, guessed = returns_to_go(stream, gamma)
    time = returns.shape[1]
    # By their place alone: to choose rows by what followed them would choose short episodes.
    horizon = math.ceil(math.log(UNSEEN) / math.log(gamma)) if 0 < gamma < 1 else (time if gamma else 1)
    kept = stream.valid[:, : max(time - 1 - horizon, time // 2)]
    returns, guessed, value = (x[:, : kept.shape[1]] for x in (returns, guessed, stream.value.astype(np.float64)))
    pieces = 1 if len(kept) >= CLUSTERS else min(kept.shape[1], math.ceil(CLUSTERS / len(kept)))
    columns = (np.ones_like(returns), returns, returns**2, value - returns, (value - returns) ** 2)
    blocks = [np.where(kept, column, 0.0) for column in columns]
    sums = np.stack([[part.sum(1) for part in np.array_split(b, pieces, axis=1)] for b in blocks]).reshape(5, -1)
    rows, total, squares = sums[:3].sum(1)
    if rows < 2 or _variance(np.array([total, squares]), rows) <= 1e-9 * squares / rows:  # rounding alone
        return None
    left = sums.sum(1, keepdims=True) - sums
    (explained, explained_error), (bias, bias_error) = (_jackknife(f, sums.sum(1), left) for f in (_explained, _bias))
    share = float(guessed[kept].mean())
    return CriticError(explained, explained_error, bias, bias_error, share, int(rows), int((left[0] > 0).sum()))


def _variance(moments: Float[np.ndarray, " 2"], rows: float) -> float:
    mean = moments[0] / rows
    return float(max(moments[1] / rows - mean**2, 0.0))


def _explained(sums: Float[np.ndarray, " 5"]) -> float:
    return 1 - _variance(sums[3:5], sums[0]) / max(_variance(sums[1:3], sums[0]), 1e-30)


def _bias(sums: Float[np.ndarray, " 5"]) -> float:
    return float(sums[3] / sums[0])


def _jackknife(statistic, whole, left) -> tuple[float, float]:
    parts = left[:, left[0] > 0]
    return float(statistic(whole)), standard_error(np.array([statistic(column) for column in parts.T]))
