"""`logpi train`: prints what it will do, trains, draws the curve, evaluates, and names the folder."""

import contextlib
import dataclasses
import datetime
import json
import re
import shlex
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Literal

from ..errors import check_between, check_whole, InputError
from ..progress.events import fan_out, Listener
from ..runs.files import as_json
from ..training.signals import signal_of
from .arguments import first_word, Flag, parse, value_of
from .objects import environment_of, environment_options
from .terminal import own_name, says, transient

COMMAND = "logpi train"
DESCRIPTION = "Trains a policy by the policy gradient. The defaults are the preset for ENV and the algorithm."
_ENV = "environment: CartPole-v1, gymnasium:..., envpool:..., gymnax:..., phys2d:..., probe:..."
_WHAT = [
    Flag("env", str, _ENV, metavar="ENV", positional=True),
    Flag(
        "algorithm",
        str,
        "ppo, a2c, reinforce, trpo, npg, impala, sac, td3, ddpg, pgpe, es or ars",
        "ppo",
        metavar="NAME",
    ),
    Flag("credit", str | None, "gae, n-step, monte-carlo or v-trace; by default the preset's", None, metavar="NAME"),
]
_EVERY = "how often all is stored, to resume from: 30s, 5m, or updates, as 500"
_NAN = "where NaN comes up: stop, with status 3, or skip that update"
_BROKEN = "where an environment breaks down: stop, or restart it"
_TIMEOUT = "seconds that environments on the host may take for a step"
FAULT_TOLERANCE = [
    Flag("checkpoint_every", str | None, _EVERY, "30s"),
    Flag("on_nan", Literal["stop", "skip"], _NAN, "stop"),
    Flag("on_env_error", Literal["stop", "restart"], _BROKEN, "stop"),
    Flag("step_timeout", float, _TIMEOUT, 120.0),
]
KEPT_FAULT_TOLERANCE = [  # of a resume: by default as the training had it
    Flag("checkpoint_every", str | None, _EVERY, "kept"),
    Flag("on_nan", Literal["kept", "stop", "skip"], _NAN, "kept"),
    Flag("on_env_error", Literal["kept", "stop", "restart"], _BROKEN, "kept"),
    Flag("step_timeout", float | None, _TIMEOUT, None),
]
_EVALUATE = "updates after which the policy is evaluated on the way, by 20 episodes; the best one is kept"
_STOP = "return at which to stop: once evaluations on the way are 95 % sure that the mean has reached it"
EVALUATIONS = [
    Flag("evaluate_every", int | None, _EVALUATE, None, metavar="N"),
    Flag("stop_at", float | None, _STOP, None, metavar="RETURN"),
]
KEPT_EVALUATIONS = [dataclasses.replace(flag, default="kept") for flag in EVALUATIONS]  # of a resume
_FILM = "updates after which the first seed's policy is filmed, in videos/ of the folder and wherever curves go"
SHARED_FLAGS = [  # of `logpi train` and `logpi resume`
    Flag("log", Literal["none", "tensorboard", "wandb"], "where live curves go too", "none"),
    Flag("film_every", int | None, _FILM, None, metavar="N"),
    Flag("evaluate_episodes", int, "fresh episodes of each seed's policy at the end; 0 for none", 100),
    Flag("verbose", bool, "all that is measured on the live line, not the return alone", False),
    Flag("json", bool, "one JSON object as the last line of stdout", False),
]
_HOW = [
    Flag("from_run", str | None, "repeat this run; other flags change it", None, ("--from",), "RUN"),
    Flag("env_option", tuple[str, ...], "an option of the environment; may be repeated", (), metavar="NAME=VALUE"),
    Flag("processes", int | None, "how many processes share environments of Gymnasium's", None, metavar="N"),
    Flag("seed", int, "seed of the first run", 0, metavar="S"),
    Flag("seeds", int | None, "how many seeds, from --seed on; they run side by side", None, metavar="K"),
    Flag("out", str | None, "folder for the run; by default runs/ENV-ALGORITHM-TIME", None, metavar="DIR"),
    Flag("overwrite", bool, "write over the run that the folder holds", False),
    *EVALUATIONS,
    *FAULT_TOLERANCE,
    *SHARED_FLAGS,
]
FLAGS = [*_WHAT, *_HOW]  # and one for every setting of the algorithm, from settings.settings_flags


def train_command(arguments: Sequence[str]) -> int:
    """Trains, and returns the exit status: 130 (143) if it was interrupted by Ctrl-C (SIGTERM), with all saved."""
    values, settings, again = _understood(arguments)
    with _folder(values, settings) as folder:
        try:
            run = _trained(values, settings, folder, again)
        except KeyboardInterrupt as stop:
            run = learned(stop)
        except InputError as error:
            from .fields import in_flags

            raise type(error)(in_flags(str(error), values)) from None  # a fault has a status of its own
    return shown(run, folder, values["evaluate_episodes"], values["json"], run.summary["signal"])


def learned(stop: KeyboardInterrupt) -> Any:
    """The run of a training that was interrupted; raises the interruption again where there is none yet."""
    run = getattr(stop, "run", None)
    if run is None:
        raise stop
    return run


def shown(run: Any, folder: Path, episodes: int, json_too: bool, signal: int | None) -> int:
    """The end of a training: its curve, an evaluation, where it is, and the exit status.

    `signal` is what interrupted it, in the training or as it ended.
    """
    from ..runs.run import is_complete

    _draw_curve(run.history)
    evaluation = None
    if episodes and not signal:
        try:
            evaluation = _evaluated(run, folder, episodes)
        except KeyboardInterrupt as stop:
            signal = signal_of(stop)
    following = "report" if not signal else "evaluate" if is_complete(run) else "resume"
    says(f"saved in {folder}; next: {own_name()} {following} {shlex.quote(str(folder))}")
    if json_too:
        print(json.dumps(as_json(summary_of(run, evaluation, folder))))
    return 128 + signal if signal else 0


def _trained(values: dict[str, Any], settings: Any, folder: Path, again: Any) -> Any:
    with transient(f"opening {values['env']} ..."):
        from ..envs import resolve
        from ..runs.config import own_env
        from ..runs.run import own_source
        from ..training.cache import compilation_cache
        from ..training.precompilation import precompiled_evaluation
        from ..training.train import train

        compilation_cache()
        options, processes = environment_options(values["env_option"]), values["processes"]
        if again is None:
            apart = {} if processes is None else {"processes": processes}
            source = resolve(environment_of(values["env"]), **apart, **options)
        elif options or processes is not None:
            raise InputError("--env-option and --processes go with an environment: name it beside --from.")
        else:
            given = environment_of(values["env_again"])
            if given is None and again.named is not None:
                own_env(again.named.name, f"beside --from: {COMMAND} {shlex.quote(again.env)} --from ...")
            source = own_source(again, given)
        with precompiled_evaluation(source, settings, values["evaluate_episodes"]) as precompile:
            return train(
                source,
                settings=settings,
                seed=values["seed"],
                seeds=values["seeds"],
                out=folder,
                overwrite=values["overwrite"],
                **options_of(values),
                progress="all" if values["verbose"] else True,
                callbacks=fan_out(precompile, *listeners(values)),
            )


def _understood(arguments: Sequence[str]) -> tuple[dict[str, Any], Any, Any]:
    """What was asked for: the value of every flag, the settings that they make, and whose environment it is to be.

    That is the run that is repeated, or `None` where an environment is named.
    """
    with transient("starting JAX ..."):
        from ..runs.presets import GENERAL
        from ..training.train import plan_again
        from .fields import changed, settings_again, settings_flags, settings_for

    every_switch = [flag for general in GENERAL.values() for flag in settings_flags(general, texts=False)]
    env = first_word([*FLAGS, *every_switch], arguments)
    named = value_of("--algorithm", arguments), value_of("--credit", arguments)
    again = _again(arguments)
    if again is None:
        settings = settings_for(env or "", *named)
    else:
        settings = settings_again(again.settings, *named)
        arguments = arguments if env else [again.env, *arguments]
    flags = settings_flags(settings, texts=not {"-h", "--help"}.isdisjoint(arguments))
    own = again is not None and env == again.env  # the run's own, named again: with its options
    repeats = again is not None and (not env or (own and not set(arguments) & {"--env-option", "--processes"}))
    how = [{f.name: f for f in KEPT_EVALUATIONS}.get(flag.name, flag) if repeats else flag for flag in _HOW]
    values = parse([*_WHAT, *flags, *how], arguments, COMMAND, DESCRIPTION)
    check_between("--seeds", values["seeds"], 1, 10_000, optional=True)
    check_between("--evaluate-episodes", values["evaluate_episodes"], 0)
    if again is not None and value_of("--seed", arguments) is None and values["seeds"] is None:
        values["seeds"] = again.seeds
    said = [flag for flag in flags if values[flag.name] != flag.default]
    settings = changed(settings, {flag.name: values[flag.name] for flag in said})
    if said:
        words = " ".join(flag.written(values[flag.name]) for flag in said)
        settings = dataclasses.replace(settings, source=f"{settings.source}; changed: {words}")
    if again is None or not repeats:
        return values, settings, None
    values["env_again"] = env  # leave to import the module that it names
    plan = plan_again(again, values["evaluate_every"], values["stop_at"], settings.num_updates)
    return values | {"evaluate_every": plan, "stop_at": None}, settings, again


def _again(arguments: Sequence[str]) -> Any:
    """The run that is to be repeated, as its `config.json` says; `None` without --from."""
    folder = value_of("--from", arguments)
    if folder is None or not {"-h", "--help"}.isdisjoint(arguments):
        return None
    from ..runs.config import given_settings
    from ..runs.run import read_config

    run = read_config(Path(folder))
    given_settings(Path(folder), run.settings, None)
    if run.model != "network":
        raise InputError(f"{folder} holds a model of your own ({run.model}): repeat it from Python, with model=.")
    return run


@contextlib.contextmanager
def _folder(values: dict[str, Any], settings: Any) -> Generator[Path]:
    """The folder that was named; or a new one, named for what is done and when, which goes again if it stays empty."""
    if values["out"]:
        yield Path(values["out"])
        return
    from ..runs.folder import new_folder, removed_if_empty

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", values["env"]).strip("-.") or "run"
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = new_folder(Path("runs") / f"{name}-{type(settings.algorithm).__name__.lower()}-{now}")
    try:
        yield folder
    except BaseException:
        removed_if_empty(folder)
        raise


def options_of(values: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `train` and `resume` for evaluations on the way, and against loss and trouble."""
    return {flag.name: values[flag.name] for flag in (*EVALUATIONS, *FAULT_TOLERANCE)}


def listeners(values: dict[str, Any]) -> list[Listener]:
    """Those that `--log` and `--film-every` ask for. Raises `InputError` where an extra is missing."""
    from ..progress.film import FilmEvery
    from ..progress.loggers import TensorBoard, WandB

    log, every = values["log"], check_whole("--film-every", values["film_every"], 1, optional=True)
    asked: list[Listener] = [] if log == "none" else [TensorBoard() if log == "tensorboard" else WandB()]
    return asked if every is None else [*asked, FilmEvery(every)]


def _draw_curve(history: Sequence[dict[str, Any]]) -> None:
    from ..progress.terminal_curve import learning_curve

    ascii = "utf" not in (sys.stderr.encoding or "").lower()
    if curve := learning_curve(history, ascii=ascii):
        says("\n" + curve + "\n")


def _evaluated(run: Any, folder: Path, episodes: int):
    """The evaluation, in words on stderr and in the folder."""
    with transient(f"evaluating {episodes} episodes ..."):
        evaluation = run.evaluate(episodes)
    says(str(evaluation))
    kept(evaluation, folder)
    return evaluation


def kept(evaluation: Any, folder: Path) -> bool:
    """Whether an evaluation could be written into a run folder; where not, that is said."""
    from ..runs.folder import locked, remove_unfinished
    from ..runs.schema import write_json

    try:
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(InputError):  # who trains there has done it already
                stack.enter_context(locked(folder))
                remove_unfinished(folder)
            write_json(folder / "evaluation.json", evaluation.as_dict())
        return True
    except OSError as error:
        says(f"warning: {folder / 'evaluation.json'} cannot be written ({error.strerror}): the numbers are not kept.")
        return False


def summary_of(run: Any, evaluation: Any, folder: Path) -> dict[str, Any]:
    """What `--json` prints; the error is the standard error of the mean, over seeds if there are several."""
    names = ("env", "algorithm", "seeds", "steps", "compile_seconds", "train_seconds", "steps_per_second")
    mean = error = None
    if evaluation is not None:
        values = evaluation.returns[0] if len(run.seeds) == 1 else evaluation.returns.mean(1)
        mean = float(values.mean())
        error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
    facts = {name: run.summary.get(name) for name in names}
    return {**facts, "return_mean": mean, "return_error": error, "out": str(folder)}
