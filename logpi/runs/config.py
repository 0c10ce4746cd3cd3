"""What a `config.json` must hold, entry by entry, before anything is made of it."""

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from .. import spaces
from ..algorithms import PPO
from ..envs.named import Named, suite_of, SUITES
from ..errors import InputError, said, shown
from ..measurements import Measurement
from ..models import Network
from .files import JSON_LIMIT, parse_json, read_json
from .options import EvaluationPlan, FaultTolerance
from .schema import differences, from_json, own_parts, to_json
from .settings import MOST_TEXT, Settings

SCHEMA = 4
READ = (2, 3, 4)  # the schemas that are still read
MOST_SEEDS = 10_000
_DAMAGED = ": the run folder is damaged"
_KINDS = {
    "env": str, "model": str, "versions": dict, "seeds": tuple, "settings": Settings,
    "obs_space": spaces.Space, "action_space": spaces.Space, "measurements": tuple,
    "run_id": str, "fault_tolerance": FaultTolerance, "processes": int,  # which a truth is too
    "evaluation_plan": EvaluationPlan | None, "warm_started": tuple,
}  # fmt: skip
# Of schema 2, whose algorithms all measured the same.
_ADDED = {"measurements": PPO.measurements}
# What folders of an older logpi do not say.
_LATER = {
    "run_id": "",
    "fault_tolerance": FaultTolerance(),
    "processes": False,
    "evaluation_plan": None,
    "warm_started": (),
}


def read_entries(folder: Path) -> dict[str, Any]:
    """What the configuration of a run folder holds, each entry of the kind that it must be.

    Raises `InputError` where the folder holds no run, a damaged one, or one that leads out of the folder.
    """
    path = folder / "config.json"
    config = read_json(path)
    schema = config.get("schema") if isinstance(config, dict) else None
    if not isinstance(config, dict) or type(schema) is not int or schema not in READ:
        raise InputError(f"{folder} holds no run of this logpi (schema {shown(schema)}, needed {SCHEMA}): train again.")
    if (folder / "checkpoints").is_symlink():
        raise InputError(
            f"{folder / 'checkpoints'} is a symbolic link, which may lead out of the run folder: put the folder there."
        )
    return _entries(path, config, schema)


def _entries(path: Path, config: dict[str, Any], schema: int) -> dict[str, Any]:
    """Each entry of the kind that it must be. Raises `InputError`."""
    found = {}
    for name, kind in _KINDS.items():
        try:
            added = (schema == 2 and name in _ADDED) or (name not in config and name in _LATER)
            found[name] = (_ADDED | _LATER)[name] if added else from_json(config.get(name))
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{path} has no good {name} ({_cause(error)}){_DAMAGED}.") from None
        if not isinstance(found[name], kind):
            raise InputError(f"{path} has {shown(found[name])} for {name}{_DAMAGED}.")
    _check(path, found)
    if schema < 4:
        found["settings"] = _as_used(found["settings"], found["obs_space"])
    summary = config.get("summary") or {}
    if not isinstance(summary, dict):
        raise InputError(f"{path} has {shown(summary)} for summary{_DAMAGED}.")
    return {**found, "summary": summary, "named": _named(path, config.get("named", True), found["env"])}


def _as_used(settings: Settings, obs_space: spaces.Space) -> Settings:
    """Settings of a logpi that left some fields of a network unused, and wrote what is usual as numbers."""
    network = settings.network
    unused = {"none": ("width", "depth", "activation") if spaces.is_image(obs_space) else ()}
    usual = {"width": 64, "depth": 2, "activation": "tanh"}
    names = unused.get(network.memory, ("depth", "activation"))
    now = {name: None for name, value in usual.items() if name in names or getattr(network, name) == value}
    return dataclasses.replace(settings, network=dataclasses.replace(network, **now))


def _named(path: Path, given: Any, env: str) -> Named | None:
    """What makes the environment of a run again. An older logpi only says whether its name does, or not even that."""
    if given is None or type(given) is bool:
        return Named(env) if given else None
    suite, options = (given.get(entry) for entry in ("suite", "options")) if isinstance(given, dict) else (None, None)
    if suite not in ("", *SUITES) or not isinstance(options, dict):
        raise InputError(f"{path} has {shown(given)} for named{_DAMAGED}.")
    options = {name: _with_lists(from_json(value)) for name, value in options.items()}
    return Named(f"{suite}:{env}" if suite and not suite_of(env) else env, options)


def _with_lists(value: Any) -> Any:
    """An option of an environment as it was: those that a file holds have no tuples."""
    if isinstance(value, dict):
        return {name: _with_lists(item) for name, item in value.items()}
    return [_with_lists(item) for item in value] if isinstance(value, tuple) else value


def _cause(error: Exception) -> str:
    """What an error says, without what is said once at the end."""
    return said(error).removesuffix(_DAMAGED)


def check_readable(config: dict[str, Any]) -> bytes:
    """A configuration as its file will have it. Raises `InputError` unless it can be read again, and is the same then.

    To be called before the first step: what cannot be read again is not worth training.
    """
    data = (json.dumps(to_json({"schema": SCHEMA, **config}), indent=2) + "\n").encode()
    path = Path("config.json")
    try:
        if len(data) > JSON_LIMIT:
            raise InputError(f"{path} has {len(data):,} bytes, but at most {JSON_LIMIT:,} are read")
        read = parse_json(data)
        if _holds_text_alone(read["settings"]):  # of an object of the user's own, which is given again to go on
            read["settings"] = to_json(Settings(source=config["settings"].source))
        again = _entries(path, read, SCHEMA)
        for name in ("env", "model", "obs_space", "action_space", "seeds"):
            if again[name] != config[name]:
                raise InputError(f"{path} has {shown(again[name])} for {name}, which is {shown(config[name])}")
    except (ValueError, RecursionError) as error:
        raise InputError(f"The run could not be read again from its folder ({_cause(error)}): give another.") from None
    return data


def _check(path: Path, found: dict[str, Any]) -> None:
    """Raises `InputError` for texts that a terminal would obey, and for what can be no seeds."""
    for name in ("env", "model", "run_id"):
        text = found[name]
        if not text.isprintable() or len(text) > MOST_TEXT:
            raise InputError(f"{path} has {shown(text)} for {name}, which is no plain text: the run folder is damaged.")
    if not all(isinstance(measurement, Measurement) for measurement in found["measurements"]):
        raise InputError(f"{path} has {shown(found['measurements'])} for measurements: the run folder is damaged.")
    if not all(map(_is_warm_started, found["warm_started"])):
        raise InputError(f"{path} has {shown(found['warm_started'])} for warm_started{_DAMAGED}.")
    if found["processes"] < 0:
        raise InputError(f"{path} has {found['processes']} for processes{_DAMAGED}.")
    if not isinstance(found["settings"].network, Network):
        raise InputError(f"{path} has no good network: the run folder is damaged.")
    if not all(isinstance(version, str) for version in found["versions"].values()):
        raise InputError(f"{path} has {shown(found['versions'])} for versions: the run folder is damaged.")
    seeds = found["seeds"]
    good = all(isinstance(s, int) and not isinstance(s, bool) and 0 <= s < 2**31 for s in seeds)
    if not good or not 1 <= len(seeds) <= MOST_SEEDS or len(set(seeds)) < len(seeds):
        raise InputError(
            f"{path} has no good seeds ({shown(seeds)}); they must be different whole numbers from 0 to 2^31 - 1, at "
            f"most {MOST_SEEDS:,}: the run folder is damaged."
        )


def _is_warm_started(row: Any) -> bool:
    """Whether it is what a warm start of a seed showed: whole numbers, and log-probabilities or `None`."""
    wholes, others = ("seed", "rows", "epochs", "held_out"), ("before", "after", "error")
    return (
        isinstance(row, dict)
        and row.keys() == {*wholes, *others}
        and all(type(row[name]) is int for name in wholes)
        and len({row[name] is None for name in others}) == 1
        and all(row[name] is None or type(row[name]) in (int, float) for name in others)
    )


def _holds_text_alone(data: Any) -> bool:
    """Whether an object of the user's own is in JSON."""
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return (isinstance(data, dict) and "custom" in data) or any(map(_holds_text_alone, parts))


def own_env(name: str, cure: str = "") -> str:
    """The environment that a run folder names, if no module must be imported for it that nobody has asked for.

    Gymnasium imports `module` for `module:Env-v0`. A module that is there already has been asked for. Raises
    `InputError` for any other; `cure` says how to name it, where it is not the environment that was trained in.
    """
    parts = name.split(":")
    inside = parts[1:] if len(parts) > 1 and parts[0] in SUITES else parts
    if len(inside) > 1 and inside[0] not in sys.modules:
        plain = ":".join(inside)
        cure = cure or f"environment={plain!r} in Python, --env {shlex.quote(plain)} on the command line"
        raise InputError(
            f"The run names the environment {shown(name)}, for which the module {shown(inside[0])} would be imported: "
            f"if you trust it, name the environment yourself ({cure})."
        )
    return name


def given_settings(folder: Path, kept: Settings, given: Settings | None) -> Settings:
    """The settings to go on with: those that are kept, or those given in their place, with objects of the user's own.

    Raises `InputError` for an object of the user's own, of which the folder has only its text, where none are given;
    and for given ones that are others than those the run was trained with.
    """
    if given is None:
        if own := own_parts(kept):
            raise InputError(
                f"{folder} was trained with an object of your own ({own[0]}), of which only a text is kept: give the "
                "settings that it was trained with, in Python, as settings=."
            )
        return kept
    if not isinstance(given, Settings):
        raise InputError(f"settings is {shown(given)}, but it must be a logpi.Settings: give Settings(...).")
    for path, mine, theirs in differences(to_json(kept), to_json(given)):
        unsaid = path == "settings.warm_start.sha256" and theirs == "''"  # of data that were not read again
        if path != "settings.source" and not unsaid:
            raise InputError(
                f"{path} is {theirs}, but the run in {folder} was trained with {mine}: give the settings that it was "
                "trained with."
            )
    return given
