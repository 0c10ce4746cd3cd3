"""Returns and lengths of the episodes that end within a trajectory, however many rollouts they took."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..trajectory import Trajectory


class OpenEpisodes(eqx.Module):
    """The episodes that go on from one rollout to the next."""

    reward: Float[Array, " streams"]  # their rewards so far, as the environment gave them
    length: Float[Array, " streams"]  # their steps so far


class EpisodeRows(eqx.Module):
    """Where episodes end in a trajectory, and what they came to; the numbers count only where `ended`."""

    ended: Bool[Array, "streams time"]
    total_reward: Float[Array, "streams time"]
    length: Float[Array, "streams time"]


def no_episodes(num_envs: int) -> OpenEpisodes:
    """At the first step of every environment."""
    return OpenEpisodes(jnp.zeros(num_envs), jnp.zeros(num_envs))


def follow(trajectory: Trajectory, before: OpenEpisodes) -> tuple[EpisodeRows, OpenEpisodes]:
    """What ended in a trajectory, and what goes on. Rows that only reset count for nothing."""
    ended = (trajectory.terminated | trajectory.truncated) & trajectory.valid
    # Sums since the last end are differences of sums since the first row: no loop over time.
    time = jnp.arange(ended.shape[1])[None]
    last_end = jax.lax.cummax(jnp.where(ended, time, -1), axis=1)
    previous_end = jnp.concatenate([jnp.full_like(last_end[:, :1], -1), last_end[:, :-1]], axis=1)

    def since_end(x, before):
        total = jnp.cumsum(jnp.where(trajectory.valid, x, 0.0), axis=1) + before[:, None]
        at_previous = jnp.take_along_axis(total, jnp.maximum(previous_end, 0), axis=1)
        return total - jnp.where(previous_end < 0, 0.0, at_previous)

    reward = since_end(trajectory.reward, before.reward)
    length = since_end(jnp.ones_like(trajectory.reward), before.length)
    after = OpenEpisodes(
        jnp.where(ended[:, -1], 0.0, reward[:, -1]),
        jnp.where(ended[:, -1], 0.0, length[:, -1]),
    )
    return EpisodeRows(ended, reward, length), after
