"""From an environment and a few words to a trained policy."""

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax

from ..algorithms import AbstractAlgorithm
from ..envs import EnvSource, HostSource, resolve, restarting
from ..envs.sources import check_processes, GivenVector
from ..errors import (
    check_kind,
    check_path,
    check_whole,
    choice,
    InputError,
    shown,
)
from ..models import AbstractPolicy, Network
from ..progress.display import progress_display
from ..progress.events import as_callbacks, fan_out, Listener
from ..rollout import AbstractRollout
from ..rollout.base import compute_inline
from ..rollout.make import make_rollout
from ..rollout.memory import check_experience, check_network
from ..runs.checkpoints import FOLDER, listed
from ..runs.config import given_settings, MOST_SEEDS, own_env
from ..runs.options import evaluation_plan, EvaluationPlan, Every, FaultTolerance, KEPT
from ..runs.presets import algorithm_name, AlgorithmName, GENERAL, preset
from ..runs.run import check_spaces, own_source, read_config, Run
from ..runs.settings import check_names, names_of, Settings
from ..spaces.actions import ACTION_MAPS, can_rescale
from ..transforms import RewardScaling
from .cache import compilation_cache
from .session import Session
from .underway import Task
from .warm_start import warm_starting


def chosen_settings(
    env: str,
    algorithm: AbstractAlgorithm | str | None,
    settings: Settings | None,
    named: dict[str, Any],
    changes: dict[str, Any],
) -> Settings:
    """Those that are given, or the preset for an environment and an algorithm, with these changes.

    Of `named` ones, `None` says nothing.

    Raises `InputError` for names that there are not, and for an algorithm beside settings of another.
    """
    if not isinstance(algorithm, AbstractAlgorithm | None):
        choice("algorithm", algorithm, tuple(GENERAL))
    if settings is None:
        name = algorithm if isinstance(algorithm, str) else algorithm_name(algorithm) if algorithm else "ppo"
        chosen = preset(env, name if name in GENERAL else "ppo")
    else:
        chosen = check_kind("settings", settings, Settings, "logpi.Settings(...)")
        if isinstance(algorithm, str) and algorithm != algorithm_name(chosen.algorithm):
            raise InputError(
                f"algorithm is {algorithm!r}, but the settings are of {algorithm_name(chosen.algorithm)}: give one of "
                "the two."
            )
    arguments = inspect.signature(train).parameters.keys() - {"changes"}  # one of them may have been meant
    check_names(changes, names_of(chosen) | arguments, type(chosen.algorithm).__name__)
    named["algorithm"] = algorithm if isinstance(algorithm, AbstractAlgorithm) else None
    return chosen.with_(**{name: value for name, value in named.items() if value is not None}, **changes)


def train(
    env: Any,
    algorithm: AbstractAlgorithm | AlgorithmName | None = None,
    *,
    env_options: dict[str, Any] | None = None,
    processes: bool | int = False,
    steps: int | None = None,
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    num_envs: int | None = None,
    rollout_length: int | None = None,
    network: Network | None = None,
    model: AbstractPolicy | Callable[..., AbstractPolicy] | None = None,
    actions: Literal["auto", "clip", "rescale"] | None = None,
    reward_scaling: RewardScaling | bool | None = None,
    settings: Settings | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    evaluate_every: int | EvaluationPlan | None = None,
    stop_at: float | None = None,
    checkpoint_every: str | int | Every | None = "30s",
    on_nan: Literal["stop", "skip"] = "stop",
    on_env_error: Literal["stop", "restart"] = "stop",
    step_timeout: float = 120.0,
    progress: bool | Literal["all"] | None = None,
    callbacks: Listener | Sequence[Listener] = (),
    **changes: Any,
) -> Run:
    """Trains a policy by the policy gradient, and returns the run.

    - `env`: a name ("CartPole-v1", "gymnasium:...", "envpool:...", "gymnax:..."), a function that makes a Gymnasium
      environment, or an `AbstractEnv`.
    - `env_options`: options of the environment that is named, which the run keeps: `{"is_slippery": False}`.
      `processes`: how many processes share Gymnasium's environments, for those that take long for a step; True is one
      for each. The run keeps that too.
    - `algorithm`: a name ("ppo", "a2c", "reinforce", "trpo", "npg", "impala", "sac", "td3", "ddpg", "pgpe", "es",
      "ars"), for which the preset of this environment is taken; or `PPO(...)`, `SAC(...)` and so on, whose own numbers
      replace all the preset's. "ppo" if not given.
    - `steps`: agent steps for each seed. `num_envs`, `rollout_length`, `network`, `actions`, `reward_scaling`: as in
      `Settings`. `changes`: other settings, and numbers of the algorithm, its parts and the network by their names, as
      in `Settings.with_`: `overlap=True, learning_rate=1e-3, gamma=0.999, clip=0.1, width=128`. What is not given is
      the preset's for this environment and algorithm (`logpi.preset` shows it); `settings` are taken in its place.
    - `warm_start`, one of the `changes`: data that the policy is cloned from before the first update. An `.npz` file
      with `observations` and `actions`, "minari:NAME", a pair of arrays; or `logpi.WarmStart(data, epochs=...)`.
    - `seed`, or `seeds`: how many (0, 1, ...) or which; they run side by side, and each gives what it gives alone.
    - `model`: a policy of the user's own, or a function `(obs_space, action_space, key)` that makes one.
    - `out`: the run folder, written while training goes on; without it, `Run.save` writes one.
    - `evaluate_every`: after how many updates to evaluate the policy on the way, by 20 episodes in environments of
      their own; `logpi.EvaluationPlan` has the rest. What came is in `run.evaluations`, the best policy in `run.best`.
    - `stop_at`: ends the training once evaluations on the way show that the mean return has reached this, in every
      seed. They are 20 where `evaluate_every` is not given. Of trainings that never reach it, at most one in 20 is
      ended, however often it is looked (see `EvaluationPlan` for what that rests on).
    - `checkpoint_every`: how often all of it is stored there, for `resume`: "30s", "5m", 500 (updates), or `None`,
      which is at the end only.
    - `on_nan`: where NaN or infinity comes up, stop there with all that was good saved, or skip that update.
    - `on_env_error`, `step_timeout`: where an environment on the host breaks down, stop, or restart it and leave its
      step out; where it takes longer than these seconds for a step, training stops.
    - `progress`: whether to show how it goes, or "all" that is measured; if not given, in a terminal and in a notebook
      only.
    - `callbacks`: functions of an event, called one after the other as the training goes on (`logpi.progress.events`
      has the kinds). `event.stop("why")` ends the training, `event.run` is what was learned so far. What one raises
      ends the training as a fault does, and is raised again.

    Ctrl-C or SIGTERM ends the training once an update is done, and a second one at once. Then `KeyboardInterrupt` is
    raised, which ends the program unless it is caught; what was learned is saved, and in the exception's `run`.
    Raises `InputError` for what cannot work, and of these `TrainingFault` where NaN, `EnvironmentFault` where an
    environment stopped it; their `run` is what was learned too, as that of what a callback raised.
    """
    _prepare_jax()
    options = FaultTolerance().changed(checkpoint_every, on_nan, on_env_error, step_timeout)
    source = _opened(env, env_options, processes, options.restart)
    named = {
        "steps": steps, "num_envs": num_envs, "rollout_length": rollout_length, "network": network, "actions": actions,
        "reward_scaling": reward_scaling,
    }  # fmt: skip
    _check_own(model, network, changes)
    settings = _fitting(source, settings, named, chosen_settings(source.name, algorithm, settings, named, changes))
    rollout = _rollout(source, settings, len(chosen := _chosen_seeds(seed, seeds)))
    plan = evaluation_plan(evaluate_every, stop_at, settings.num_updates)
    return _run(Task(source, settings, chosen, rollout, model, env, out, overwrite, options, plan), progress, callbacks)


def resume(
    folder: str | Path,
    *,
    settings: Settings | None = None,
    model: AbstractPolicy | Callable[..., AbstractPolicy] | None = None,
    environment: Any = None,
    evaluate_every: int | EvaluationPlan | Literal["kept"] | None = KEPT,
    stop_at: float | Literal["kept"] | None = KEPT,
    checkpoint_every: str | int | Every | None = KEPT,
    on_nan: Literal["kept", "stop", "skip"] = KEPT,
    on_env_error: Literal["kept", "stop", "restart"] = KEPT,
    step_timeout: float | None = None,
    progress: bool | Literal["all"] | None = None,
    callbacks: Listener | Sequence[Listener] = (),
) -> Run:
    """Goes on with a training from the newest good checkpoint in its folder, to the steps that were planned.

    In compiled environments the result is bit for bit that of a training that was never stopped, on the same machine
    with the same versions; environments on the host start new episodes. `settings`, `model` and `environment` are
    needed where the run had its own: those that it was trained with. How often it is stored and evaluated, and where it
    stops or goes on, stays as the training had it where not given: one that has reached its `stop_at` goes on with
    `stop_at=None`. Raises `InputError` where there is nothing to go on from.
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
    plan = plan_again(config, evaluate_every, stop_at, settings.num_updates)
    task = Task(
        source, settings, config.seeds, rollout, model, environment, folder, True, fault_tolerance, plan,
        resume=True, warm_started=config.warm_started, run_id=config.run_id,
    )  # fmt: skip
    return _run(task, progress, callbacks)


def plan_again(config: Run, evaluate_every: Any, stop_at: Any, num_updates: int) -> EvaluationPlan | None:
    """The plan of evaluations that a run folder keeps, with what these arguments of `resume` say in its place.

    Raises `InputError` for what they cannot be, and where a module would have to be imported that only the folder
    names.
    """
    plan = evaluation_plan(evaluate_every, stop_at, num_updates, config.evaluation_plan)
    if plan is not None and isinstance(plan.env, str) and not isinstance(evaluate_every, EvaluationPlan):
        given = f"evaluate_every=logpi.EvaluationPlan({plan.every}, env={plan.env.removeprefix('gymnasium:')!r})"
        own_env(plan.env, f"{given} in Python; on the command line, --evaluate-every none leaves it out")
    return plan


def _run(task: Task, progress: Any, callbacks: Any) -> Run:
    """A task, with what it begins from and those who hear of it."""
    task = _with_warm_start(task)
    with contextlib.closing(progress_display(progress)) as display:
        heard = fan_out(display, as_callbacks(callbacks))
        return Session(dataclasses.replace(task, listener=heard)).run()


def _with_warm_start(task: Task) -> Task:
    """The task with the data that it begins from, and with settings that name them.

    One that goes on from a checkpoint has been warmed before that, and needs them no more.
    """
    how = task.settings.warm_start
    if how is None or (task.resume and listed(Path(str(task.out)) / FOLDER)):
        return task
    warming = warm_starting(task.settings, how, task.rollout, own=task.model is not None)
    named = dataclasses.replace(task.settings, warm_start=warming.how)
    return dataclasses.replace(task, settings=named, warming=warming)


def _opened(env: Any, options: dict[str, Any] | None, processes: bool | int, restart: bool) -> EnvSource:
    check_kind("env_options", options, dict, '{"is_slippery": False}', optional=True)
    if wrong := [name for name in options or {} if not isinstance(name, str) or name == "processes"]:
        raise InputError(f"env_options has {shown(wrong[0])}, which is no option of an environment: leave it out.")
    source = resolve(env, processes=processes, **(options or {}))
    return restarting(source) if restart else source


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
    if seeds > 1 and isinstance(source, HostSource) and isinstance(source.make, GivenVector):
        raise InputError(
            f"{seeds} seeds would step in the one vector environment {source.name} at once: train one seed after the "
            "other, or give the function that makes one environment."
        )
    check_processes(source, settings.num_envs)
    anew = settings.algorithm.begins_anew
    check_network(settings.network, source.obs_space, seeds, settings.num_envs if anew else 0)
    check_experience(settings.algorithm.experience.capacity, source.obs_space, source.action_space, seeds)
    to_env = ACTION_MAPS[settings.way_of_actions]
    size = settings.num_envs, settings.rollout_length
    return make_rollout(source, *size, to_env, overlap=settings.overlap, anew=anew)


def _fitting(source: EnvSource, given: Settings | None, said: dict[str, Any], chosen: Settings) -> Settings:
    """The chosen settings: where none were given, without what nobody said and this environment cannot have.

    A vector environment of the user's has as many environments as it has, and a wrapped one may have lost the bounds
    that the preset rescales to.
    """
    rescaled = chosen.actions == "rescale" and not can_rescale(source.action_space)
    fit = {"num_envs": source.envs(chosen.num_envs), "actions": "auto" if rescaled else chosen.actions}
    unsaid = {name: value for name, value in fit.items() if said[name] is None and given is None}
    return dataclasses.replace(chosen, **unsaid)


def _check_own(model: Any, network: Network | None, changes: dict[str, Any]) -> None:
    """Raises `InputError` for what is said of the network beside a model of the user's own, which is used as it is."""
    said = ["network"] if network is not None else [f.name for f in dataclasses.fields(Network) if f.name in changes]
    if model is not None and said:
        raise InputError(
            f"{said[0]} is {shown(network if network is not None else changes[said[0]])}, but the model is your own, "
            "which is used as it is: leave out one of the two."
        )


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
