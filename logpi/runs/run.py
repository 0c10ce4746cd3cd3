"""A training that has been done: its policies, and what it showed."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

from .. import spaces
from ..envs import EnvSource, resolve
from ..errors import check_whole, InputError, shown
from ..evaluation.evaluate import evaluate_policies, Evaluation
from ..models import AbstractActorCritic, AbstractPolicy, as_actor_critic, make_actor_critic
from ..rollout import AbstractRollout
from ..rollout.make import make_rollout
from ..spaces.actions import ACTION_MAPS
from .agent import Agent
from .arrays import load_arrays, save_arrays
from .config import own_env, read_entries
from .folder import clear_folder, locked, make_folder, policy_file, write_config
from .metrics import read_rows, rewrite_rows
from .settings import Settings


@dataclasses.dataclass(frozen=True)
class Run:
    """What a training left: one policy a seed, and all that it showed on the way."""

    env: str
    settings: Settings
    seeds: tuple[int, ...]
    models: tuple[AbstractActorCritic, ...]
    obs_space: spaces.Space
    action_space: spaces.Space
    history: list[dict[str, Any]]  # one row for each iteration of each seed, as in `metrics.jsonl`
    summary: dict[str, Any]
    versions: dict[str, str]
    model: str = "network"  # where the model came from: the settings' network, or a class of the user's own
    environment: Any = dataclasses.field(default=None, repr=False)  # what was trained on, if it is more than a name
    named: bool = True  # whether `env` alone says which environment that is

    def __repr__(self) -> str:
        """What it is, in a line."""
        seeds = "seed" if len(self.seeds) == 1 else f"{len(self.seeds)} seeds, from"
        steps = self.summary.get("steps", 0)
        name = type(self.settings.algorithm).__name__
        return f"<Run of {name} on {self.env}, {seeds} {self.seeds[0]}: {steps:,} steps>"

    def config(self) -> dict[str, Any]:
        """What `config.json` holds."""
        names = ("env", "named", "seeds", "model", "settings", "obs_space", "action_space", "summary", "versions")
        return {name: getattr(self, name) for name in names}

    @property
    def policy(self) -> Agent:
        """The first seed's policy, to call with an observation."""
        return self.agent(0)

    def agent(self, index: int) -> Agent:
        """The policy of the `index`-th seed, to call with an observation. Raises `InputError` where there is none."""
        if not isinstance(index, int) or not 0 <= index < len(self.models):
            last = len(self.models) - 1
            raise InputError(
                f"index is {shown(index)}, but the run has {last + 1} policies: give one from 0 to {last}."
            )
        return Agent(self.models[index], self.obs_space, self.action_space, self.settings.actions)

    def source(self, env: Any = None) -> EnvSource:
        """The environment of the run, or another.

        Raises `InputError` where a module would have to be imported for it that only the run names.
        """
        return resolve(env if env is not None else self.environment or own_env(self.env))

    def evaluate(
        self, episodes: int = 100, *, deterministic: bool = False, env: Any = None, seed: int = 0
    ) -> Evaluation:
        """Fresh episodes of every seed's policy, in its own environment or in `env`.

        Raises `InputError` where the spaces of `env` are not those that the policies know.
        """
        check_whole("episodes", episodes, 1)
        source = self.source(env)
        num_envs = source.envs(min(episodes, 128 if source.compiled else 8))
        rollout = make_rollout(source, num_envs, 128, ACTION_MAPS[self.settings.actions])
        check_spaces(self, source.name, rollout)
        return evaluate_policies(
            list(self.models),
            rollout,
            env=source.name,
            seeds=self.seeds,
            episodes=episodes,
            deterministic=deterministic,
            key=jax.random.fold_in(jax.random.key(seed), 0xE7A1),
        )

    def plot(self, path: str | Path | None = None):
        """The learning curves of all seeds as a matplotlib figure; written to `path` too, where given."""
        from .plot import plot_curves

        return plot_curves(self, path)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes the run folder: configuration, metrics, and a policy a seed."""
        folder = Path(folder)
        make_folder(folder, overwrite=overwrite)
        with locked(folder):
            clear_folder(folder)
            self._write(folder)
        return folder

    def _write(self, folder: Path) -> None:
        write_config(folder, self.config())
        rewrite_rows(folder, self.history)
        for seed, model in zip(self.seeds, self.models, strict=True):
            save_arrays(folder / policy_file(seed), model)


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


def check_spaces(run: Run, name: str, rollout: AbstractRollout) -> None:
    """Raises `InputError` unless a rollout has the spaces of a run."""
    for what, mine, theirs in (
        ("observations", run.obs_space, rollout.obs_space),
        ("actions", run.action_space, rollout.action_space),
    ):
        if not spaces.fits(mine, theirs):
            raise InputError(
                f"The policy was trained on {run.env} with {what} in {mine}, but {name} has {theirs}: "
                "evaluate it where the spaces are the same."
            )


def load(
    folder: str | Path,
    *,
    model: AbstractPolicy | Callable[..., AbstractPolicy] | None = None,
    environment: Any = None,
) -> Run:
    """The run in a folder. Nothing in it is executed: a configuration is data, and policies are arrays.

    A run of a model of the user's own needs `model`: the policy or the function that `train` was given, or one of the
    same structure. A run in an environment that is more than a name needs `environment` to be evaluated. Raises
    `InputError` where the folder holds no run, or a damaged one.
    """
    config = read_config(Path(folder))
    if model is None and config.model != "network":
        raise InputError(f"{folder} holds a model of your own ({config.model}): give one like it as model=.")
    given, key = (config.obs_space, config.action_space), jax.random.key(0)
    if model is None:
        skeleton = eqx.filter_eval_shape(make_actor_critic, *given, config.settings.network, key=key)
    else:
        skeleton = as_actor_critic(model, *given, key)
    models = tuple(load_arrays(Path(folder) / policy_file(seed), skeleton) for seed in config.seeds)
    return dataclasses.replace(config, models=models, history=read_rows(Path(folder)), environment=environment)


def read_config(folder: Path) -> Run:
    """The run in a folder as its `config.json` says, without policies and history.

    Raises `InputError` where the folder holds no run, or a damaged one.
    """
    entries = read_entries(folder)
    return Run(
        entries["env"], entries["settings"], entries["seeds"], (), entries["obs_space"], entries["action_space"], [],
        entries["summary"], entries["versions"], entries["model"], named=entries["named"],
    )  # fmt: skip
