"""Experience: the room between the rollout and the algorithm, where what was seen is kept, or not."""

import abc
import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from .errors import check_fields, check_whole, InputError
from .trajectory import Trajectory


class AbstractExperience(eqx.Module):
    """What an algorithm learns from: the latest trajectory, or what is kept of many.

    Its buffer is handed over to the compiled program (donated), so that a large one is never copied, and is left out
    of the checkpoints that are written on the way.
    """

    capacity: eqx.AbstractVar[int]  # rows that are kept, over all streams

    @abc.abstractmethod
    def init(self, example: Trajectory) -> PyTree[Array]:
        """An empty buffer for trajectories like this one, of which only the shapes count."""

    @abc.abstractmethod
    def add(self, buffer: PyTree[Array], trajectory: Trajectory) -> tuple[PyTree[Array], Any]:
        """The buffer with one more trajectory, and what the algorithm's `update` gets to see."""

    @abc.abstractmethod
    def restored(self, buffer: PyTree[Array], before: PyTree[Array]) -> PyTree[Array]:
        """The buffer after `add`, as if nothing had been added to `before`."""

    @abc.abstractmethod
    def cut(self, buffer: PyTree[Array]) -> PyTree[Array]:
        """The buffer where all environments begin anew: what is added next does not follow what was added last."""


class Latest(AbstractExperience):
    """The trajectory that was just collected, and nothing else: `update` gets the `Trajectory` itself."""

    capacity: ClassVar[int] = 0

    def init(self, example: Trajectory) -> None:
        return None

    def add(self, buffer: None, trajectory: Trajectory) -> tuple[None, Trajectory]:
        return None, trajectory

    def restored(self, buffer: None, before: None) -> None:
        return None

    def cut(self, buffer: None) -> None:
        return None


class Transitions(eqx.Module):
    """Steps of environments, each with what it led to; the order of the rows says nothing."""

    obs: PyTree[Array]  # (rows, ...)
    action: PyTree[Array]  # (rows, ...), as drawn
    log_prob: Float[Array, " rows"]  # of the action, under the policy that took it
    reward: Float[Array, " rows"]
    terminated: Bool[Array, " rows"]  # nothing follows
    next_obs: PyTree[Array]  # (rows, ...), the true successor, also where a time limit cut the episode
    weight: Float[Array, " rows"]  # 0 for the rows that only reset


class Ring(eqx.Module):
    """The latest rows of every stream, slot by slot; the oldest are written over.

    The step after an end only resets, so the next slot always holds what an action led to: each observation is stored
    once. What follows the newest row stands in the slot after it, which holds no row.
    """

    rows: PyTree[Array]  # (slots, streams, ...)
    slot: Int[Array, ""]  # that is written next
    count: Int[Array, ""]  # rows of each stream that are there


class Replayed(eqx.Module):
    """The trajectory that was just collected, and the ring that it is in."""

    trajectory: Trajectory
    ring: Ring
    batch_size: int = eqx.field(static=True)

    def sample(self, key: PRNGKeyArray) -> Transitions:
        """`batch_size` rows of the ring, uniformly and with replacement."""
        slots, streams = self.ring.rows["reward"].shape
        age_key, stream_key = jax.random.split(key)
        age = jax.random.randint(age_key, (self.batch_size,), 0, self.ring.count)
        stream = jax.random.randint(stream_key, (self.batch_size,), 0, streams)
        at = (self.ring.slot - 1 - age) % slots
        rows = jax.tree.map(lambda x: x[at, stream], self.ring.rows)
        following = jax.tree.map(lambda x: x[(at + 1) % slots, stream], self.ring.rows["obs"])
        weight = rows["valid"].astype(rows["reward"].dtype)
        return Transitions(
            rows["obs"], rows["action"], rows["log_prob"], rows["reward"], rows["terminated"], following, weight
        )


class Replay(AbstractExperience):
    """The last `capacity` rows of all streams together: `update` gets a `Replayed`, to `sample` from.

    A row with a number that is not finite is kept as one that counts for nothing, with zeros in place of such numbers:
    multiplied by a weight of 0, NaN would still be NaN.
    """

    capacity: int = eqx.field(static=True, default=1_000_000)
    batch_size: int = eqx.field(static=True, default=256)

    def __check_init__(self):
        check_fields(self, check_whole, "capacity", low=2, high=math.inf)
        check_fields(self, check_whole, "batch_size", low=1)

    def init(self, example: Trajectory) -> Ring:
        """Raises `InputError` where not even two trajectories fit."""
        streams, length = example.reward.shape
        # Whole trajectories, so that each is written in one piece.
        slots = self.capacity // (streams * length) * length
        if slots < 2 * length:
            raise InputError(
                f"capacity is {self.capacity:,}, but a rollout has {streams * length:,} rows and a replay holds two at "
                f"least: give {2 * streams * length:,} or more, or shorter rollouts."
            )
        columns = jax.eval_shape(_columns, example)
        rows = jax.tree.map(lambda x: jnp.zeros((slots, streams, *x.shape[2:]), x.dtype), columns)
        return Ring(rows, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))

    def add(self, buffer: Ring, trajectory: Trajectory) -> tuple[Ring, Replayed]:
        columns = _columns(trajectory)
        slots, length = buffer.rows["reward"].shape[0], trajectory.reward.shape[1]

        def written(ring, x):
            return jax.lax.dynamic_update_slice_in_dim(ring, x.swapaxes(0, 1), buffer.slot, 0)

        rows = jax.tree.map(written, buffer.rows, columns)
        slot = (buffer.slot + length) % slots
        following = jax.tree.map(lambda ring, x: ring.at[slot].set(x), rows["obs"], _finite(trajectory.last_obs))
        # The slot after the newest row holds its successor, and no row.
        count = jnp.minimum(buffer.count + length, slots - 1)
        ring = Ring(rows | {"obs": following}, slot, count)
        return ring, Replayed(trajectory, ring, self.batch_size)

    def restored(self, buffer: Ring, before: Ring) -> Ring:
        # The rows stay: nothing points at them, and adding again writes the very same ones.
        return Ring(buffer.rows, before.slot, before.count)

    def cut(self, buffer: Ring) -> Ring:
        """The newest rows count for nothing: what they led to will be written over."""
        slots = buffer.rows["reward"].shape[0]
        valid = buffer.rows["valid"].at[(buffer.slot - 1) % slots].set(False)
        return Ring(buffer.rows | {"valid": valid}, buffer.slot, buffer.count)


def _columns(trajectory: Trajectory) -> dict[str, PyTree[Array]]:
    names = ("obs", "action", "log_prob", "reward", "terminated", "truncated", "start")
    columns = _finite({name: getattr(trajectory, name) for name in names})
    return columns | {"valid": trajectory.valid & _finite_rows(trajectory)}


def _finite(tree: PyTree[Array]) -> PyTree[Array]:
    return jax.tree.map(lambda x: jnp.where(jnp.isfinite(x), x, 0) if jnp.issubdtype(x.dtype, jnp.inexact) else x, tree)


def _finite_rows(trajectory: Trajectory) -> Bool[Array, "streams time"]:
    finite = jnp.isfinite(trajectory.reward) & jnp.isfinite(trajectory.log_prob)
    obs, last_obs = trajectory.obs, trajectory.last_obs
    following = jax.tree.map(lambda x, last: jnp.concatenate([x[:, 1:], last[:, None]], axis=1), obs, last_obs)
    for x in jax.tree.leaves((obs, trajectory.action, following)):
        if jnp.issubdtype(x.dtype, jnp.inexact):
            finite &= jnp.all(jnp.isfinite(x), axis=tuple(range(2, x.ndim)))
    return finite
