"""Where demonstrations come from: arrays, an `.npz` file, a data set of Minari's."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..errors import InputError, missing, said, shown
from .rows import Demonstrations

MINARI = "minari:"  # before the name of a data set of Minari's
NAMES = ("observations", "actions")


def of_arrays(data: Any) -> Demonstrations:
    """Rows from a dictionary, or from a pair."""
    pair = [data.get(name) for name in NAMES] if isinstance(data, dict) else data
    if not isinstance(pair, tuple | list) or len(pair) != 2 or any(part is None for part in pair):
        raise InputError(
            f"warm_start is {shown(data)}, but it must be an .npz file, {MINARI}NAME, or arrays: give "
            "(observations, actions), or a dictionary with these two."
        )
    return Demonstrations(*(_arrays(part, name) for part, name in zip(pair, NAMES, strict=True)))


def _arrays(given: Any, name: str) -> Any:
    """Arrays of numbers in dictionaries and tuples. Raises `InputError` for anything else."""
    if isinstance(given, dict):
        return {part: _arrays(value, f"{name}/{part}") for part, value in given.items()}
    if isinstance(given, tuple):
        return tuple(_arrays(value, f"{name}/{i}") for i, value in enumerate(given))
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):  # lists of several lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"warm_start has {name} that are no array of numbers ({shown(given)}): give numbers, a row for each action."
        )
    return array


def of_file(path: Path) -> Demonstrations:
    """Of an `.npz` file. Nothing in it is executed: pickled objects are refused."""
    if not path.is_file():
        raise InputError(f"warm_start is {path}, which is no file: give an .npz file, or {MINARI}NAME.")
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            names = list(getattr(file, "files", []))  # of NumPy's; an .npy file is an array and has none
            found = {name: file[name] for name in names if name.partition("/")[0] in NAMES}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"warm_start is {path}, which is not readable as an .npz file of numbers ({said(error, 120)}): write it by "
            "numpy.savez(path, observations=..., actions=...)."
        ) from None
    if {name.partition("/")[0] for name in found} != set(NAMES):
        raise InputError(
            f"warm_start is {path}, which has {shown(', '.join(sorted(names)), 200) if names else 'no names'}, but it "
            "must have observations and actions: write it by numpy.savez(path, observations=..., actions=...)."
        )
    return of_arrays(_nested(found))


def _nested(found: dict[str, Any]) -> Any:
    """Arrays by names such as `observations/camera`, in dictionaries; in tuples where all names are numbers."""
    if "" in found:  # no further name
        return found[""]
    heads = dict.fromkeys(name.partition("/")[0] for name in found)
    inside = {
        head: _nested({name.partition("/")[2]: x for name, x in found.items() if name.partition("/")[0] == head})
        for head in heads
    }
    numbered = all(head.isdecimal() for head in heads)
    return tuple(inside[head] for head in sorted(heads, key=int)) if numbered else inside


def of_minari(name: str) -> Demonstrations:
    """Of a data set of Minari's that this machine has; nothing is downloaded."""
    try:
        import minari  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise missing(f"warm_start={name!r}", "Minari", "minari") from None
    try:
        data = minari.load_dataset(name.removeprefix(MINARI))
        pairs = [(episode.observations, episode.actions) for episode in data.iterate_episodes()]
    except Exception as error:  # of its readers and theirs
        raise InputError(
            f"warm_start is {name}, which Minari cannot read ({said(error, 200)}): `minari list local` shows what is "
            "there, and `minari download` fetches more."
        ) from None
    if not pairs:
        raise InputError(f"warm_start is {name}, which has no episodes: give another.")
    parts = [Demonstrations(_arrays(obs, NAMES[0]), _arrays(action, NAMES[1])) for obs, action in pairs]
    return jax.tree.map(lambda *each: np.concatenate(each), *map(_without_last, parts))


def _without_last(episode: Demonstrations) -> Demonstrations:
    """An episode without the observation after its last action."""
    return Demonstrations(jax.tree.map(lambda x: x[: episode.num_rows], episode.obs), episode.action)
