"""Placement: which seed runs where, and how its first state and its loop come about.

Seeds run side by side in threads that nobody has to wait for. This and the rollouts are the only places that ask
whether environments are compiled.
"""

import concurrent.futures
import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from ..models import Network, WithoutCritic
from .loop import CompiledLoop, HostLoop, Trainer, TrainingState

_WARMING = 0x3A4  # sets the keys of warm starts apart from those of networks
LOOK = 0.5  # seconds between two looks at what is going on


def side_by_side(work: Callable[[Any], Any], items: Sequence[Any], look: Callable[[], None]) -> list[Any]:
    """`work` of each item, in as many threads as there are cores. Raises what the first of them raised.

    `look` is called twice a second and may raise too: then the threads are left behind, as one that hangs must be.
    """
    results: dict[int, Any] = {}
    errors: dict[int, BaseException] = {}
    cores = threading.Semaphore(max(1, os.cpu_count() or 1))

    def run(i: int) -> None:
        with cores:
            try:
                results[i] = work(items[i])
            except BaseException as error:  # it is raised in the thread that waits
                errors[i] = error

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(items))]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(LOOK)
            look()
    for i in sorted(errors):
        raise errors[i]
    return [results[i] for i in range(len(items))]


def device() -> str:
    """The kind of device that a training runs on."""
    return jax.devices()[0].platform


def make_loop(trainer: Trainer, state: TrainingState) -> CompiledLoop | HostLoop:
    """The loop for a trainer whose rollout is compiled, or is not."""
    return (CompiledLoop if trainer.rollout.compiled else HostLoop)(trainer, state)


def begin(
    trainer: Trainer,
    network: Any,
    num_updates: int,
    seeds: Sequence[int],
    resume: bool,
    opened: Callable[[Any], None],
    *,
    warming: Callable[[PyTree, PRNGKeyArray], PyTree] | None = None,
) -> tuple[list[TrainingState], CompiledLoop | HostLoop]:
    """The first state of every seed, and the loop for them all.

    `warming` is what is done to the networks of each before, with a key of its own.

    `opened` hears of every state of a rollout as soon as it is there, so that its environments are closed whatever
    happens. With `resume`, environments on the host are left out: they are made once it is known where they go on.
    """
    wanted = jnp.asarray(num_updates)  # an array: so it is compiled once for all numbers
    keys = [jax.random.key(seed) for seed in seeds]
    if trainer.rollout.compiled and isinstance(network, Network) and warming is None:
        # The loop needs the shapes of a state only, so the two programs compile side by side.
        shapes = eqx.filter_eval_shape(_start_compiled, trainer, network, wanted, keys[0])
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            starting = pool.submit(lambda: [_start_compiled(trainer, network, wanted, key) for key in keys])
            loop = make_loop(trainer, shapes)
            return starting.result(), loop
    states = []
    start = trainer.blank if resume and not trainer.rollout.compiled else trainer.init
    if trainer.rollout.compiled and isinstance(network, Network):
        start = functools.partial(_init, trainer)
    for key in keys:
        model_key, key = jax.random.split(key)
        states.append(_with_own_arrays(start(_warmed(warming, trainer, network, model_key), wanted, key)))
        opened(states[-1].rollout)
    return states, make_loop(trainer, states[0])


def _with_own_arrays(state: TrainingState) -> TrainingState:
    """The state with a copy of each array of its environments: they are handed over to a program, which needs that.

    What is not computed in a compiled program may stand in a state twice, or be a constant of the environment.
    """
    own = jax.tree.map(lambda x: jnp.copy(x) if isinstance(x, jax.Array) else x, state.rollout)
    return eqx.tree_at(lambda s: s.rollout, state, own, is_leaf=lambda x: x is None)


def build(trainer: Trainer, network: Any, key: PRNGKeyArray) -> PyTree:
    """The networks to train, in one compiled program where they are described and not given."""
    return (
        _build(trainer, network, key)
        if isinstance(network, Network)
        else trainer.algorithm.build(trainer.spec, network, key)
    )


def _warmed(warming: Callable[..., PyTree] | None, trainer: Trainer, network: Any, key: PRNGKeyArray) -> PyTree:
    networks = build(trainer, network, key)
    return networks if warming is None else warming(networks, jax.random.fold_in(key, _WARMING))


def name_of(networks: PyTree) -> str:
    """What to call networks of the user's own."""
    inner = networks.policy if isinstance(networks, WithoutCritic) else networks
    return f"{type(inner).__module__}.{type(inner).__qualname__}"


@eqx.filter_jit
def _build(trainer: Trainer, network: Any, key: PRNGKeyArray) -> PyTree:
    return trainer.algorithm.build(trainer.spec, network, key)


@eqx.filter_jit
def _start_compiled(trainer: Trainer, network: Any, num_updates: Int[Array, ""], key: PRNGKeyArray) -> TrainingState:
    """With networks that are described, in compiled environments, in one compiled program."""
    # As a program of its own: one operation after the other, XLA would compile each for itself.
    model_key, key = jax.random.split(key)
    return trainer.init(_build(trainer, network, model_key), num_updates, key)


@eqx.filter_jit
def _init(trainer: Trainer, networks: PyTree, num_updates: Int[Array, ""], key: PRNGKeyArray) -> TrainingState:
    return trainer.init(networks, num_updates, key)
