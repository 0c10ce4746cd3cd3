r"""From rewards and values to advantages and value targets, along one stream.

A stream is `time` rows of one environment in the order they happened, episodes end to end. `value[t]` is the critic's
of the observation before `action[t]`, and `value[t + 1]` of the one after it, also at the end of an episode: there the
next row only resets, so `obs[t + 1]` is the true successor. Termination means that nothing follows, truncation that the
value of what follows is not seen but estimated.
"""

import abc
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .errors import check_between, check_fields, check_kind, check_whole

MOST = 80.0  # of a logarithm of a ratio, in nats


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


class AbstractOffPolicyCredit(AbstractCredit):
    """Credit for what another policy did, from the ratio of probabilities: 1 in all rows where none is given."""

    @abc.abstractmethod
    def __call__(
        self,
        reward: Float[Array, " time"],
        terminated: Bool[Array, " time"],
        truncated: Bool[Array, " time"],
        value: Float[Array, " time+1"],
        log_ratio: Float[Array, " time"] | float = 0.0,
    ) -> Credit:
        """Advantages and targets of one stream under the policy that learns, of which `value` is too.

        `log_ratio` is log π(a|s) - log μ(a|s), of that policy and the one that acted.
        """


def assign(
    credit: Callable[..., Credit],
    reward: Float[Array, " time"],
    terminated: Bool[Array, " time"],
    truncated: Bool[Array, " time"],
    value: Float[Array, " time+1"],
    log_ratio: Float[Array, " time"],
) -> Credit:
    """What a credit of either kind makes of one stream. Raises `InputError` where that is no `Credit`."""
    ratio = (log_ratio,) if isinstance(credit, AbstractOffPolicyCredit) else ()
    given = credit(reward, terminated, truncated, value, *ratio)
    return check_kind("what the credit returned", given, Credit, "logpi.credit.Credit(advantage, target)")


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


class VTrace(AbstractOffPolicyCredit):
    r"""Targets and advantages for a policy that did not act itself: Espeholt et al. 2018 (arXiv:1802.01561), eq. 1.

    With $\rho_t = \min(\bar\rho, \pi/\mu)$ and $c_t = \lambda \min(\bar c, \pi/\mu)$, the target is
    $v_t = V_t + \sum_k \gamma^k c_t \cdots c_{t+k-1} \rho_{t+k} (r_{t+k} + \gamma V_{t+k+1} - V_{t+k})$ up to the end
    of the episode or of the rows, and the advantage $\rho_t (r_t + \gamma q_{t+1} - V_t)$ with
    $q = \lambda v + (1 - \lambda) V$. So it is GAE where the policy acted itself. `rho` sets what is valued (the policy
    $\propto \min(\bar\rho \mu, \pi)$; infinite is $\pi$ itself), `c` how far the traces reach.
    """

    gamma: float = 0.99
    lam: float = 1.0
    rho: float = 1.0
    c: float = 1.0

    def __check_init__(self):
        check_fields(self, check_between, "gamma", "lam", low=0, high=1)
        check_fields(self, check_between, "rho", "c", low=0, high=math.inf)

    def __call__(self, reward, terminated, truncated, value, log_ratio=0.0):
        ratio = jnp.exp(jnp.minimum(log_ratio, MOST))  # finite, so that none of it is none of it
        rho, c = jnp.minimum(self.rho, ratio), self.lam * jnp.minimum(self.c, ratio)
        ended = terminated | truncated
        following = jnp.where(terminated, 0.0, value[1:])
        delta = rho * (reward + self.gamma * following - value[:-1])
        correction = _discounted(delta, jnp.where(ended, 0.0, self.gamma * c), jnp.zeros_like(value[0]))
        # What follows is corrected too, but for what is not seen of it: after the last row, or behind a time limit.
        after = jnp.where(ended, 0.0, jnp.append(correction[1:], jnp.zeros_like(value[:1])))
        return Credit(
            rho * (reward + self.gamma * (following + self.lam * after) - value[:-1]), value[:-1] + correction
        )
