"""The replay against a list of Python's: what is sampled is what was stored, with what it led to."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi import InputError, Network, spaces
from logpi.envs import CompiledSource, first_timestep, resolve, Timestep
from logpi.experience import Latest, Replay, Replayed, Ring
from logpi.trajectory import Trajectory
from tests.envs.worlds import ACTIONS, OBSERVATIONS, Script
from tests.exactness.test_same_seed import equal
from tests.exactness.worlds import Luck
from tests.rollout.running import policy_for, rollout_in

STREAMS, LENGTH = 3, 4


def seen(stream: int, time: int) -> dict[str, np.ndarray]:
    """The observation of a stream at a time: no two are the same; its last part is in bytes."""
    number = time * STREAMS + stream
    return {
        "place": np.array([number, -number / 7], np.float32),
        "picture": np.full((2, 2), number % 251, np.uint8),
    }


def stacked(rows: list[list[Any]]) -> Any:
    """(streams, time, ...) of rows of streams."""
    return jax.tree.map(lambda *x: np.stack(x), *(jax.tree.map(lambda *x: np.stack(x), *row) for row in rows))


class Story:
    """Streams that go on for ever, a rollout at a time; episodes end in every way. Keeps each row, and what follows."""

    def __init__(self, seed: int):
        self.random, self.time = np.random.default_rng(seed), 0
        self.rows: list[list[dict[str, Any]]] = [[] for _ in range(STREAMS)]
        self.resetting, self.start = [False] * STREAMS, [True] * STREAMS

    def _row(self, stream: int, time: int) -> dict[str, Any]:
        terminated, truncated = self.random.random(2) < 0.2
        resets = self.resetting[stream]
        row = {
            "obs": seen(stream, time), "action": self.random.normal(size=2).astype(np.float32),
            "log_prob": np.float32(self.random.normal()), "reward": np.float32(0 if resets else self.random.normal()),
            "terminated": terminated and not resets, "truncated": truncated and not resets,
            "start": self.start[stream], "valid": not resets,
        }  # fmt: skip
        self.start[stream] = resets
        self.resetting[stream] = bool(row["terminated"] or row["truncated"])
        self.rows[stream].append(row | {"next_obs": seen(stream, time + 1)})
        return row

    def tell(self, length: int = LENGTH) -> Trajectory:
        """The next rollout."""
        rows = [[self._row(stream, self.time + t) for t in range(length)] for stream in range(STREAMS)]
        self.time += length
        last = stacked([[seen(stream, self.time)] for stream in range(STREAMS)])
        end = {"last_obs": jax.tree.map(lambda x: x[:, 0], last), "last_start": np.array(self.start)}
        return Trajectory(**jax.tree.map(jnp.asarray, stacked(rows) | end), memory=())


def shapes(trajectory: Trajectory) -> Trajectory:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), trajectory)


def retold(replay: Replay, story: Story, rollouts: int) -> Iterator[tuple[Ring, Replayed]]:
    """The ring after each of so many rollouts, and what it shows."""
    add, ring = jax.jit(replay.add), None
    for _ in range(rollouts):
        trajectory = story.tell()
        ring = replay.init(shapes(trajectory)) if ring is None else ring
        ring, view = add(ring, trajectory)
        yield ring, view


sample = jax.jit(lambda view, key: view.sample(key))


@pytest.mark.parametrize("slots", [2 * LENGTH, 5 * LENGTH])
def test_what_is_sampled_is_what_was_stored_with_what_it_led_to(slots: int) -> None:
    """From the first rollout on and over three wrap-arounds; with ends of every kind among the rows."""
    story, ends = Story(0), set()
    replay = Replay(capacity=slots * STREAMS + 1, batch_size=200)  # the one row too many is left away
    for i, (ring, view) in enumerate(retold(replay, story, 3 * slots // LENGTH + 2)):
        assert ring.rows["reward"].shape == (slots, STREAMS)
        found = jax.tree.map(np.asarray, sample(view, jax.random.key(i)))
        numbers = found.obs["place"][:, 0].astype(int)
        kept = min(story.time, slots - 1)
        assert set(numbers.tolist()) <= set(range((story.time - kept) * STREAMS, story.time * STREAMS))
        rows = [story.rows[number % STREAMS][number // STREAMS] for number in numbers]
        for name in ("obs", "action", "log_prob", "reward", "terminated", "next_obs"):
            expected = stacked([[row[name]] for row in rows])
            jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[:, 0]), getattr(found, name), expected)
        np.testing.assert_array_equal(found.weight, [float(row["valid"]) for row in rows])
        ends |= {(bool(row["terminated"]), bool(row["truncated"]), bool(row["valid"])) for row in rows}
    assert ends == {(True, False, True), (False, True, True), (True, True, True), (False, False, True),
                    (False, False, False)}  # fmt: skip
    assert found.obs["picture"].dtype == np.uint8 and found.terminated.dtype == bool


@pytest.mark.parametrize("rollouts", [2, 5, 13])
def test_ages_and_streams_are_uniform(rollouts: int) -> None:
    """Chi-squared over all rows that are there; a right replay fails for one key in a million."""
    story = Story(1)
    *_, (ring, view) = retold(Replay(capacity=5 * LENGTH * STREAMS, batch_size=60_000), story, rollouts)
    numbers = np.asarray(sample(view, jax.random.key(7)).obs["place"][:, 0]).astype(int)
    rows = min(story.time, 5 * LENGTH - 1) * STREAMS  # of the slot after the newest row, none
    counts = np.bincount(story.time * STREAMS - 1 - numbers, minlength=rows)
    assert len(counts) == rows and int(ring.count) * STREAMS == rows
    expected, free = len(numbers) / rows, rows - 1
    # Wilson and Hilferty's approximation; 4.753 is the standard normal's quantile.
    limit = free * (1 - 2 / (9 * free) + 4.753 * math.sqrt(2 / (9 * free))) ** 3
    assert np.sum((counts - expected) ** 2) / expected < limit


def test_two_keys_draw_two_samples() -> None:
    *_, (_, view) = retold(Replay(capacity=60, batch_size=50), Story(1), 3)
    assert not equal(sample(view, jax.random.key(0)), sample(view, jax.random.key(1)))
    assert equal(sample(view, jax.random.key(0)), sample(view, jax.random.key(0)))


def test_without_a_size_every_row_that_is_there_is_in_the_batch_once() -> None:
    """Stream by stream, slot by slot; before the ring is full and after it has wrapped around."""
    story, slots = Story(4), 3 * LENGTH
    for ring, view in retold(Replay(capacity=slots * STREAMS, batch_size=None), story, 5):
        found = jax.tree.map(np.asarray, sample(view, jax.random.key(0)))
        kept = range(story.time - int(ring.count), story.time)
        wanted = np.zeros((STREAMS, slots))
        for stream in range(STREAMS):
            for time in kept:
                wanted[stream, time % slots] = story.rows[stream][time]["valid"]
        np.testing.assert_array_equal(found.weight.reshape(STREAMS, slots), wanted)
        counted = np.flatnonzero(found.weight)
        numbers = found.obs["place"][counted, 0].astype(int)
        np.testing.assert_array_equal(found.next_obs["place"][counted, 0], numbers + STREAMS)
        np.testing.assert_array_equal(numbers % STREAMS, counted // slots)


SPOILED: dict[str, tuple[Callable[[Trajectory], Any], tuple[int, ...], set[int]]] = {
    "reward": (lambda t: t.reward, (1, 2), {2}),
    "log_prob": (lambda t: t.log_prob, (1, 2), {2}),
    "action": (lambda t: t.action, (1, 2, 1), {2}),
    "obs": (lambda t: t.obs["place"], (1, 2, 0), {1, 2}),  # what the row before led to
    "first obs": (lambda t: t.obs["place"], (1, 0, 0), {0}),
    "last_obs": (lambda t: t.last_obs["place"], (1, 1), {LENGTH - 1}),
}


@pytest.mark.parametrize("name", SPOILED)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_counts_for_nothing(name: str, value: float) -> None:
    where, at, bad = SPOILED[name]
    trajectory = Story(2).tell()
    trajectory = eqx.tree_at(lambda t: t.valid, trajectory, jnp.ones((STREAMS, LENGTH), bool))
    spoiled = eqx.tree_at(where, trajectory, where(trajectory).at[at].set(value))
    replay = Replay(capacity=100)
    ring, _ = replay.add(replay.init(shapes(trajectory)), spoiled)
    valid = np.asarray(ring.rows["valid"])[:LENGTH]
    assert {(int(t), int(s)) for t, s in np.argwhere(~valid)} == {(t, 1) for t in bad}
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(ring.rows))  # 0 times NaN would be NaN


@pytest.mark.parametrize("rollouts", [1, 2, 5, 6, 11])
def test_what_was_taken_back_was_never_added(rollouts: int) -> None:
    """An iteration that is done again leaves the very bits, empty or full; so do all after it."""
    story = Story(3)
    replay = Replay(capacity=5 * LENGTH * STREAMS, batch_size=40)
    *_, (ring, _) = retold(replay, story, rollouts)
    add = jax.jit(replay.add)
    failed, again, following = story.tell(), story.tell(), story.tell()
    failed = eqx.tree_at(lambda t: t.reward, failed, failed.reward.at[0, 1].set(jnp.nan))
    for trajectory in (failed, again):  # compiled environments give the same once more, those on the host do not
        back = replay.restored(add(ring, trajectory)[0], ring)
        assert (int(back.slot), int(back.count)) == (int(ring.slot), int(ring.count))
        a, b = add(back, again), add(ring, again)
        for key in (jax.random.key(0), jax.random.key(1)):
            assert equal(sample(a[1], key), sample(b[1], key))
        assert equal(add(a[0], following), add(b[0], following))


def test_where_environments_begin_anew_the_newest_rows_count_for_nothing() -> None:
    """What they led to is written over by the first observations of the new episodes."""
    story = Story(4)
    replay = Replay(capacity=5 * LENGTH * STREAMS, batch_size=400)
    *_, (ring, _) = retold(replay, story, 7)
    before = story.time
    story.time += 1  # so that what follows is not what was seen
    _, view = replay.add(replay.cut(ring), story.tell())
    found = sample(view, jax.random.key(0))
    numbers = np.asarray(found.obs["place"][:, 0]).astype(int)
    newest = numbers // STREAMS == before - 1
    assert newest.any() and not np.asarray(found.weight)[newest].any()
    good = np.asarray(found.weight) > 0
    np.testing.assert_array_equal(np.asarray(found.next_obs["place"])[good, 0], numbers[good] + STREAMS)


def test_a_capacity_that_is_too_small_is_refused() -> None:
    example = shapes(Story(0).tell())
    sentence = r"capacity is 23, but a rollout has 12 rows and a replay holds two at least: give 24 or more"
    with pytest.raises(InputError, match=sentence):
        Replay(capacity=23).init(example)
    assert Replay(capacity=24).init(example).rows["reward"].shape == (8, STREAMS)
    for wrong in ({"capacity": 1}, {"batch_size": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Replay(**wrong)


def test_the_latest_keeps_nothing() -> None:
    trajectory = Story(0).tell()
    latest = Latest()
    assert latest.init(shapes(trajectory)) is None and latest.capacity == 0
    buffer, view = latest.add(None, trajectory)
    assert buffer is None and view is trajectory
    assert latest.restored(None, None) is None and latest.cut(None) is None


class Parts(Luck):
    """Luck whose observation has parts, one of them in bytes."""

    obs_space: spaces.Space = eqx.field(
        static=True, default=spaces.Dict((("a", spaces.Box((3,))), ("b", spaces.Box((2, 2), 0, 255, "uint8"))))
    )

    def _seen(self, obs):
        return {"a": obs, "b": jnp.broadcast_to(obs[0].astype(jnp.uint8), (2, 2))}

    def reset(self, key):
        obs, _ = super().reset(key)
        return obs, first_timestep(self._seen(obs))

    def step(self, key, state, action):
        state, t = super().step(key, state, action)
        return state, Timestep(self._seen(t.obs), t.reward, t.terminated, t.truncated)


def sources() -> dict[str, Any]:
    """Environments of either kind, with every kind of observation and of action."""
    compiled = {
        "compiled": lambda: CompiledSource("Luck", Luck()),
        "compiled, in parts": lambda: CompiledSource("Parts", Parts()),
    }
    host = {f"host, {kind}": lambda kind=kind: resolve(lambda: Script(kind)) for kind in OBSERVATIONS}
    acting = {f"host, acting {kind}": lambda kind=kind: resolve(lambda: Script("box", kind)) for kind in ACTIONS}
    return compiled | host | acting | {"envpool": lambda: resolve("envpool:CartPole-v1")}


@pytest.mark.parametrize("memory", ["none", "gru"])
@pytest.mark.parametrize("name", sources())
def test_the_example_is_like_what_is_collected(name: str, memory: str) -> None:
    source = sources()[name]()
    rollout = rollout_in(source, 2, 3)
    policy = policy_for(source, Network(memory, 1, 4))
    state = rollout.begin(policy, jax.random.key(0))
    example = rollout.example(policy, state)
    collected, _ = rollout.run(policy, state, jax.random.key(1))
    rollout.close(state)
    assert jax.tree.structure(example) == jax.tree.structure(collected)
    assert jax.tree.leaves(shapes(example)) == jax.tree.leaves(shapes(collected))
    Replay(capacity=12).add(Replay(capacity=12).init(example), collected)
