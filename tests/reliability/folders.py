"""Run folders from a stranger: a small run as logpi writes it, and all that can be wrong with one."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import logpi
from logpi import spaces
from logpi.models import make_actor_critic
from logpi.runs.metrics import real_columns
from logpi.runs.run import Run

OBS, ACTION = spaces.Box((4,)), spaces.Discrete(2)
NETWORK = logpi.Network(width=4, depth=1)
COLUMNS = [m.name for m in real_columns(logpi.PPO.measurements)]
ROW = dict.fromkeys(COLUMNS) | {
    "seed": 0,
    "iteration": 1,
    "steps": 8,
    "episodes": 0,
}
SETTINGS = logpi.Settings(steps=16, num_envs=2, rollout_length=4, network=NETWORK)


def run(folder: Path | None = None, env: str = "CartPole-v1") -> Run:
    """A run that learned nothing: all its parameters are 0."""
    shapes = eqx.filter_eval_shape(make_actor_critic, OBS, ACTION, NETWORK, key=jax.random.key(0))
    blank = [np.zeros(x.shape, x.dtype) if isinstance(x, jax.ShapeDtypeStruct) else x for x in jax.tree.leaves(shapes)]
    model = jax.tree.unflatten(jax.tree.structure(shapes), [jnp.asarray(x) if _is_array(x) else x for x in blank])
    return Run(env, SETTINGS, (0,), (model,), OBS, ACTION, [ROW], {"steps": 8}, {"logpi": "0"})


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray)


def config(read: Callable[[Path], Any] = logpi.load, **entries: Any) -> Callable[[Path], Any]:
    """With other entries in `config.json`; `settings__num_envs` is an entry of the settings."""

    def attempt(folder: Path) -> Any:
        data = json.loads((folder / "config.json").read_text())
        for name, value in entries.items():
            *places, last = name.split("__")
            part = data
            for place in places:
                part = part[place]
            part[last] = value
        (folder / "config.json").write_text(json.dumps(data))
        return read(folder)

    return attempt


def file(name: str, content: bytes | Callable[[Path], Any]) -> Callable[[Path], Any]:
    """With another content of a file, or another thing in its place."""

    def attempt(folder: Path) -> Any:
        path = folder / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content(path)
        return logpi.load(folder)

    return attempt


def row(without: str = "", **entries: Any) -> Callable[[Path], Any]:
    """With one row of metrics, which is a good one but for these entries, or for one that is not there."""
    changed = {name: value for name, value in (ROW | entries).items() if name != without}
    return file("metrics.jsonl", json.dumps(changed).encode() + b"\n")


def link(path: Path) -> None:
    """The file outside of the folder, and a link to it."""
    outside = path.parent.parent / f"outside-{path.name}"
    path.rename(outside)
    path.symlink_to(outside)


def links_checkpoints(folder: Path) -> Any:
    (folder / "checkpoints").symlink_to(folder.parent)
    return logpi.resume(folder)


def pipe(path: Path) -> None:
    """A pipe that nobody writes to: reading it would wait for ever."""
    path.unlink()
    os.mkfifo(path)


def huge(path: Path) -> None:
    """Ten gigabytes, of which none is on the disk."""
    os.truncate(path, 10 * 10**9)


def huger(path: Path) -> None:
    """A hundred."""
    os.truncate(path, 100 * 10**9)


def header(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    """A policy whose header says something else."""

    def changed(path: Path) -> None:
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        said = json.loads(data[8 : 8 + size])
        change(said[next(name for name in said if name != "__metadata__")])
        text = json.dumps(said).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])

    return file(POLICY, changed)


POLICY = "policy-seed0.safetensors"
JSON = "config.json is not readable JSON"
DAMAGED = "the run folder is damaged"
NO_ROW = "which is no row of metrics: the run folder is damaged"
BOX = {"kind": "Box", "shape": [10**6, 10**6]}
HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a configuration that is a link": (file("config.json", link), "config.json is a symbolic link.*put the file"),
    "a configuration that is a pipe": (file("config.json", pipe), f"it is no plain file: {DAMAGED}"),
    "a configuration of 10 GB": (file("config.json", huge), "10,000,000,000 bytes, but at most 16,777,216 are read"),
    "a configuration of brackets": (file("config.json", b"[" * 10**6), f"{JSON} .brackets are more than 96 deep"),
    "a deep configuration": (file("config.json", b'{"a":' * 99 + b"1" + b"}" * 99), "brackets are more than 96 deep"),
    "bytes that are no text": (file("config.json", b"\xff\xfe{}"), f"{JSON} .*can't decode.*{DAMAGED}"),
    "NaN": (file("config.json", b'{"schema": NaN}'), f"{JSON} .'NaN' is no finite number"),
    "infinity": (file("config.json", b'{"schema": 1e999}'), f"{JSON} .'1e999' is no finite number"),
    "a name twice": (file("config.json", b'{"schema": 1, "schema": 1}'), f"{JSON} .a name is there twice"),
    "a number of many digits": (file("config.json", b"9" * 5000), f"{JSON} .a whole number has more than 18 digits"),
    "a list": (file("config.json", b"[1]"), "holds no run of this logpi .schema None, needed 4.: train again"),
    "another schema": (config(schema=99), "schema 99, needed 4.: train again"),
    "a module to be run": (config(settings={"kind": "os.system"}), "names 'os.system', which is none of A2C,"),
    "numbers as text": (config(settings__num_envs="4"), "has '4' for num_envs"),
    "a truth as a number": (config(settings__num_envs=True), "has True for num_envs"),
    "a negative number": (config(settings__steps=-5), "steps is -5, but it must be 1 or more"),
    "a fraction": (config(settings__rollout_length=2.5), "has 2.5 for rollout_length"),
    "a wide network": (config(settings__network__width=10**7), "width is 10000000, but it must be between 1 and 65536"),
    "a deep network": (config(settings__network__depth=10**5), "depth is 100000, but it must be between 0 and 128"),
    "a number for a part": (config(settings__algorithm__credit=3), "has 3 for credit"),
    "a space of a million times a million": (config(obs_space=BOX), "1000000000000, but it must be between 0 and"),
    "a billion actions": (config(action_space={"kind": "Discrete", "n": 10**12}), "n of a Discrete space is 10000000"),
    "bounds for other numbers": (config(obs_space={"kind": "Box", "shape": [3], "low": [0, 0]}), "is no space of an"),
    "a part that is no space": (config(obs_space={"kind": "Tuple", "parts": [7]}), "is no space of an environment's"),
    "a hundred thousand seeds": (config(seeds=list(range(10**5))), "has no good seeds .*at most 10,000"),
    "a seed that leads away": (config(seeds=["../../x"]), r"has no good seeds .*'../../x'.*different whole numbers"),
    "a seed twice": (config(seeds=[0, 0]), "has no good seeds .*they must be different whole numbers"),
    "a seed of truth": (config(seeds=[True]), "has no good seeds"),
    "a name that a terminal obeys": (config(env="\x1b[2JCartPole-v1"), "for env, which is no plain text"),
    "a summary of a list": (config(summary=[1]), "for summary: the run folder is damaged"),
    "a module to be imported": (
        config(lambda folder: logpi.load(folder).evaluate(1), env="antigravity:Fly-v0"),
        "the module 'antigravity' would be imported: if you trust it, name the environment yourself",
    ),
    "an object of one's own, to resume": (
        config(logpi.resume, settings__algorithm__optimiser={"custom": "__import__('os').system('true')"}),
        r"an object of your own \(settings.algorithm.optimiser\), of which only a text is kept: give the settings",
    ),
    "millions of environments, to resume": (
        config(logpi.resume, env="probe:identity", settings__num_envs=2**25), "33,554,432 .*this machine has .*: give",
    ),
    "checkpoints that are a link": (links_checkpoints, "checkpoints is a symbolic link, which may lead out of"),
    "metrics that are a link": (file("metrics.jsonl", link), "metrics.jsonl is a symbolic link"),
    "metrics that are a pipe": (file("metrics.jsonl", pipe), "no plain file"),
    "metrics of 10 GB": (file("metrics.jsonl", huge), "line 2 has more than 16,384 bytes"),
    "metrics of 100 GB": (file("metrics.jsonl", huger), "100,000,000,000 bytes, but at most 17,179,869,184 are read"),
    "a line without end": (file("metrics.jsonl", b"1" * 10**6), "line 1 has more than 16,384 bytes"),
    "a row of text": (file("metrics.jsonl", b'"x"\n'), "'x', which is no row of metrics"),
    "a row with a list": (row(x=[[]]), NO_ROW),
    "steps of text": (row(steps="8"), NO_ROW),
    "steps below nothing": (row(steps=-8), NO_ROW),
    "episodes below nothing": (row(episodes=-1), NO_ROW),
    "a row without a return": (row(without="return_mean"), NO_ROW),
    "a return of text": (row(return_mean="9"), NO_ROW),
    "a return of truth": (row(return_mean=True), NO_ROW),
    "a number for a truth": (row(dropped=1), NO_ROW),
    "a policy that is a link": (file(POLICY, link), "safetensors is a symbolic link"),
    "a policy that is a pipe": (file(POLICY, pipe), "no plain file"),
    "a policy of 10 GB": (file(POLICY, huge), "10,000,000,000 bytes, but at most"),
    "a policy of nothing": (file(POLICY, b""), f"not a readable safetensors file .*{DAMAGED}"),
    "a header of 10^18 bytes": (file(POLICY, struct.pack("<Q", 10**18)), "its header claims 1,000,000,000,000,000,000"),
    "a header of 10^12 numbers": (header(lambda e: e.update(shape=[10**6, 10**6])), f"safetensors file.*{DAMAGED}"),
    "a header of another type": (header(lambda e: e.update(dtype="I32")), "is of the type I32, but the model needs"),
    "a header of an unknown type": (header(lambda e: e.update(dtype="X9")), f"safetensors file.*{DAMAGED}"),
    "numbers that overlap": (header(lambda e: e.update(data_offsets=[0, 8])), f"safetensors file.*{DAMAGED}"),
    "numbers beyond the end": (header(lambda e: e.update(data_offsets=[0, 10**9])), f"safetensors file.*{DAMAGED}"),
    "numbers before the start": (header(lambda e: e.update(data_offsets=[-4, 0])), f"safetensors file.*{DAMAGED}"),
}  # fmt: skip
