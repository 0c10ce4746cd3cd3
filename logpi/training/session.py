"""One training under way: it starts, compiles, iterates and writes what it finds."""

import concurrent.futures
import contextlib
import dataclasses
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..errors import InputError
from ..models import AbstractActorCritic, AbstractPolicy, make_actor_critic, Network, WithoutCritic
from ..rollout import AbstractRollout
from .listener import AbstractListener, as_row, Plan
from .loop import CompiledLoop, HostLoop, make_loop, Trainer, TrainingState, with_traced_numbers
from .presets import algorithm_name
from .run import make_folder, policy_file, Run, versions, write_config
from .settings import Settings
from .storage import save_arrays

CHUNK_SECONDS = 0.3  # how long the loop runs between two looks at it


@eqx.filter_jit
def _make_network(obs_space, action_space, network: Network, key) -> AbstractActorCritic:
    return make_actor_critic(obs_space, action_space, network, key=key)


@eqx.filter_jit
def _start_compiled(trainer: Trainer, network: Network, num_updates, key) -> TrainingState:
    # As a program of its own: one operation after the other, XLA would compile each for itself.
    model_key, key = jax.random.split(key)
    rollout = trainer.rollout
    return trainer.init(_make_network(rollout.obs_space, rollout.action_space, network, model_key), num_updates, key)


def _make_model(model: Any, settings: Settings, rollout: AbstractRollout, key) -> tuple[AbstractActorCritic, str]:
    """The model to train, and where it came from."""
    if model is None:
        return _make_network(rollout.obs_space, rollout.action_space, settings.network, key), "network"
    made = model if isinstance(model, AbstractPolicy) else model(rollout.obs_space, rollout.action_space, key)
    if not isinstance(made, AbstractPolicy):
        raise InputError(f"model gave {made!r}, but it must be a logpi.AbstractPolicy: derive your class from it.")
    name = f"{type(made).__module__}.{type(made).__qualname__}"
    return (made if isinstance(made, AbstractActorCritic) else WithoutCritic(made)), name


@dataclasses.dataclass
class Session:
    """One call of `train` under way."""

    source: Any
    settings: Settings
    seeds: tuple[int, ...]
    rollout: AbstractRollout
    model: Any
    environment: Any
    out: str | Path | None
    overwrite: bool
    listener: AbstractListener
    model_name: str = "network"

    def run(self) -> Run:
        """All of it: start, compile, iterate, save."""
        folder = make_folder(Path(self.out), overwrite=self.overwrite) if self.out is not None else None
        self.listener.planned(self._plan())
        trainer = with_traced_numbers(Trainer(self.settings.algorithm, self.rollout, self.settings.reward_scaling))
        if folder is not None:
            write_config(folder, self._as_run().config())
        self.listener.compiling()
        started = time.perf_counter()
        states, loop = self._begin(trainer)
        starting = time.perf_counter() - started
        self.listener.compiled(starting)
        with contextlib.closing(_Rows(folder)) as rows, _interruption() as interrupted:
            started = time.perf_counter()
            states = self._iterate(loop, states, rows, interrupted, started)
            seconds = time.perf_counter() - started
        for state in states:
            self.rollout.close(state.rollout)
        compiling = 0.0 if self.rollout.compiled else loop.compile_seconds
        self.listener.finished(interrupted.is_set())
        summary = self._summary(rows, starting + compiling, seconds - compiling, interrupted.is_set())
        run = self._as_run(tuple(trainer.policy(state) for state in states), rows.all, summary)
        if folder is not None:
            for chosen, trained in zip(self.seeds, run.models, strict=True):
                save_arrays(folder / policy_file(chosen), trained)
            write_config(folder, run.config())
        return run

    def _plan(self) -> Plan:
        return Plan(
            self.source.name, self.source.note, type(self.settings.algorithm).__name__, self.seeds,
            self.settings.num_updates * self.settings.steps_per_rollout, self.settings.num_envs,
            self.settings.rollout_length, self.settings.source, jax.devices()[0].platform,
            None if self.out is None else str(self.out),
        )  # fmt: skip

    def _begin(self, trainer: Trainer) -> tuple[list[TrainingState], CompiledLoop | HostLoop]:
        """The state of every seed, and the loop for them."""
        if not self.rollout.compiled or self.model is not None:
            states = [self._start(trainer, seed) for seed in self.seeds]
            return states, make_loop(trainer, states[0])
        # The loop needs the shapes of a state only, so the two programs compile side by side.
        num_updates = jnp.asarray(self.settings.num_updates)  # an array: so it is compiled once for all numbers
        keys = [jax.random.key(seed) for seed in self.seeds]
        arguments = (trainer, self.settings.network, num_updates)
        shapes = eqx.filter_eval_shape(_start_compiled, *arguments, keys[0])
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            starting = pool.submit(lambda: [_start_compiled(*arguments, key) for key in keys])
            loop = make_loop(trainer, shapes)
            return starting.result(), loop

    def _start(self, trainer: Trainer, seed: int) -> TrainingState:
        num_updates = jnp.asarray(self.settings.num_updates)
        model_key, key = jax.random.split(jax.random.key(seed))
        model, self.model_name = _make_model(self.model, self.settings, self.rollout, model_key)
        return trainer.init(model, num_updates, key)

    def _iterate(self, loop, states, rows: "_Rows", interrupted: threading.Event, started: float):
        """Rounds of some iterations of every seed. A thread each: that is faster than a batch of seeds."""
        count, total, done = 1, self.settings.num_updates, [0] * len(states)
        workers = max(1, min(len(states), os.cpu_count() or 1))
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            while min(done) < total and not interrupted.is_set():
                before = time.perf_counter()
                futures = [
                    pool.submit(loop.advance, state, min(count, total - n))
                    for state, n in zip(states, done, strict=True)
                ]
                results = [future.result() for future in futures]
                states = [state for state, _ in results]
                fresh = [rows.add(seed, metrics) for seed, (_, metrics) in zip(self.seeds, results, strict=True)]
                done = [n + len(found) for n, found in zip(done, fresh, strict=True)]
                new = list(itertools.chain.from_iterable(fresh))
                self.listener.advanced(new, rows.steps, time.perf_counter() - started)
                ratio = CHUNK_SECONDS / max(time.perf_counter() - before, 1e-6)
                count = max(1, round(count * min(ratio, 8.0)))
        return states

    def _summary(self, rows: "_Rows", compile_seconds: float, seconds: float, interrupted: bool) -> dict[str, Any]:
        return {
            "env": self.source.name,
            "algorithm": algorithm_name(self.settings.algorithm),
            "seeds": list(self.seeds),
            "steps": rows.steps,
            "compile_seconds": round(compile_seconds, 3),
            "train_seconds": round(seconds, 3),
            "steps_per_second": round(rows.steps / max(seconds, 1e-9), 1),
            "interrupted": interrupted,
            "out": None if self.out is None else str(self.out),
        }

    def _as_run(self, models: tuple = (), history: list | None = None, summary: dict[str, Any] | None = None) -> Run:
        more_than_a_name = None if isinstance(self.environment, str) else self.environment
        return Run(
            self.source.name, self.settings, self.seeds, models, self.rollout.obs_space, self.rollout.action_space,
            history or [], summary or {}, versions(), self.model_name, more_than_a_name,
        )  # fmt: skip


class _Rows:
    """The rows of `metrics.jsonl`, kept, and written as they come where there is a folder."""

    def __init__(self, folder: Path | None):
        self.all: list[dict[str, Any]] = []
        self._steps: dict[int, int] = {}
        self._counts: dict[int, int] = {}
        self._file = (folder / "metrics.jsonl").open("a", encoding="utf-8") if folder else None

    @property
    def steps(self) -> int:
        """Agent steps so far, over all seeds."""
        return sum(self._steps.values())

    def add(self, seed: int, metrics: list) -> list[dict[str, Any]]:
        """The rows of some iterations of one seed."""
        fresh = []
        for one in metrics:
            self._steps[seed] = self._steps.get(seed, 0) + int(one.steps)
            self._counts[seed] = self._counts.get(seed, 0) + 1
            fresh.append(as_row(seed, self._counts[seed], self._steps[seed], one))
        self.all += fresh
        if self._file:
            self._file.write("".join(json.dumps(row) + "\n" for row in fresh))
            self._file.flush()
        return fresh

    def close(self) -> None:
        """Closes the file."""
        if self._file:
            self._file.close()


@contextlib.contextmanager
def _interruption() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that the loop ends between two rounds; a second Ctrl-C interrupts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.getsignal(signal.SIGINT)

    def set_event(number, frame):
        event.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, set_event)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
