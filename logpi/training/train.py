"""From an environment and a few words to a trained policy."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax

from ..algorithms import AbstractAlgorithm
from ..envs import EnvSource, HostSource, resolve, restarting
from ..envs.sources import GivenVector
from ..errors import (
    check_kind,
    check_path,
    check_whole,
    choice,
    InputError,
    shown,
)
from ..models import AbstractPolicy, Network
from ..rollout import AbstractRollout
from ..rollout.base import compute_inline
from ..rollout.make import make_rollout
from ..rollout.memory import check_experience, check_network
from ..runs.config import given_settings, MOST_SEEDS
from ..runs.options import Every, FaultTolerance, KEPT
from ..runs.presets import algorithm_name, GENERAL, preset
from ..runs.run import check_spaces, own_source, read_config, Run
from ..runs.settings import Settings
from ..spaces.actions import ACTION_MAPS
from ..transforms import RewardScaling
from .cache import compilation_cache
from .events import as_listener, Listener
from .session import Session
from .underway import Task


def make_settings(env: str, algorithm: AbstractAlgorithm | str | None, changes: dict[str, Any]) -> Settings:
    """The preset for an environment and an algorithm, with what the user said in place of it (`None`: nothing said)."""
    if not isinstance(algorithm, AbstractAlgorithm | None):
        choice("algorithm", algorithm, tuple(GENERAL))
    name = algorithm if isinstance(algorithm, str) else algorithm_name(algorithm) if algorithm else "ppo"
    given = {name: value for name, value in changes.items() if value is not None}
    if isinstance(algorithm, AbstractAlgorithm):
        given["algorithm"] = algorithm
    settings = preset(env, name)
    return dataclasses.replace(settings, **given) if given else settings


def train(
    env: Any,
    algorithm: AbstractAlgorithm | Literal["ppo", "a2c", "reinforce"] | None = None,
    *,
    steps: int | None = None,
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    num_envs: int | None = None,
    rollout_length: int | None = None,
    network: Network | None = None,
    model: AbstractPolicy | Callable[..., AbstractPolicy] | None = None,
    actions: Literal["auto", "clip", "rescale"] | None = None,
    reward_scaling: RewardScaling | None = None,
    settings: Settings | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    checkpoint_every: str | int | Every | None = "30s",
    on_nan: Literal["stop", "skip"] = "stop",
    on_env_error: Literal["stop", "restart"] = "stop",
    step_timeout: float = 120.0,
    listener: Listener | None = None,
) -> Run:
    """Trains a policy by the policy gradient, and returns the run.

    - `env`: a name ("CartPole-v1", "gymnasium:...", "envpool:...", "gymnax:..."), a function that makes a Gymnasium
      environment, or an `AbstractEnv`.
    - `algorithm`: a name ("ppo", "a2c", "reinforce"), for which the preset of this environment is taken; or `PPO(...)`,
      `A2C(...)`, `REINFORCE(...)`, whose own numbers replace the preset's. "ppo" if not given.
    - `steps`: agent steps for each seed. `num_envs`, `rollout_length`, `network`, `actions`, `reward_scaling`: as in
      `Settings`. What is not given is the preset's for this environment and algorithm; `settings` replaces the preset.
    - `seed`, or `seeds`: how many (0, 1, ...) or which; they run side by side, and each gives what it gives alone.
    - `model`: a policy of the user's own, or a function `(obs_space, action_space, key)` that makes one.
    - `out`: the run folder, written while training goes on; without it, `Run.save` writes one.
    - `checkpoint_every`: how often all of it is stored there, for `resume`: "30s", "5m", 500 (updates), or `None`,
      which is at the end only.
    - `on_nan`: where NaN or infinity comes up, stop there with all that was good saved, or skip that update.
    - `on_env_error`, `step_timeout`: where an environment on the host breaks down, stop, or restart it and leave its
      step out; where it takes longer than these seconds for a step, training stops.
    - `listener`: a function of an event, called as the training goes on (`logpi.training.events` has the kinds). What
      it raises ends the training; what was learned up to then is in the run folder, for `resume` to go on from.

    Ctrl-C or SIGTERM ends the training; what was learned so far is returned, and saved. Raises `InputError` for what
    cannot work, and of these `TrainingFault` where NaN, `EnvironmentFault` where an environment stopped it.
    """
    _prepare_jax()
    fault_tolerance = FaultTolerance().changed(checkpoint_every, on_nan, on_env_error, step_timeout)
    source = restarting(resolve(env)) if fault_tolerance.restart else resolve(env)
    changes = {
        "steps": steps,
        "num_envs": num_envs,
        "rollout_length": rollout_length,
        "network": network,
        "actions": actions,
        "reward_scaling": reward_scaling,
    }
    if settings is None:
        settings = make_settings(source.name, algorithm, changes)
    chosen = _chosen_seeds(seed, seeds)
    rollout = _rollout(source, settings, len(chosen))
    task = Task(source, settings, chosen, rollout, model, env, out, overwrite, as_listener(listener), fault_tolerance)
    return Session(task).run()


def resume(
    folder: str | Path,
    *,
    settings: Settings | None = None,
    model: AbstractPolicy | Callable[..., AbstractPolicy] | None = None,
    environment: Any = None,
    checkpoint_every: str | int | Every | None = KEPT,
    on_nan: Literal["kept", "stop", "skip"] = KEPT,
    on_env_error: Literal["kept", "stop", "restart"] = KEPT,
    step_timeout: float | None = None,
    listener: Listener | None = None,
) -> Run:
    """Goes on with a training from the newest good checkpoint in its folder, to the steps that were planned.

    In compiled environments the result is bit for bit that of a training that was never stopped, on the same machine
    with the same versions; environments on the host start new episodes. `settings`, `model` and `environment` are
    needed where the run had its own: those that it was trained with. How often it is stored, and where it stops or goes
    on, stays as the training had it where not given. Raises `InputError` where there is nothing to go on from.
    """
    _prepare_jax()
    folder = check_path("folder", folder)
    config = read_config(folder)
    fault_tolerance = config.fault_tolerance.changed(checkpoint_every, on_nan, on_env_error, step_timeout)
    settings = given_settings(folder, config.settings, settings)
    source = own_source(config, environment)
    source = restarting(source) if fault_tolerance.restart else source
    rollout = _rollout(source, settings, len(config.seeds))
    check_spaces(config, source.name, rollout)
    if config.model != "network" and model is None:
        raise InputError(f"{folder} holds a model of your own ({config.model}): give one like it as model=.")
    task = Task(
        source, settings, config.seeds, rollout, model, environment, folder, True, as_listener(listener),
        fault_tolerance, resume=True, run_id=config.run_id,
    )  # fmt: skip
    return Session(task).run()


def _prepare_jax() -> None:
    """Raises `InputError` where JAX is set so that nothing could be trained with it."""
    if jax.config.values["jax_numpy_dtype_promotion"] != "standard":
        raise InputError(
            "jax_numpy_dtype_promotion is 'strict', under which neither Optax nor logpi computes: set it to 'standard'."
        )
    compilation_cache()
    compute_inline()


def _rollout(source: EnvSource, settings: Settings, seeds: int) -> AbstractRollout:
    """The rollout that settings ask for. Raises `InputError` for what cannot fit into memory."""
    check_kind("settings", settings, Settings, "logpi.Settings(...)")
    if seeds > 1 and isinstance(source, HostSource) and isinstance(source.make, GivenVector):
        raise InputError(
            f"{seeds} seeds would step in the one vector environment {source.name} at once: train one seed after the "
            "other, or give the function that makes one environment."
        )
    check_network(settings.network, source.obs_space, seeds)
    check_experience(settings.algorithm.experience.capacity, source.obs_space, source.action_space, seeds)
    return make_rollout(source, settings.num_envs, settings.rollout_length, ACTION_MAPS[settings.actions])


def _chosen_seeds(seed: int, seeds: int | Sequence[int] | None) -> tuple[int, ...]:
    if seeds is None:
        return (check_whole("seed", seed, 0),)
    if isinstance(seeds, Iterable) and not isinstance(seeds, str | bytes) and getattr(seeds, "ndim", 1):
        chosen = list(seeds)
    else:
        seed = check_whole("seed", seed, 0)
        chosen = range(seed, seed + check_whole("seeds", seeds, 1, MOST_SEEDS))
    chosen = tuple(check_whole("one of the seeds", s, 0) for s in chosen)
    if not 1 <= len(chosen) <= MOST_SEEDS or len(set(chosen)) < len(chosen):
        raise InputError(
            f"seeds are {shown(seeds)}, but they must be 1 to {MOST_SEEDS:,} different ones: give seeds=4 or a list."
        )
    return chosen
