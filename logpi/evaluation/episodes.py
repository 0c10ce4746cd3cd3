"""Returns and lengths of the episodes that end within a trajectory, however many rollouts they took."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..trajectory import Trajectory


class OpenEpisodes(eqx.Module):
    """The episodes that go on from one rollout to the next."""

    reward: Float[Array, " streams"]  # their rewards so far, as the environment gave them; those that are numbers
    length: Float[Array, " streams"]  # their steps so far
    not_finite: Float[Array, " streams"]  # how many of their rewards are no numbers


class EpisodeRows(eqx.Module):
    """Where episodes end in a trajectory, and what they came to; the numbers count only where `ended`."""

    ended: Bool[Array, "streams time"]
    total_reward: Float[Array, "streams time"]  # NaN where a reward of the episode was no number
    length: Float[Array, "streams time"]


def no_episodes(num_envs: int) -> OpenEpisodes:
    """At the first step of every environment."""
    return OpenEpisodes(*jnp.zeros((3, num_envs)))


def follow(trajectory: Trajectory, before: OpenEpisodes) -> tuple[EpisodeRows, OpenEpisodes]:
    """What ended in a trajectory, and what goes on. Rows that only reset count for nothing.

    An episode begins where the trajectory says so, also where the one before it was broken off without an end.
    """
    ended = (trajectory.terminated | trajectory.truncated) & trajectory.valid
    time = jnp.arange(ended.shape[1])[None]
    start = jax.lax.cummax(jnp.where(trajectory.start, time, -1), axis=1)
    over = jax.lax.cummax(jnp.where(ended, time, -1), axis=1) >= jnp.maximum(start, 0)

    finite = jnp.isfinite(trajectory.reward)
    counted = jnp.stack([jnp.where(finite, trajectory.reward, 0.0), jnp.ones_like(trajectory.reward), 1.0 - finite], -1)
    counted = jnp.where(trajectory.valid[..., None], counted, 0.0)
    goes_on = jnp.stack([before.reward, before.length, before.not_finite], -1).astype(counted.dtype)

    def row(total, now):
        starts, more = now
        total = jnp.where(starts[:, None], 0.0, total) + more
        return total, total

    # From each start on: differences of sums over all rows would lose small returns beside large ones.
    by_time = trajectory.start.T, jnp.swapaxes(counted, 0, 1)
    sums = jnp.moveaxis(jax.lax.scan(row, goes_on, by_time)[1], 0, 1)
    reward, length, not_finite = jnp.moveaxis(sums, -1, 0)
    last = jnp.where(over[:, -1], 0.0, jnp.moveaxis(sums[:, -1], -1, 0))
    after = OpenEpisodes(*last.astype(before.reward.dtype))
    return EpisodeRows(ended, jnp.where(not_finite > 0, jnp.nan, reward), length), after
