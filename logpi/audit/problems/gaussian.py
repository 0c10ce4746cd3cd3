"""A bandit with one continuous action, cut to an interval on its way to the reward."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...distributions import Normal
from ...errors import check_between, check_fields
from ...models import AbstractActionValues, AbstractActorCritic, AbstractPolicy
from ...spaces.kinds import Box, Space
from ...trajectory import Trajectory
from .base import AbstractProblem, AbstractValues, lay_out, normal_log_prob, Streams, WithValues

NODES = 64  # of each Gauss-Legendre rule
TAIL = 10  # standard deviations to each side of the mean that are summed


class GaussianPolicy(AbstractPolicy):
    """The same Gaussian whatever is seen."""

    mean: Float[Array, " 1"]
    log_std: Float[Array, " 1"]

    def initial_memory(self) -> tuple[()]:
        return ()

    def __call__(self, obs: Float[Array, " 1"], memory: tuple[()]) -> tuple[Normal, tuple[()]]:
        return Normal(self.mean, self.log_std), memory


class ConstantValue(AbstractValues):
    """One value for all observations, and another for what follows the end."""

    value: Float[Array, ""]

    def __call__(self, obs: Float[Array, " 1"]) -> Float[Array, ""]:
        """The value; what follows the end (an observation of 1) has one that nothing may look at."""
        return jnp.where(obs[0] > 0, 3.0, self.value)


class GaussianBandit(AbstractProblem):
    r"""One step: reward $-(c(a) - m)^2$ for $a \sim N(\mu, \sigma^2)$, where $c$ cuts to the interval $[-b, b]$.

    `mean` and `log_std` are the policy's, `target` is m, `bound` is b. What is drawn is the action before the cut; its
    density there is what the policy gradient needs. Expectations are sums over Gauss-Legendre nodes, good to 1e-10.
    """

    mean: float = 0.3
    log_std: float = -0.4
    target: float = 1.5
    bound: float = 1.0
    gamma: float = 1.0
    name: str = eqx.field(static=True, default="Gaussian bandit")

    def __check_init__(self):
        check_fields(self, check_between, "bound", low=1e-3)
        check_fields(self, check_between, "log_std", low=-10, high=10)

    @property
    def obs_space(self) -> Space:
        return Box((1,))

    @property
    def action_space(self) -> Space:
        return Box((1,))

    @property
    def check(self) -> str:
        return "clipped_actions"

    @property
    def cure(self) -> str:
        return "take the log-probability of the action as it was drawn; clip it only on its way to the environment"

    def policy(self) -> GaussianPolicy:
        return GaussianPolicy(jnp.asarray([self.mean], float), jnp.asarray([self.log_std], float))

    def before(self) -> "GaussianBandit":
        """With a mean of 0."""
        return dataclasses.replace(self, mean=0.0)

    def objective(self, policy: Any, temperature: Any = 0.0) -> Float[Array, ""]:
        """J in closed form, from the moments of a normal variable cut to an interval."""
        mean, std = policy.mean[0], jnp.exp(policy.log_std[0])
        low, high = (-self.bound - mean) / std, (self.bound - mean) / std
        cdf, pdf = jax.scipy.stats.norm.cdf, jax.scipy.stats.norm.pdf
        off, inside = mean - self.target, cdf(high) - cdf(low)
        middle = (
            off**2 * inside
            + 2 * off * std * (pdf(low) - pdf(high))
            + std**2 * (inside + low * pdf(low) - high * pdf(high))
        )
        below, above = (self.bound + self.target) ** 2 * cdf(low), (self.bound - self.target) ** 2 * cdf(-high)
        return temperature * policy(jnp.zeros(1), ())[0].entropy() - (below + middle + above)

    def critics(self) -> dict[str, AbstractActorCritic]:
        policy = self.policy()
        streams = self.streams()
        value = float(streams.chance @ np.asarray(streams.trajectory.reward)[:, 0])
        return {
            "exact": WithValues(policy, ConstantValue(jnp.asarray(value))),
            "wrong": WithValues(policy, ConstantValue(jnp.asarray(value + 1.0))),
        }

    def action_values(self, temperature: float, deterministic: bool) -> dict[str, AbstractActionValues]:
        """None: no few draws give the expectation over a policy of what is cut."""
        return {}

    def streams(self) -> Streams:
        """The nodes of Gauss-Legendre rules, from one tail to the other, cut at the peak and where the reward bends."""
        x, w = np.polynomial.legendre.leggauss(NODES)
        peak = self.mean + np.exp(self.log_std) * np.array([-TAIL, 0.0, TAIL])
        edges = np.unique([*peak, *np.clip([-self.bound, self.bound], peak[0], peak[-1])])
        half, middle = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
        nodes, weights = (middle + half * x).reshape(-1), (half * w).reshape(-1)
        trajectory = self._trajectory(nodes)
        chance = weights * np.exp(np.asarray(trajectory.log_prob)[:, 0])
        return Streams(trajectory, chance[:, None] * np.asarray(trajectory.valid), chance)

    def draw(self, rng: np.random.Generator, num_streams: int) -> Trajectory:
        return self._trajectory(self.mean + np.exp(self.log_std) * rng.normal(size=num_streams))

    def _trajectory(self, action: Float[np.ndarray, " n"]) -> Trajectory:
        log_prob = normal_log_prob((action - self.mean)[:, None], np.array([self.log_std]))
        reward = -((np.clip(action, -self.bound, self.bound) - self.target) ** 2)
        obs = np.broadcast_to(np.array([0.0, 1.0])[None, :, None], (len(action), 2, 1))
        one, ends = np.ones(len(action), int), np.ones(len(action), bool)
        columns = (obs, action[:, None, None], log_prob[:, None], reward[:, None], one)
        return lay_out(*columns, terminated=ends, truncated=~ends)
