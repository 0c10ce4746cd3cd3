"""Credit as its papers define it: sums written out in NumPy, one loop a sum, in float64. Slow and plain on purpose."""

import numpy as np


def ends(terminated, truncated, t: int) -> bool:
    """Whether the episode of row `t` is over after it."""
    return bool(terminated[t] or truncated[t])


def next_value(terminated, value, t: int) -> float:
    """What the critic says follows row `t`: nothing after a termination."""
    return 0.0 if terminated[t] else float(value[t + 1])


def gae(reward, terminated, truncated, value, gamma: float, lam: float) -> np.ndarray:
    """The double sum of Schulman et al. 2016, eq. 16, cut at the end of the episode or of the rows."""
    advantage = np.zeros(len(reward))
    for t in range(len(reward)):
        for k in range(t, len(reward)):
            delta = reward[k] + gamma * next_value(terminated, value, k) - value[k]
            advantage[t] += (gamma * lam) ** (k - t) * delta
            if ends(terminated, truncated, k):
                break
    return advantage


def n_step(reward, terminated, truncated, value, gamma: float, n: int) -> np.ndarray:
    """Up to `n` rewards and the value of what follows the last of them, less the value of the row."""
    advantage = np.zeros(len(reward))
    for t in range(len(reward)):
        total, last = 0.0, t
        for k in range(t, min(t + n, len(reward))):
            total, last = total + gamma ** (k - t) * reward[k], k
            if ends(terminated, truncated, k):
                break
        following = gamma ** (last + 1 - t) * next_value(terminated, value, last)
        advantage[t] = total + following - value[t]
    return advantage


def monte_carlo(reward, terminated, truncated, value, gamma: float) -> np.ndarray:
    """All rewards up to the end of the episode or of the rows, and the value of what follows, less the row's own."""
    return n_step(reward, terminated, truncated, value, gamma, len(reward))
