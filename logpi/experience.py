"""Experience: the room between the rollout and the algorithm, where what was seen is kept, or not."""

import abc
import functools
import math
from collections.abc import Iterable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from .errors import check_fields, check_whole, InputError
from .trajectory import Trajectory

COUNTED = 2**30  # steps of a stream, from where on they are counted from fewer


class AbstractExperience(eqx.Module):
    """What an algorithm learns from: the latest trajectory, or what is kept of many.

    Its buffer is handed over to the compiled program (donated), so that a large one is never copied. Checkpoints write
    of it what was added since the one before, so that nobody waits for the whole of it.
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

    @abc.abstractmethod
    def added(self, buffer: PyTree[Array]) -> int:
        """How many steps of each stream have been added, as they are counted; steps that are kept have such numbers."""

    @abc.abstractmethod
    def most(self, buffer: PyTree[Array]) -> int:
        """How many steps of each stream are kept at most."""

    @abc.abstractmethod
    def segment(self, buffer: PyTree[Array], start: int, stop: int) -> PyTree[Any]:
        """What is to be stored of the steps from `start` to before `stop`, in NumPy; `filled` makes buffers of such."""

    @abc.abstractmethod
    def segment_shapes(self, shapes: PyTree[Any], start: int, stop: int) -> PyTree[Any]:
        """Shapes and types of a segment with the steps from `start` to before `stop`, of a buffer of these `shapes`.

        Raises `InputError` for more steps than are kept.
        """

    @abc.abstractmethod
    def filled(self, shapes: PyTree[Any], segments: Iterable[tuple[int, PyTree[Any]]], stop: int) -> PyTree[Array]:
        """A buffer of these `shapes` after `stop` steps, from segments and where they start: later ones overwrite."""


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

    def added(self, buffer: None) -> int:
        return 0

    def most(self, buffer: None) -> int:
        return 0

    def segment(self, buffer: None, start: int, stop: int) -> None:
        return None

    def segment_shapes(self, shapes: None, start: int, stop: int) -> None:
        return None

    def filled(self, shapes: None, segments: Any, stop: int) -> None:
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
    added: Int[Array, ""]  # to each stream: where its number allows no more, it is counted from fewer

    @property
    def slots(self) -> int:
        """Of each stream, one of which holds no row."""
        return self.rows["reward"].shape[0]

    @property
    def streams(self) -> int:
        """How many there are."""
        return self.rows["reward"].shape[1]

    @property
    def slot(self) -> Int[Array, ""]:
        """That is written next."""
        return self.added % self.slots

    @property
    def count(self) -> Int[Array, ""]:
        """Rows of each stream that are there."""
        return jnp.minimum(self.added, self.slots - 1)


class Replayed(eqx.Module):
    """The trajectory that was just collected, and the ring that it is in."""

    trajectory: Trajectory
    ring: Ring
    batch_size: int | None = eqx.field(static=True)

    def sample(self, key: PRNGKeyArray) -> Transitions:
        """`batch_size` rows of the ring, uniformly and with replacement.

        Without a size, every slot of every stream, one stream after the other, from the first slot on.
        """
        slots, streams = self.ring.slots, self.ring.streams
        if self.batch_size is None:
            at, stream = jnp.tile(jnp.arange(slots), streams), jnp.repeat(jnp.arange(streams), slots)
            rows, there = self._rows(at, stream), (self.ring.slot - 1 - at) % slots < self.ring.count
            return eqx.tree_at(lambda r: r.weight, rows, rows.weight * there)
        # Bits depend on the key alone, so that those of many batches can be drawn at once (`jaxprs.hoisting`); the
        # remainder makes no row likelier than another by more than count / 2^32.
        bits = jax.random.bits(key, (2, self.batch_size))
        age = (bits[0] % self.ring.count.astype(bits.dtype)).astype(jnp.int32)
        stream = (bits[1] % streams).astype(jnp.int32)
        return self._rows((self.ring.slot - 1 - age) % slots, stream)

    def _rows(self, at: Int[Array, " rows"], stream: Int[Array, " rows"]) -> Transitions:
        slots = self.ring.slots
        rows = jax.tree.map(lambda x: x[at, stream], self.ring.rows)
        following = jax.tree.map(lambda x: x[(at + 1) % slots, stream], self.ring.rows["obs"])
        weight = rows["valid"].astype(rows["reward"].dtype)
        return Transitions(
            rows["obs"], rows["action"], rows["log_prob"], rows["reward"], rows["terminated"], following, weight
        )


class Replay(AbstractExperience):
    """The last `capacity` rows of all streams together: `update` gets a `Replayed`, to `sample` from.

    - `capacity`: rows that are kept, over all environments.
    - `batch_size`: rows of a sample, which is what a gradient step is on; `None` for all rows, each once.

    A row with a number that is not finite is kept as one that counts for nothing, with zeros in place of such numbers:
    multiplied by a weight of 0, NaN would still be NaN.
    """

    capacity: int = eqx.field(static=True, default=1_000_000)
    batch_size: int | None = eqx.field(static=True, default=256)

    def __check_init__(self):
        check_fields(self, check_whole, "capacity", low=2, high=math.inf)
        check_fields(self, check_whole, "batch_size", low=1, optional=True)

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
        return Ring(rows, jnp.zeros((), jnp.int32))

    def add(self, buffer: Ring, trajectory: Trajectory) -> tuple[Ring, Replayed]:
        columns, length = _columns(trajectory), trajectory.reward.shape[1]

        def written(ring, x):
            return jax.lax.dynamic_update_slice_in_dim(ring, x.swapaxes(0, 1), buffer.slot, 0)

        rows = jax.tree.map(written, buffer.rows, columns)
        added = buffer.added + length
        added = jnp.where(added < COUNTED, added, added - COUNTED // 2 // buffer.slots * buffer.slots)
        after, last = added % buffer.slots, _finite(trajectory.last_obs)
        # The slot after the newest row holds its successor, and no row.
        following = jax.tree.map(lambda ring, x: ring.at[after].set(x.astype(ring.dtype)), rows["obs"], last)
        ring = Ring(rows | {"obs": following}, added)
        return ring, Replayed(trajectory, ring, self.batch_size)

    def restored(self, buffer: Ring, before: Ring) -> Ring:
        # The rows stay: nothing points at them, and adding again writes the very same ones.
        return Ring(buffer.rows, before.added)

    def cut(self, buffer: Ring) -> Ring:
        """The newest rows count for nothing: what they led to will be written over."""
        valid = buffer.rows["valid"].at[(buffer.slot - 1) % buffer.slots].set(False)
        return Ring(buffer.rows | {"valid": valid}, buffer.added)

    def added(self, buffer: Ring) -> int:
        return int(buffer.added)

    def most(self, buffer: Ring) -> int:
        return buffer.slots - 1

    def segment(self, buffer: Ring, start: int, stop: int) -> PyTree[Any]:
        """With one slot more, in which stands what follows the last row."""
        at = np.arange(start, stop + 1) % buffer.slots
        return jax.tree.map(lambda x: np.asarray(x)[at], buffer.rows)

    def segment_shapes(self, shapes: Ring, start: int, stop: int) -> PyTree[Any]:
        if stop - start > self.most(shapes):
            raise InputError(f"a segment has {stop - start:,} steps, but {self.most(shapes):,} are kept.")
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((stop - start + 1, *x.shape[1:]), x.dtype), shapes.rows)

    def filled(self, shapes: Ring, segments: Iterable[tuple[int, PyTree[Any]]], stop: int) -> Ring:
        rows = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes.rows)
        for start, segment in segments:
            rows = _overwritten(rows, segment, (start + np.arange(len(segment["reward"]))) % shapes.slots)
        return Ring(rows, jnp.asarray(stop, jnp.int32))


@functools.partial(jax.jit, donate_argnums=0)  # there may be no room for a second ring
def _overwritten(rows: PyTree[Array], segment: PyTree[Any], at: Any) -> PyTree[Array]:
    return jax.tree.map(lambda ring, x: ring.at[at].set(x), rows, segment)


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
