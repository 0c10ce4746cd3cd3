"""The run folder: made, locked, cleared, and its configuration."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jax

from .._version import __version__
from ..errors import InputError
from .config import SCHEMA
from .files import write_atomically
from .metrics import rewrite_rows
from .schema import write_json

LEFT = ("evaluation.json", "fault.json", "times.jsonl")  # that a run before may have left


def policy_file(seed: int | str) -> str:
    """The name of a seed's policy in a run folder."""
    return f"policy-seed{seed}.safetensors"


def make_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Makes a folder for a run. Raises `InputError` where it holds one already, or cannot be made or written."""
    if (folder / "config.json").exists() and not overwrite:
        raise InputError(
            f"{folder} already holds a run: give another folder, or overwrite it (--overwrite, or overwrite=True)."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / ".writable", b"")
        (folder / ".writable").unlink()
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be written ({error.strerror}): give another.") from None


def clear_folder(folder: Path) -> None:
    """Without what a run left that was here before."""
    for left in (*(folder / name for name in LEFT), *folder.glob(policy_file("*"))):
        left.unlink(missing_ok=True)
    if (folder / "checkpoints").is_dir() and not (folder / "checkpoints").is_symlink():
        shutil.rmtree(folder / "checkpoints")
    rewrite_rows(folder, [])


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None]:
    """Holds a run folder for this process, until it ends however it ends. Raises `InputError` if another has it."""
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: give the folder of a run, as `logpi train --out` makes.")
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise InputError(f"Another process is training in {folder}: wait for it, or give another folder.") from None
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(handle)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """All that is needed to repeat a run, and what it came to."""
    write_json(folder / "config.json", {"schema": SCHEMA, **config})


def versions() -> dict[str, str]:
    """What a run rests on: versions of the packages, and the hardware."""
    import platform
    from importlib.metadata import version

    packages = ("jax", "jaxlib", "equinox", "optax", "gymnasium", "numpy")
    device = jax.devices()[0]
    return {
        "logpi": __version__,
        **{name: version(name) for name in packages},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": f"{device.platform} {device.device_kind}",
    }
