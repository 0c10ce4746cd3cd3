"""A training that has been done: its policies, and what it showed."""

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from .. import spaces
from ..algorithms import AbstractAlgorithm, PPO, Spec
from ..envs import EnvSource, resolve
from ..envs.named import Named, named
from ..envs.sources import as_judged, in_processes, seen_by
from ..errors import check_flag, check_path, check_whole, InputError, said, shown
from ..evaluation.evaluate import evaluate_policies, Evaluation
from ..measurements import Measurement
from ..models import AbstractPolicy, Network
from ..parameters import trainable
from ..rollout import AbstractRollout
from ..rollout.base import compute_inline
from ..rollout.make import make_rollout
from ..spaces.actions import ACTION_MAPS
from .agent import Agent
from .arrays import load_arrays, save_arrays
from .config import given_settings, own_env, read_entries
from .folder import claimed, clear_folder, is_held, policy_file, write_config
from .journals import read_evaluations, write_evaluations
from .metrics import read_rows, rewrite_rows
from .options import EvaluationPlan, FaultTolerance
from .plot import as_html, plot_curves
from .schema import name_of_kind
from .settings import Settings

BY_ENV = Named("")
# The cure where an environment has to be given.
AGAIN = "give it again, as environment= in Python or as --env FILE.py:NAME where a command has it"


@dataclasses.dataclass(frozen=True)
class Best:
    """The networks of a seed with the highest mean return in an evaluation on the way, in 32 bits."""

    networks: PyTree
    iteration: int
    return_mean: float

    def save(self, path: Path) -> None:
        """Into a file, atomically."""
        save_arrays(path, self._tree(self.networks))

    def _tree(self, networks: PyTree) -> dict[str, Any]:
        """In arrays alone, for which a file has one checksum."""
        return {
            "networks": networks,
            "iteration": np.asarray(self.iteration, np.int32),
            "return_mean": np.asarray(self.return_mean, np.float32),
        }

    @classmethod
    def load(cls, path: Path, like: PyTree) -> "Best":
        """From a file, in networks of this structure. Raises `InputError` where it is damaged."""
        found = _read_model(path, cls(like, 0, 0.0)._tree(like))
        return cls(found["networks"], int(found["iteration"]), float(found["return_mean"]))


@dataclasses.dataclass(frozen=True)
class Run:
    """What a training left: one policy a seed, and all that it showed on the way."""

    env: str
    settings: Settings
    seeds: tuple[int, ...]
    models: tuple[PyTree, ...]  # the networks of each seed, as the algorithm trains them
    obs_space: spaces.Space
    action_space: spaces.Space
    history: Sequence[dict[str, Any]]  # one row for some iterations of each seed, as in `metrics.jsonl`
    summary: dict[str, Any]
    versions: dict[str, str]
    measurements: tuple[Measurement, ...] = PPO.measurements  # of the algorithm: what `history` has beside returns
    model: str = "network"  # where the model came from: the settings' network, or a class of the user's own
    environment: Any = dataclasses.field(default=None, repr=False)  # what was trained on, if it is more than a name
    named: Named | None = BY_ENV  # what makes that environment again, `env` if not given; `None` where no name does
    run_id: str = ""  # of this training alone: its checkpoints bear it too
    fault_tolerance: FaultTolerance = dataclasses.field(default_factory=FaultTolerance)
    processes: bool | int = False  # how many share environments of Gymnasium's; True is one for each
    evaluation_plan: EvaluationPlan | None = None
    evaluations: Sequence[dict[str, Any]] = ()  # on the way: one row for each and each seed, as `evaluations.jsonl`
    bests: tuple[Best, ...] = ()  # of each seed, where there were evaluations on the way
    warm_started: tuple[dict[str, Any], ...] = ()  # a row for each seed: how likely the policy found the data's actions

    def __post_init__(self):
        if self.named == BY_ENV:
            object.__setattr__(self, "named", Named(self.env))

    def __repr__(self) -> str:
        """What it is, in a line."""
        seeds = "seed" if len(self.seeds) == 1 else f"{len(self.seeds)} seeds, from"
        steps = self.summary.get("steps", 0)
        count = f"{steps:,}" if isinstance(steps, int | float) else shown(steps)  # a file may say anything
        name = name_of_kind(self.settings.algorithm)
        return f"<Run of {name} on {self.env}, {seeds} {self.seeds[0]}: {count} steps>"

    def _repr_html_(self) -> str:
        """What a notebook shows of it: how far it came, its settings, its return with an interval, its curve."""
        seconds, settings = self.summary.get("train_seconds"), self.settings
        took = f", trained in {seconds:,.1f} s" if isinstance(seconds, int | float) else ""
        algorithm = " ".join(repr(settings.algorithm).split()).replace("( ", "(").replace(" )", ")")
        said = f"{algorithm}, num_envs={settings.num_envs}, rollout_length={settings.rollout_length}"
        return as_html([f"{self!r}, {status(self, None)}{took}", said, settings.source], self.seeds, self.history)

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets of it: all but agents, which hold compiled programs and are made anew there."""
        return {name: value for name, value in vars(self).items() if name != "_agents"}

    def config(self) -> dict[str, Any]:
        """What `config.json` holds."""
        names = (
            "seeds", "model", "settings", "obs_space", "action_space", "measurements", "summary", "versions", "run_id",
            "fault_tolerance", "processes", "evaluation_plan", "warm_started",
        )  # fmt: skip
        told = {"env": self.env, "named": self.named and {"suite": self.named.suite, "options": self.named.options}}
        return told | {name: getattr(self, name) for name in names}

    @property
    def policy(self) -> Agent:
        """The first seed's policy, to call with an observation: always the same agent, which remembers."""
        return self.agent(0)

    @property
    def best(self) -> "Run":
        """The run with the policy of each seed that earned most in an evaluation on the way, in place of the last.

        It is the best of several that were measured with errors: evaluate it anew to know what it earns. Raises
        `InputError` where there were no evaluations on the way.
        """
        if not self.bests:
            raise InputError(
                "The run has no best policies, for nothing was evaluated on the way, or no mean return was a number: "
                "train with evaluate_every=50 (--evaluate-every 50)."
            )
        return dataclasses.replace(self, models=tuple(best.networks for best in self.bests))

    @property
    def policies(self) -> tuple[AbstractPolicy, ...]:
        """Of each seed, who acts."""
        algorithm = self.settings.algorithm
        known = isinstance(algorithm, AbstractAlgorithm)
        return tuple(algorithm.policy(model) if known else model for model in self.models)

    def agent(self, index: int) -> Agent:
        """The policy of the `index`-th seed, to call with an observation: always the same agent, which remembers.

        Raises `InputError` where there is none.
        """
        index, last = check_whole("index", index, 0), len(self.models) - 1
        if index > last:
            raise InputError(f"index is {index}, but the run has {last + 1} policies: give one from 0 to {last}.")
        if index not in self._agents:
            policy = self.policies[index]
            self._agents[index] = Agent(policy, self.obs_space, self.action_space, self.settings.way_of_actions)
        return self._agents[index]

    @functools.cached_property
    def _agents(self) -> dict[int, Agent]:
        return {}

    def model_of(self, seed: int | None = None) -> tuple[int, PyTree]:
        """A seed, the first if not given, and its networks. Raises `InputError` where the run has none of it."""
        seed = self.seeds[0] if seed is None else check_whole("seed", seed, 0)
        if seed not in self.seeds or len(self.models) < len(self.seeds):
            there = list(self.seeds[: len(self.models)])
            raise InputError(f"seed is {seed}, but the run has policies of {there}.")
        return seed, self.models[self.seeds.index(seed)]

    @property
    def options(self) -> dict[str, Any]:
        """Options of the environment, which a name went with."""
        return self.named.options if self.named else {}

    def source(self, env: Any = None) -> EnvSource:
        """The environment of the run, or another.

        Raises `InputError` where no name tells it and it was not given, and where a module would have to be imported
        for it that only the run names.
        """
        return own_source(self, self.environment if env is None else env)

    def rollout(
        self, source: EnvSource, num_envs: int | None = None, length: int | None = None, *, anew: bool = False
    ) -> AbstractRollout:
        """A rollout in environments of a source, as large as those of the training where not said.

        With `anew` each begins with new episodes. Raises `InputError` where their spaces are not those that the
        policies know.
        """
        num_envs, length = num_envs or self.settings.num_envs, length or self.settings.rollout_length
        made = make_rollout(source, num_envs, length, ACTION_MAPS[self.settings.way_of_actions], anew=anew)
        check_spaces(self, source.name, made)
        return made

    def playing(self, source: EnvSource, episodes: int) -> AbstractRollout:
        """A rollout to play so many episodes in. Raises `InputError` as `rollout` does."""
        source = as_judged(source)
        return self.rollout(source, source.envs(min(episodes, source.either(128, 8))), 128)

    def evaluate(
        self, episodes: int = 100, *, deterministic: bool = False, env: Any = None, seed: int = 0
    ) -> Evaluation:
        """Fresh episodes of every seed's policy, in its own environment or in `env`.

        Raises `InputError` where the spaces of `env` are not those that the policies know.
        """
        episodes = check_whole("episodes", episodes, 1)
        seed = check_whole("seed", seed, 0)
        source = self.source(env)
        return evaluate_policies(
            list(self.policies),
            self.playing(source, episodes),
            env=source.name,
            seeds=self.seeds,
            episodes=episodes,
            deterministic=check_flag("deterministic", deterministic),
            key=jax.random.fold_in(jax.random.key(seed), 0xE7A1),
        )

    def plot(self, path: str | Path | None = None):
        """The learning curves of all seeds as a matplotlib figure; written to `path` too, where given."""
        seeds = f"seed {self.seeds[0]}" if len(self.seeds) == 1 else f"{len(self.seeds)} seeds"
        title = f"{self.env}, {name_of_kind(self.settings.algorithm)}, {seeds}"
        # Rows that only reset count as no step, so a whole training ends a little below what was asked for.
        planned = 0 if self.summary.get("interrupted") or self.summary.get("stopped") else self.settings.steps
        return plot_curves(
            title, self.seeds, self.history, self.measurements, planned, path, evaluations=self.evaluations
        )

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes the run folder: configuration, metrics, and a policy a seed."""
        folder = check_path("folder", folder)
        with claimed(folder, overwrite=check_flag("overwrite", overwrite)):
            clear_folder(folder)
            self._write(folder)
        return folder

    def _write(self, folder: Path) -> None:
        write_config(folder, self.config())
        rewrite_rows(folder, self.history)
        for seed, model in zip(self.seeds, self.models, strict=True):
            save_arrays(folder / policy_file(seed), model)
        if self.evaluations:
            write_evaluations(folder, self.evaluations)
        for seed, best in zip(self.seeds, self.bests, strict=False):  # of all seeds, or of none
            best.save(folder / policy_file(seed, best=True))


def is_complete(run: Run, folder: Path | None = None) -> bool:
    """Whether the policies of a run have had all the updates that were planned.

    Its summary counts them, as it is written with them. One of an older logpi does not: there the rows do, which are
    read from `folder` where one is given.
    """
    done = run.summary.get("updates")
    if type(done) is not int:
        rows = run.history if folder is None else read_rows(folder)
        last = {row["seed"]: row["iteration"] for row in rows}
        done = min(last.get(seed, 0) for seed in run.seeds)
    return bool(run.summary) and done >= run.settings.num_updates


def status(run: Run, folder: Path | None, *, stopped: bool = False) -> str:
    """How far a run is: running, stopped by NaN, complete, ended early, interrupted by a signal, or unfinished.

    Ended early is what a callback stopped. Unfinished is what an environment or the process broke down in. `stopped` is
    whether its folder has a fault.
    """
    if folder is not None and is_held(folder):
        return "running"  # also where an earlier part of it was interrupted
    if stopped:
        return "stopped"
    if is_complete(run, folder):
        return "complete"
    if run.summary.get("stopped"):
        return "ended early"
    return "interrupted" if run.summary.get("interrupted") else "unfinished"


def own_source(run: Run, given: Any = None) -> EnvSource:
    """The environment that a run was trained in: the one given, or what its folder names, with its options.

    It has the processes that it had then, and shows masks if it did.

    Raises `InputError` where neither tells it: in any other the policy would be played in silence. Also where a module
    would have to be imported for it that nobody has asked for.
    """
    if given is not None:
        # MODULE:ENV of the run's own is leave to import the module: the environment is as it was.
        same = isinstance(given, str) and ":" in given and run.named == named("gymnasium", given, run.options)
        source = resolve(given, **(run.options if same else {}))
        return in_processes(seen_by(source, run.obs_space), run.processes)
    if run.named is None:
        raise InputError(
            f"The run was trained in an environment of your own ({run.env}), which no name tells: {AGAIN}."
        )
    own_env(run.named.name)
    try:
        source = resolve(run.named.name, **run.options)
    except InputError as error:
        raise InputError(f"{said(error)}: register or install it, or {AGAIN}.") from None
    source = dataclasses.replace(seen_by(source, run.obs_space), name=run.env)
    return in_processes(source, run.processes)


def check_spaces(run: Run, name: str, rollout: AbstractRollout) -> None:
    """Raises `InputError` unless a rollout has the spaces of a run."""
    if found := misfit_of(run, rollout):
        what, mine, theirs = found
        raise InputError(
            f"The policy was trained on {run.env} with {what} in {mine}, but {name} has {theirs}: "
            "evaluate it where the spaces are the same."
        )


def misfit_of(run: Run, other: Any) -> tuple[str, spaces.Space, spaces.Space] | None:
    """Which space of a rollout or a source a run's policies do not know: what it is of, the run's, and the other's."""
    pairs = (
        ("observations", run.obs_space, other.obs_space),
        ("actions", run.action_space, other.action_space),
    )
    return next((pair for pair in pairs if not spaces.fits(*pair[1:])), None)


def load(
    folder: str | Path,
    *,
    model: Any = None,
    environment: Any = None,
    settings: Settings | None = None,
    best: bool = False,
) -> Run:
    """The run in a folder. Nothing in it is executed: a configuration is data, and policies are arrays.

    With `best`, its policies are those that earned most in evaluations on the way (`Run.best`), not the last ones.

    A run of a model of the user's own needs `model`: the policy or the function that `train` was given, or one of the
    same structure. A run in an environment that no name tells needs `environment` to be evaluated. One of an
    algorithm of the user's own needs `settings` where its networks are not a plain actor-critic, or `register` for its
    class. Raises `InputError` where the folder holds no run, or a damaged one.
    """
    compute_inline()
    folder = check_path("folder", folder)
    config = read_config(folder)
    if model is None and config.model != "network":
        raise InputError(f"{folder} holds a model of your own ({config.model}): give one like it as model=.")
    if settings is not None:
        config = dataclasses.replace(config, settings=given_settings(folder, config.settings, settings))
    like = skeleton(config, config.settings.network if model is None else model)
    models = tuple(_read_model(folder / policy_file(seed), like) for seed in config.seeds)
    run = dataclasses.replace(
        config, models=models, history=read_rows(folder), environment=environment,
        evaluations=read_evaluations(folder), bests=_bests(folder, config.seeds, like, needed=check_flag("best", best)),
    )  # fmt: skip
    return run.best if best else run


def _bests(folder: Path, seeds: Sequence[int], like: PyTree, needed: bool) -> tuple[Best, ...]:
    """Those of all seeds; none where a seed has none, or where one is damaged and they are not `needed`."""
    paths = [folder / policy_file(seed, best=True) for seed in seeds]
    if not all(map(os.path.lexists, paths)):
        return ()
    try:
        return tuple(Best.load(path, like) for path in paths)
    except InputError:
        if needed:
            raise
        return ()


def _read_model(path: Path, like: PyTree) -> PyTree:
    """The networks of a seed. Raises `InputError` where they are missing, damaged, or not finite."""
    if not os.path.lexists(path):
        raise InputError(f"{path} is not there: the training was not brought to its end, as `logpi resume` can do.")
    model = load_arrays(path, like)
    parameters = jax.tree.leaves(eqx.filter(model, trainable(model)))
    if not all(np.isfinite(np.asarray(x)).all() for x in parameters):
        raise InputError(f"{path} has parameters that are not finite: the run folder is damaged, train it again.")
    return model


def skeleton(run: Run, network: Any) -> PyTree:
    """Networks of the structure that a run has trained."""
    settings, key = run.settings, jax.random.key(0)
    algorithm = settings.algorithm if isinstance(settings.algorithm, AbstractAlgorithm) else PPO()
    spec = Spec(run.obs_space, run.action_space, settings.num_envs, settings.rollout_length)
    if isinstance(network, Network):
        return eqx.filter_eval_shape(algorithm.build, spec, network, key)
    return algorithm.build(spec, network, key)


def read_config(folder: Path) -> Run:
    """The run in a folder as its `config.json` says, without policies and history.

    Raises `InputError` where the folder holds no run, or a damaged one.
    """
    entries = read_entries(folder)
    return Run(
        entries["env"], entries["settings"], entries["seeds"], (), entries["obs_space"], entries["action_space"], [],
        entries["summary"], entries["versions"], entries["measurements"], entries["model"],
        **{name: entries[name] for name in (
            "named", "run_id", "fault_tolerance", "processes", "evaluation_plan", "warm_started",
        )},
    )  # fmt: skip
