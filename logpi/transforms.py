"""What may happen to a trajectory between its collection and the learning from it."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .errors import check_between, check_fields
from .statistics.moments import merged_variances, Moments
from .surrogates import weighted_mean
from .trajectory import Trajectory


class RewardStatistics(eqx.Module):
    """What `RewardScaling` remembers from one trajectory to the next."""

    discounted: Float[Array, " streams"]  # the discounted sum of the rewards of the episode so far
    count: Float[Array, ""]
    mean: Float[Array, ""]  # of all discounted sums
    variance: Float[Array, ""]


class RewardScaling(eqx.Module):
    """Divides rewards by the standard deviation of their running discounted sum, and clips them at +-`limit`.

    As `NormalizeReward` of Gymnasium, after Engstrom et al. 2020 (arXiv:2005.12729), section 3. It stands behind the
    rollout and not around an environment, because its statistics are of all environments and outlive every reset; so
    compiled and host environments share it. Episode returns are counted before it.
    """

    gamma: float = 0.99
    limit: float = 10.0

    def __check_init__(self):
        check_fields(self, check_between, "gamma", low=0, high=1)
        check_fields(self, check_between, "limit", low=0)

    def init(self, num_envs: int) -> RewardStatistics:
        """Before the first reward."""
        return RewardStatistics(jnp.zeros(num_envs), jnp.zeros(()), jnp.zeros(()), jnp.ones(()))

    def __call__(self, trajectory: Trajectory, statistics: RewardStatistics) -> tuple[Trajectory, RewardStatistics]:
        """The trajectory with scaled rewards, by statistics that include it, and those statistics."""
        weight = trajectory.valid.astype(jnp.float32)

        def step(discounted, row):
            reward, start = row
            discounted = jnp.where(start, 0.0, self.gamma * discounted) + reward
            return discounted, discounted

        rows = (trajectory.reward * weight).swapaxes(0, 1), trajectory.start.swapaxes(0, 1)
        last, sums = jax.lax.scan(step, statistics.discounted, rows)
        count, mean, variance = _merged(statistics, sums.swapaxes(0, 1), weight)
        scaled = jnp.clip(trajectory.reward / jnp.sqrt(variance + 1e-8), -self.limit, self.limit)
        trajectory = eqx.tree_at(lambda t: t.reward, trajectory, scaled)
        return trajectory, RewardStatistics(last, count, mean, variance)


class RewardTransform(eqx.Module):
    """What happens to rewards on their way to the algorithm: they are clipped at +-`clipping`, and then scaled.

    Clipped at 1, whole rewards are the -1, 0 and 1 of Mnih et al. 2015 (Nature 518:529), so that one step size serves
    games of every score. Returns are counted before it, so what people see are the environment's own.
    """

    clipping: float | None = None
    scaling: RewardScaling | None = None

    def init(self, num_envs: int) -> RewardStatistics:
        """Before the first reward."""
        return (self.scaling or RewardScaling()).init(num_envs)

    def __call__(self, trajectory: Trajectory, statistics: RewardStatistics) -> tuple[Trajectory, RewardStatistics]:
        """The trajectory as the algorithm learns from it, and the statistics after it."""
        if self.clipping is not None:
            clipped = jnp.clip(trajectory.reward, -self.clipping, self.clipping)
            trajectory = eqx.tree_at(lambda t: t.reward, trajectory, clipped)
        return (trajectory, statistics) if self.scaling is None else self.scaling(trajectory, statistics)


def _merged(statistics: RewardStatistics, x: Float[Array, "streams time"], weight: Float[Array, "streams time"]):
    """Count, mean and variance with more values."""
    rows = jnp.sum(weight)
    total = statistics.count + rows
    new_mean = weighted_mean(x, weight)
    new = Moments(new_mean, weighted_mean((x - new_mean) ** 2, weight))
    return total, *merged_variances(Moments(statistics.mean, statistics.variance), new, rows / jnp.maximum(total, 1))
