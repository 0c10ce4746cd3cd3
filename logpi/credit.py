r"""From rewards and values to advantages and value targets, along one stream.

A stream is `time` rows of one environment in the order they happened, episodes end to end. `value[t]` is the critic's
of the observation before `action[t]`, and `value[t + 1]` of the one after it, also at the end of an episode: there the
next row only resets, so `obs[t + 1]` is the true successor. Termination means that nothing follows, truncation that the
value of what follows is not seen but estimated.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .errors import check_between, check_fields, check_whole


class Credit(eqx.Module):
    """What an action is worth, and what a value should have been."""

    advantage: Float[Array, " time"]
    target: Float[Array, " time"]


class AbstractCredit(eqx.Module):
    """How rewards become advantages and value targets."""

    @abc.abstractmethod
    def __call__(
        self,
        reward: Float[Array, " time"],
        terminated: Bool[Array, " time"],
        truncated: Bool[Array, " time"],
        value: Float[Array, " time+1"],
    ) -> Credit:
        """Advantages and targets of one stream. `value` has one entry more than there are rows."""


def _discounted(delta: Float[Array, " time"], decay: Float[Array, " time"], last: Float[Array, ""]):
    """`x[t] = delta[t] + decay[t] * x[t + 1]`, from the end, where `x[time]` is `last`."""

    def body(following, row):
        delta, decay = row
        here = delta + decay * following
        return here, here

    return jax.lax.scan(body, last, (delta, decay), reverse=True)[1]


class GAE(AbstractCredit):
    r"""Generalised advantage estimation, Schulman et al. 2016 (arXiv:1506.02438), eq. 16.

    $\delta_t = r_t + \gamma v_{t+1} - v_t$ and $\hat A_t = \sum_k (\gamma \lambda)^k \delta_{t+k}$ up to the end of the
    episode or of the rows; $v_{t+1}$ is 0 after a termination. `lam=0` is the one-step advantage, `lam=1` Monte Carlo.
    """

    gamma: float = 0.99
    lam: float = 0.95

    def __check_init__(self):
        check_fields(self, check_between, "gamma", "lam", low=0, high=1)

    def __call__(self, reward, terminated, truncated, value):
        delta = reward + self.gamma * jnp.where(terminated, 0.0, value[1:]) - value[:-1]
        decay = jnp.where(terminated | truncated, 0.0, self.gamma * self.lam)
        advantage = _discounted(delta, decay, jnp.zeros_like(value[0]))
        return Credit(advantage, advantage + value[:-1])


class MonteCarlo(AbstractCredit):
    r"""The discounted sum of the rewards to come, $\sum_k \gamma^k r_{t+k}$, less the value: Williams 1992.

    Where the rows end before the episode does, or a time limit cuts it, the value of what follows stands for the rest.
    """

    gamma: float = 0.99

    def __check_init__(self):
        check_fields(self, check_between, "gamma", low=0, high=1)

    def __call__(self, reward, terminated, truncated, value):
        following = jnp.where(truncated & ~terminated, self.gamma * value[1:], 0.0)
        decay = jnp.where(terminated | truncated, 0.0, self.gamma)
        target = _discounted(reward + following, decay, value[-1])
        return Credit(target - value[:-1], target)


class NStep(AbstractCredit):
    r"""`n` rewards and the value of what follows: $\sum_{k<n} \gamma^k r_{t+k} + \gamma^n v_{t+n} - v_t$.

    Mnih et al. 2016 (arXiv:1602.01783), section 4. Fewer than `n` at the end of an episode or of the rows.
    """

    n: int = eqx.field(static=True, default=5)
    gamma: float = 0.99

    def __check_init__(self):
        check_fields(self, check_between, "gamma", low=0, high=1)
        check_fields(self, check_whole, "n", low=1)

    def __call__(self, reward, terminated, truncated, value):
        returns = value  # of zero rewards, before each row and after the last
        for _ in range(min(self.n, len(reward))):  # more would change nothing
            following = jnp.where(terminated, 0.0, jnp.where(truncated, value[1:], returns[1:]))
            returns = jnp.append(reward + self.gamma * following, value[-1])
        return Credit(returns[:-1] - value[:-1], returns[:-1])
