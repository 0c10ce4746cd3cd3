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


def v_trace(reward, terminated, truncated, value, log_ratio, numbers) -> tuple[np.ndarray, np.ndarray]:
    """Advantage and target: the sum of products of Espeholt et al. 2018, eq. 1, and its section 4.2 with remark 2."""
    gamma, lam, rho_most, c_most = numbers
    rho, c = np.minimum(rho_most, np.exp(log_ratio)), lam * np.minimum(c_most, np.exp(log_ratio))
    target, time = np.array(value[:-1], float), len(reward)
    for t in range(time):
        for k in range(t, time):
            delta = rho[k] * (reward[k] + gamma * next_value(terminated, value, k) - value[k])
            target[t] += gamma ** (k - t) * np.prod(c[t:k]) * delta
            if ends(terminated, truncated, k):
                break
    advantage = np.zeros(time)
    for t in range(time):
        following = next_value(terminated, value, t)
        if t + 1 < time and not ends(terminated, truncated, t):
            following = lam * target[t + 1] + (1 - lam) * value[t + 1]
        advantage[t] = rho[t] * (reward[t] + gamma * following - value[t])
    return advantage, target
