"""Trainings that keep experience: as exact, as safe and as small on disk as those that keep none."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi import A2C, Adam, InputError, Network, Settings
from logpi.algorithms.base import AbstractAlgorithm, ON_POLICY
from logpi.envs import CompiledSource, first_timestep, resolve, Timestep
from logpi.errors import EnvironmentFault, TrainingFault
from logpi.experience import Replay, Replayed
from logpi.learners import gradient_step
from logpi.measurements import Measurement
from logpi.models import make_actor_critic
from logpi.runs.checkpoints import damage, Kept, listed, Segment, SEGMENTS, segments_of, STATE, write_checkpoint
from logpi.runs.checkpoints.segments import segments_in, staying
from logpi.runs.folder import policy_file
from logpi.runs.schema import register
from logpi.training.loop import Trainer, with_traced_numbers
from logpi.training.placement import make_loop
from tests.exactness.test_same_seed import equal
from tests.exactness.worlds import Luck
from tests.rollout.running import rollout_in
from tests.training.test_environment_faults import Fragile
from tests.training.test_resume import files, Recorder, rewound

REHEARSED = Measurement("rehearsed", "squared reward", "Half the squared error of the critic on what was replayed.")
REPLAYED = Measurement("replayed", "reward", "Mean of what was replayed.")


@register
class Rehearsing(A2C):
    """A2C, and after it a step of its critic on rows of a replay: both draw from what was kept."""

    measurements: ClassVar[tuple[Measurement, ...]] = (*ON_POLICY, REHEARSED, REPLAYED)
    experience: Replay = Replay(capacity=4 * 16 * 4, batch_size=24)  # four rollouts, so that it wraps around

    def update(self, state, view: Replayed, key):
        state, shown = super().update(state, view.trajectory, key)
        rows = view.sample(key)

        def objective(model, rows):
            value, following = (
                jax.vmap(lambda obs: model.evaluate(obs, model.initial_memory())[0].value)(obs)
                for obs in (rows.obs, rows.next_obs)
            )
            target = rows.reward + 0.9 * jnp.where(rows.terminated, 0.0, following)
            error = (value - jax.lax.stop_gradient(target)) ** 2 / 2
            return -error, {"rehearsed": error, "replayed": rows.reward}

        state, _, record = gradient_step(objective, state, rows, self.optimiser)
        return state, shown | record


SETTINGS = Settings(Rehearsing(), steps=4 * 16 * 10, num_envs=4, rollout_length=16, network=Network(width=4, depth=1))
HOST = "gymnasium:CartPole-v1"
interrupt = {"die": lambda _: signal.raise_signal(signal.SIGINT)}


def train(out: Path | None = None, env: Any = None, settings: Settings = SETTINGS, **changes: Any) -> logpi.Run:
    try:
        return logpi.train(Luck() if env is None else env, settings=settings, out=out, overwrite=True, **changes)
    except KeyboardInterrupt as stop:
        return stop.run  # type: ignore[attr-defined]


def resume(out: Path, env: Any = None, settings: Settings = SETTINGS, **changes: Any) -> logpi.Run:
    try:
        return logpi.resume(out, settings=settings, environment=Luck() if env is None else env, **changes)
    except KeyboardInterrupt as stop:
        return stop.run  # type: ignore[attr-defined]


def iterations(run: logpi.Run, seed: int = 0) -> list[int]:
    return [row["iteration"] for row in run.history if row["seed"] == seed]


def held(folder: Path) -> dict[int, bool]:
    """The checkpoints of a run folder, and whether each holds experience."""
    return {int(path.name): bool(segments_of(path)) for path in listed(folder / "checkpoints")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a training comes to that nothing happens to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run = train(folder)
    assert iterations(run) == list(range(1, 11))
    assert len({row["replayed"] for row in run.history}) == 10 and all(row["rehearsed"] > 0 for row in run.history)
    assert held(folder) == {10: True}
    return files(folder)


# ---- exactness


@pytest.mark.parametrize("env", [Luck(), HOST], ids=["compiled", "host"])
def test_a_seed_gives_the_same_alone_and_among_others(env: Any) -> None:
    alone, among = train(env=env, seed=3), train(env=env, seeds=[2, 3])
    assert alone.history == [row for row in among.history if row["seed"] == 3]
    models = [eqx.filter(run.models, eqx.is_array) for run in (alone, among)]
    assert equal(models[0][0], models[1][1]) and not equal(models[0][0], models[1][0])


class Counted(A2C):
    """Notes each trace of its update."""

    traces: ClassVar[list[Any]] = []

    def update(self, state, view, key):
        self.traces.append(key)
        return super().update(state, view, key)


def test_what_differs_in_numbers_alone_is_traced_once() -> None:
    """A seed, a learning rate: a second training, made of new objects, begins at once. One of another size does not."""

    def trained(rate: float, length: int, seed: int) -> list[dict[str, Any]]:
        algorithm = Counted(optimiser=Adam(learning_rate=rate))
        return train(
            settings=dataclasses.replace(SETTINGS, algorithm=algorithm, rollout_length=length), seed=seed
        ).history

    first = trained(1e-3, 16, 0)
    assert len(Counted.traces) == 1
    assert first != trained(1e-4, 16, 3) and len(Counted.traces) == 1
    assert trained(1e-3, 8, 0) and len(Counted.traces) == 2


def trainer_in(source: Any, every: int = 1) -> tuple[Trainer, Any]:
    trainer = with_traced_numbers(Trainer(SETTINGS.algorithm, rollout_in(source, 4, 16), every=every))
    model = make_actor_critic(source.obs_space, source.action_space, SETTINGS.network, key=jax.random.key(0))
    return trainer, eqx.filter_jit(trainer.init)(model, 6, jax.random.key(1)) if source.compiled else trainer.init(
        model, 6, jax.random.key(1)
    )


def test_the_grouping_of_iterations_changes_nothing() -> None:
    trainer, start = trainer_in(CompiledSource("Luck", Luck()))
    loop = make_loop(trainer, start)
    at_once, all_metrics, *_ = loop.advance(jax.tree.map(jnp.copy, start), 6)
    state, parts = jax.tree.map(jnp.copy, start), []
    for count in (1, 3, 2):
        state, metrics, *_ = loop.advance(state, count)
        parts.append(metrics)
    assert equal(at_once, state) and int(state.buffer.slot) == 32
    assert equal(all_metrics, jax.tree.map(lambda *columns: np.concatenate(columns), *parts))


@pytest.mark.parametrize("seeds", [1, 2])
def test_interrupted_and_resumed_bit_for_bit(seeds: int, whole: dict[str, bytes], tmp_path: Path) -> None:
    """Twice over: every checkpoint holds the experience."""
    train(tmp_path / "run", seeds=seeds, checkpoint_every=1, callbacks=Recorder(3 * seeds, **interrupt))
    assert held(tmp_path / "run") == {3: True, 2: True, 1: True}
    recorder = Recorder(4 * seeds, **interrupt)
    resume(tmp_path / "run", checkpoint_every=1, callbacks=recorder)
    assert held(tmp_path / "run")[7] and recorder.warnings == []
    resume(tmp_path / "run")
    found = files(tmp_path / "run")
    assert found[policy_file(0)] == whole[policy_file(0)]
    assert seeds > 1 or found == whole


@pytest.mark.parametrize("update", [1, 2, 5, 8, 9])
def test_killed_it_goes_on_bit_for_bit(update: int, whole: dict[str, bytes], tmp_path: Path) -> None:
    """Whether the replay was half full then, or had wrapped around twice."""
    train(tmp_path / "run", checkpoint_every=1, callbacks=Recorder(update, **interrupt))
    recorder = Recorder()
    resume(rewound(tmp_path / "run", update), callbacks=recorder)
    assert recorder.warnings == [] and files(tmp_path / "run") == whole


@pytest.mark.parametrize("way", ["damaged", "gone", "empty"])
def test_damaged_experience_is_named_and_collected_anew(way: str, tmp_path: Path) -> None:
    train(tmp_path / "run", callbacks=Recorder(3, **interrupt), checkpoint_every=1)
    (path, *_) = (tmp_path / "run/checkpoints" / SEGMENTS).iterdir()
    content = path.read_bytes()
    path.unlink()
    if way != "gone":
        path.write_bytes(b"" if way == "empty" else content[:-4] + b"\1\2\3\4")
    recorder = Recorder()
    run = resume(tmp_path / "run", callbacks=recorder)
    sentence = {"damaged": "the checksum of", "gone": "it has no", "empty": "has 0 bytes where"}[way]
    assert f"is passed over: {sentence if way != 'empty' else path.name}" in recorder.warnings[0]
    assert sentence in recorder.warnings[0] and "collected anew" in recorder.warnings[1]
    assert iterations(run) == list(range(1, 11))


def test_another_capacity_is_another_training(tmp_path: Path) -> None:
    train(tmp_path / "run")
    other = dataclasses.replace(SETTINGS, algorithm=Rehearsing(experience=Replay(capacity=512)))
    with pytest.raises(InputError, match=r"capacity is 512, but the run .* was trained with 256"):
        resume(tmp_path / "run", settings=other)


def test_on_the_host_experience_is_there_after_every_resume(tmp_path: Path) -> None:
    """Each time environments begin anew, and the newest row, which was stored, counts for nothing."""
    train(tmp_path / "run", HOST, checkpoint_every=1, callbacks=Recorder(6, **interrupt))
    for _ in range(3):
        recorder = Recorder(1, **interrupt)
        resume(tmp_path / "run", HOST, callbacks=recorder)
        assert len(recorder.warnings) == 1 and "new episodes" in recorder.warnings[0]
        segments = segments_of(listed(tmp_path / "run/checkpoints")[0])[0]
        assert all(b.start in (a.stop, a.stop - 1) for a, b in itertools.pairwise(segments))


def test_the_segments_of_many_seeds_are_named_and_none_that_cannot_be(tmp_path: Path) -> None:
    def segment(seed: int, i: int) -> Segment:
        return Segment(f"{seed}-{i}-{i + 1}-{'0' * 12}.safetensors", i, i + 1, 10**9, "0" * 64)

    many = [[segment(seed, i) for i in range(20)] for seed in range(200)]
    path = write_checkpoint(tmp_path, (jnp.zeros(2),), 3, run_id="mine", kept=Kept(Replay(), many))
    assert not damage(path, run_id="mine") and segments_of(path) == many
    good = dataclasses.astuple(segment(0, 5))
    for place, wrong in ((0, "../policy.safetensors"), (1, 6), (1, -1), (2, 2**40), (2, "6"), (3, None), (4, "1" * 64)):
        named = [*good[:place], wrong, *good[place + 1 :]]
        assert segments_in({"experience": [[named]]}) == []
    assert segments_in({"experience": [[list(good)]]}) == [[segment(0, 5)]]
    assert segments_in({"experience": 7}) == segments_in({"experience": [[[1]]]}) == segments_in(None) == []


def test_a_checkpoint_writes_what_was_added_since_the_one_before(tmp_path: Path) -> None:
    """Of 10 checkpoints in a training of 10 iterations, each row is in 3 segments at most, and none is left over."""
    written: list[int] = []

    def look(event: Any) -> None:
        for path in set(folder.glob("*")) - seen:
            seen.add(path)
            written.append(path.stat().st_size)

    folder, seen = tmp_path / "run/checkpoints" / SEGMENTS, set[Path]()
    train(tmp_path / "run", checkpoint_every=1, callbacks=look)
    used = {s.name for path in listed(folder.parent) for of_seed in segments_of(path) for s in of_seed}
    assert {path.name for path in folder.iterdir()} == used
    # Every second one writes one rollout of four; the others merge it with what is no larger.
    assert len(written) == 10 and written.count(min(written)) == 5 and min(written) < max(written) / 3
    sizes = {(path / STATE).stat().st_size for path in listed(folder.parent)}
    train(tmp_path / "without", settings=dataclasses.replace(SETTINGS, algorithm=A2C()), checkpoint_every=1)
    assert sizes == {(path / STATE).stat().st_size for path in listed(tmp_path / "without/checkpoints")}
    assert not (tmp_path / "without/checkpoints" / SEGMENTS).exists()


@pytest.mark.parametrize("piece", [1_000, 87])
def test_segments_are_few_and_rows_are_written_few_times(piece: int) -> None:
    """Of 1,000 checkpoints: no more segments than log2, and pieces; and each row written no more often than that."""
    segments, written = [], 0
    for stop in range(1, 1_001):
        kept, start = staying(segments, stop, 700, piece)
        written += stop - start
        segments = [*kept, Segment("", start, stop, 0, "")]
        assert [s.stop for s in segments[:-1]] == [s.start for s in segments[1:]]  # nothing is missing
        assert segments[0].start <= max(0, stop - 700) and len(segments) <= 11 + 700 // piece * 2
        assert max(s.stop - s.start for s in segments) <= piece
    assert written <= 11 * 1_000
    assert staying(segments, 400, 700, piece) == ([], 0)  # counted anew, from fewer
    assert staying(segments, 1_000, 700, piece) == (segments, 1_000)  # nothing new


def test_on_the_host_what_follows_the_newest_rows_is_not_learned_from(tmp_path: Path) -> None:
    for source, anew in ((CompiledSource("Luck", Luck()), False), (resolve(HOST), True)):
        trainer, start = trainer_in(source)
        state = make_loop(trainer, start).advance(start, 1).state
        buffer = trainer.with_experience(state, state.buffer).buffer
        newest = np.asarray(buffer.rows["valid"])[int(buffer.slot) - 1]
        assert (not newest.any()) == anew and np.asarray(buffer.rows["valid"])[: int(buffer.slot) - 1].any()
        trainer.rollout.close(state.rollout)
    train(tmp_path / "run", HOST, checkpoint_every=1, callbacks=Recorder(4, **interrupt))
    recorder = Recorder()
    run = resume(tmp_path / "run", HOST, callbacks=recorder)
    assert len(recorder.warnings) == 1 and "new episodes" in recorder.warnings[0]
    assert iterations(run) == list(range(1, 11))


# ---- what is not finite


class Spoiled(Luck):
    """Luck whose reward, or observation, is NaN in one step of all: that of this number, in the second environment."""

    at: float = 0.0  # none
    what: str = eqx.field(static=True, default="reward")

    def reset(self, key):
        state, timestep = super().reset(key)
        return (state, jnp.zeros(())), timestep

    def step(self, key, state, action):
        inner, t = super().step(key, state[0], action)
        bad = jnp.where((state[1] + 1 == self.at) & (inner[0] > 3), jnp.nan, 0.0)
        obs, reward = (t.obs, t.reward + bad) if self.what == "reward" else (t.obs + bad, t.reward)
        return (inner, state[1] + 1), Timestep(obs, reward, t.terminated, t.truncated)


def stops_at(folder: Path) -> int:
    return max(held(folder))


@pytest.mark.parametrize("what", ["reward", "obs"])
def test_nan_stops_with_the_last_good_state_and_experience(what: str, tmp_path: Path) -> None:
    """So that, once the environment is mended, the very training comes out that nothing happened to."""
    healthy, spoiled = Spoiled(what=what), Spoiled(at=19.0, what=what)
    train(tmp_path / "healthy", healthy)
    with pytest.raises(TrainingFault, match="is nan in rollout"):
        train(tmp_path / "run", spoiled)
    stopped = stops_at(tmp_path / "run")
    assert 3 < stopped < 10 and held(tmp_path / "run")[stopped]  # in the second round at least, and full
    recorder = Recorder()
    resume(tmp_path / "run", healthy, callbacks=recorder)
    assert files(tmp_path / "run") == files(tmp_path / "healthy") and recorder.warnings == []


@pytest.mark.parametrize("what", ["reward", "obs"])
def test_nan_can_be_skipped_and_is_never_replayed(what: str) -> None:
    run = train(env=Spoiled(at=19.0, what=what), on_nan="skip", callbacks=Recorder())
    dropped = [row["iteration"] for row in run.history if row.get("dropped")]
    assert dropped and iterations(run) == list(range(1, 11))
    assert all(row["replayed"] is not None for row in run.history if row["iteration"] not in dropped)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(eqx.filter(run.models, eqx.is_array)))
    assert run.history[-1].get("dropped") is None  # it goes on


# ---- what is handed over


@pytest.mark.parametrize("host", [False, True], ids=["compiled", "host"])
def test_the_experience_is_handed_over_and_nobody_else_holds_it(host: bool) -> None:
    trainer, start = trainer_in(resolve(HOST) if host else CompiledSource("Luck", Luck()))
    loop = make_loop(trainer, start)
    for _ in range(3):
        before = start
        start = loop.advance(start, 2).state
        gone = [x.is_deleted() for x in jax.tree.leaves(before.buffer)]
        assert all(gone) and len(gone) == 9
        assert not any(x.is_deleted() for x in jax.tree.leaves((before.learner, start.buffer, start.learner)))
        assert host or all(x.is_deleted() for x in jax.tree.leaves(before.rollout))
    trainer.rollout.close(start.rollout)


class Shared(Luck):
    """Luck that begins with a constant of its own."""

    table: jax.Array = eqx.field(default_factory=lambda: jnp.arange(3.0))

    def reset(self, key):
        return self.table, first_timestep(self.table)


def one_of_ones_own(obs_space, action_space, key):
    return make_actor_critic(obs_space, action_space, Network(width=4), key=key)


@pytest.mark.parametrize("env", [Luck(), Shared()], ids=["twice in a state", "a constant"])
def test_a_model_of_ones_own_where_environments_share_arrays(env: Any) -> None:
    """Nothing is handed over twice, or to a program that others rely on."""
    for _ in range(2):
        run = logpi.train(
            env,
            settings=SETTINGS,
            model=lambda obs, action, key: make_actor_critic(obs, action, Network(width=4), key=key),
        )
        assert iterations(run) == list(range(1, 11))


PEAKS = """
import gc, resource, sys
sys.path.insert(0, {root!r})
import dataclasses, signal
from pathlib import Path
import jax
from logpi.experience import Replay
from logpi.jaxprs.compilation import give_back_memory
from tests.training.test_experience import Rehearsing, resume, SETTINGS, train
from tests.training.test_resume import Recorder

class Looking(Recorder):
    def __call__(self, event):
        held.append(sum(x.nbytes for x in jax.live_arrays()))
        super().__call__(event)

for run, capacity in ((train, 256), (train, {capacity}), (resume, {capacity})):
    held = []
    settings = dataclasses.replace(SETTINGS, algorithm=Rehearsing(experience=Replay(capacity=capacity)))
    action = Looking(3, lambda _: signal.raise_signal(signal.SIGINT)) if run is train else Looking()
    run(Path({folder!r}) / str(capacity), settings=settings, checkpoint_every=1, callbacks=action)
    assert not (run is resume and action.warnings), action.warnings
    print(max(held), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    jax.clear_caches()
    gc.collect()
    give_back_memory()
"""


def peaks(folder: Path, capacity: int) -> list[tuple[int, int]]:
    """The most bytes of arrays that were there at once, and of the process so far.

    In a training of a small ring, in one of this capacity, and in the latter resumed, one after the other: so what the
    process needs beside its rings is in the first of them already.
    """
    code = PEAKS.format(root=str(Path(__file__).parents[2]), folder=str(folder), capacity=capacity)
    # Compiled as trainings are: tests leave out passes that keep programs from copying.
    variables = os.environ | {"LOGPI_CACHE": str(folder / "cache")}  # that a resumed one compiles nothing again
    for name in ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS"):
        variables.pop(name, None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=variables)
    assert done.returncode == 0, done.stderr
    return [(int(arrays), int(process)) for arrays, process in map(str.split, done.stdout.splitlines())]


def test_there_is_room_for_one_ring_and_no_second(tmp_path: Path) -> None:
    """Neither while it trains, nor while it writes the last checkpoint."""
    capacity, row = 16_000_000, 12 + 4 + 4 + 4 + 4
    small, large, resumed = peaks(tmp_path, capacity)
    size = capacity * row
    stored = sum(path.stat().st_size for path in (tmp_path / f"{capacity}/checkpoints" / SEGMENTS).iterdir())
    assert size > 250e6 and stored < 1e6  # what was added, and no more
    assert 0.9 * size < large[0] - small[0] < 1.1 * size
    assert large[1] - small[1] < 1.5 * size, (small, large)
    # Resumed, what is read takes the place of an empty one. The pages of the file, which is mapped, count beside it.
    assert 0.9 * size < resumed[0] - small[0] < 1.1 * size
    assert resumed[1] - small[1] < (1 + 1.5) * size, (small, resumed)


# ---- environments that break down


def breaks_for_the_second_seed(at: int):
    """What makes an environment; those that the second seed of two gets break down in this step."""
    Fragile.made = 0

    def make() -> gymnasium.Env:
        env = Fragile("raises", at=10**9)
        if Fragile.made > 1 + 4:  # one is looked at, and four are the first seed's
            env.at = at
        return env

    return make


def test_where_one_seed_breaks_down_what_all_have_learned_is_stored(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, steps=4 * 16 * 6)
    with pytest.raises(EnvironmentFault, match="the spring is broken"):
        train(tmp_path / "run", breaks_for_the_second_seed(40), settings, seeds=2, checkpoint_every=None)
    run = logpi.load(tmp_path / "run", settings=settings)
    assert iterations(run, 1) == [1, 2] and iterations(run, 0) == [1, 2, 3]
    assert held(tmp_path / "run") == {2: True}
    recorder = Recorder()
    run = resume(tmp_path / "run", lambda: Fragile("not at all"), settings, callbacks=recorder)
    assert iterations(run, 1) == iterations(run, 0) == [1, 2, 3, 4, 5, 6]
    assert len(recorder.warnings) == 1 and "new episodes" in recorder.warnings[0]


def test_in_the_middle_of_a_row_what_was_learned_before_is_stored(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, log_every=3)
    with pytest.raises(EnvironmentFault, match="the spring is broken"):
        train(tmp_path / "run", lambda: Fragile("raises", at=40), settings)
    assert iterations(logpi.load(tmp_path / "run", settings=settings)) == [2] and held(tmp_path / "run") == {2: True}
    run = resume(tmp_path / "run", lambda: Fragile("not at all"), settings, callbacks=Recorder())
    assert iterations(run) == [2, 3, 6, 9, 10]  # then the rows are again those of a training that nothing happens to


def test_one_that_hangs_leaves_a_checkpoint_without_experience(tmp_path: Path) -> None:
    """Its threads may go on, and hand the experience over at any time."""
    with pytest.raises(EnvironmentFault, match="has not answered"):
        train(tmp_path / "run", lambda: Fragile("hangs"), step_timeout=1.0)
    assert held(tmp_path / "run") == {2: False}


# ---- memory


def test_a_replay_that_cannot_fit_is_refused_before_it_is_taken(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, algorithm=Rehearsing(experience=Replay(capacity=10**12)))
    with pytest.raises(InputError, match=r"capacity is 1,000,000,000,000, which with 2 seeds and 28 bytes a row needs"):
        train(tmp_path / "run", settings=settings, seeds=2)
    assert not (tmp_path / "run").exists()


def test_the_bytes_of_a_row_are_those_of_the_ring() -> None:
    from logpi.rollout.memory import ROW, stored_bytes
    from tests.experience.test_replay import Parts

    for env in (Luck(), Parts()):
        _, start = trainer_in(CompiledSource("it", env))
        ring = sum(x.nbytes for x in jax.tree.leaves(start.buffer.rows))
        assert ring == SETTINGS.algorithm.experience.capacity * (
            stored_bytes(env.obs_space) + stored_bytes(env.action_space) + ROW
        )


def test_a_replay_that_holds_less_than_two_rollouts_is_refused(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, algorithm=Rehearsing(experience=Replay(capacity=100)))
    for env in (Luck(), HOST):
        with pytest.raises(InputError, match="capacity is 100, but a rollout has 64 rows"):
            train(tmp_path / "run", env, settings=settings)


# ---- several iterations in a row of metrics


def merged(rows: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Rows of an iteration each as one row: counted, summed and averaged as each column must be."""

    def total(name: str) -> float:
        return sum(row[name] or 0 for row in rows)

    def mean(name: str, weights: list[float]) -> float | None:
        pairs = [(row[name], weight) for row, weight in zip(rows, weights, strict=True) if weight]
        if not pairs or any(x is None for x, _ in pairs):
            return None
        return sum(x * weight for x, weight in pairs) / sum(weight for _, weight in pairs)

    episodes, steps = [row["episodes"] for row in rows], [row["own_steps"] for row in rows]
    return {
        "iteration": rows[-1]["iteration"], "steps": rows[-1]["steps"], "episodes": sum(episodes),
        "return_mean": mean("return_mean", episodes), "length_mean": mean("length_mean", episodes),
        "return_squares": total("return_squares") if sum(episodes) else None, "reward": mean("reward", steps),
        **{name: mean(name, [1.0] * len(rows)) for name in names},
    }  # fmt: skip


def close(found: Any, expected: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return abs(found - expected) <= 1e-5 * max(abs(expected), 1e-6)
    return found == expected


@pytest.mark.parametrize("env", [Luck(), HOST], ids=["compiled", "host"])
@pytest.mark.parametrize("algorithm", [Rehearsing(), A2C()], ids=["with replay", "without"])
def test_a_row_of_several_iterations_is_their_merge(env: Any, algorithm: AbstractAlgorithm) -> None:
    settings = dataclasses.replace(SETTINGS, algorithm=algorithm)
    single = train(env=env, settings=settings).history
    assert len(single) == 10
    steps = [0, *(row["steps"] for row in single)]
    single = [row | {"own_steps": b - a} for row, a, b in zip(single, steps, steps[1:], strict=False)]
    for every in (3, 10, 64):
        rows = train(env=env, settings=dataclasses.replace(settings, log_every=every)).history
        assert [row["iteration"] for row in rows] == [*range(every, 10, every), 10]
        for i, row in enumerate(rows):
            expected = merged(single[i * every : (i + 1) * every], [m.name for m in algorithm.measurements])
            differing = {name: (row[name], x) for name, x in expected.items() if not close(row[name], x)}
            assert not differing and row.keys() == expected.keys() | {"seed"}


@pytest.mark.parametrize("checkpoint_every", [1, 4])
def test_resumed_in_the_middle_the_rows_are_the_same(checkpoint_every: int, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, algorithm=A2C(), log_every=3)
    train(tmp_path / "whole", settings=settings)
    train(tmp_path / "run", settings=settings, checkpoint_every=checkpoint_every)
    assert files(tmp_path / "run") == files(tmp_path / "whole")
    for update in (9, 6):
        if update in held(tmp_path / "run"):
            assert iterations(resume(rewound(tmp_path / "run", update), settings=settings)) == [3, 6, 9, 10]
            assert files(tmp_path / "run") == files(tmp_path / "whole")
    train(tmp_path / "run", settings=settings, checkpoint_every=1, callbacks=Recorder(2, **interrupt))
    assert iterations(logpi.load(tmp_path / "run", settings=settings)) == [3, 6]
    resume(tmp_path / "run", settings=settings)
    assert files(tmp_path / "run") == files(tmp_path / "whole")


def test_a_row_does_not_depend_on_where_rounds_end() -> None:
    trainer, start = trainer_in(CompiledSource("Luck", Luck()), every=3)
    loop = make_loop(trainer, start)
    at_once = loop.advance(jax.tree.map(jnp.copy, start), 8)
    state, rows, begun = jax.tree.map(jnp.copy, start), [], None
    for count in (1, 1, 3, 2, 1):
        state, metrics, *_ = loop.advance(state, count, begun)
        amid = int(state.iteration) % 3 > 0
        rows.append(jax.tree.map(lambda x, amid=amid: x[: len(x) - amid], metrics))
        begun = jax.tree.map(lambda x: x[-1], metrics) if amid else None
    assert equal(at_once.state, state)
    assert equal(at_once.metrics, jax.tree.map(lambda *columns: np.concatenate(columns), *rows, *[metrics]))


class Slow(Fragile):
    """On the host, and interrupts its process at a step: amid a row of many updates."""

    def step(self, action):
        outcome = super().step(action)
        if self.steps == self.at:
            os.kill(os.getpid(), signal.SIGINT)
        return outcome


def test_ctrl_c_takes_effect_between_two_updates_of_a_row(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, algorithm=A2C(), steps=4 * 16 * 200, log_every=1000)
    numbers = iter(range(10))

    def make() -> gymnasium.Env:  # one of four interrupts: a second signal ends a training at once
        return Slow("not at all", at=100 if next(numbers) == 1 else 10**9)

    run = train(tmp_path / "run", make, settings)
    done = run.summary["updates"]
    assert run.summary["interrupted"] and 0 < done < 100 and iterations(run) == [done]
    assert max(held(tmp_path / "run")) == done
    run = resume(tmp_path / "run", lambda: Fragile("not at all"), settings, callbacks=Recorder())
    assert iterations(run) == [done, 200] and not run.summary["interrupted"]


def test_nan_in_the_middle_of_a_row_keeps_the_iterations_before_it(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, log_every=4)
    single = train(tmp_path / "healthy", Spoiled()).history
    with pytest.raises(TrainingFault, match="is nan in rollout"):
        train(tmp_path / "run", Spoiled(at=19.0), settings)
    stopped = stops_at(tmp_path / "run")
    rows = logpi.load(tmp_path / "run", settings=settings).history
    assert stopped % 4 and [row["iteration"] for row in rows] == [*range(4, stopped, 4), stopped]
    assert rows[-1]["steps"] == single[stopped - 1]["steps"]
    run = resume(tmp_path / "run", Spoiled(), settings)
    assert run.history[-1]["steps"] == single[-1]["steps"]
    assert (tmp_path / "run" / policy_file(0)).read_bytes() == (tmp_path / "healthy" / policy_file(0)).read_bytes()


def test_a_row_with_a_dropped_iteration_says_so() -> None:
    settings = dataclasses.replace(SETTINGS, log_every=3)
    single = train(env=Spoiled(at=19.0), on_nan="skip", callbacks=Recorder()).history
    rows = train(env=Spoiled(at=19.0), settings=settings, on_nan="skip", callbacks=Recorder()).history
    expected = [any(row.get("dropped") for row in single[i : i + 3]) for i in range(0, 10, 3)]
    assert [row.get("dropped", False) for row in rows] == expected and len(set(expected)) == 2
    assert [row["steps"] for row in rows] == [single[i]["steps"] for i in (2, 5, 8, 9)]
