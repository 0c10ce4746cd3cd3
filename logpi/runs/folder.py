"""The run folder: claimed, held by one process, cleared, and its configuration."""

import contextlib
import errno
import fcntl
import itertools
import os
import re
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jax

from .._version import __version__
from ..errors import InputError
from .config import check_readable
from .files import check_writable, removed, write_atomically
from .metrics import rewrite_rows

LEFT = ("evaluation.json", "fault.json", "times.jsonl", "evaluations.jsonl")  # that a run before may have left
PATIENCE = 0.2  # seconds that a lock is waited for: somebody may only look whether it is held
# The files of a run of which nothing has come yet.
_NOTHING = {"config.json", "metrics.jsonl", "times.jsonl", "evaluations.jsonl"}
# What a process that was killed leaves of a file that it was writing.
_UNFINISHED = re.compile(r"\.(config\.json|(metrics|times|evaluations)\.jsonl|(evaluation|fault)\.json|policy-.*)\.\w+")


def policy_file(seed: int | str, *, best: bool = False) -> str:
    """The name of a seed's policy in a run folder: the last one, or the best that evaluations on the way found."""
    return f"policy-seed{seed}{'-best' if best else ''}.safetensors"


def film_file(steps: int) -> str:
    """The name in a run folder of the film of a policy that has learned from so many agent steps."""
    return f"videos/{steps}.mp4"


def films(folder: Path) -> list[tuple[int, Path]]:
    """The films in a run folder, each after its agent steps, in their order."""
    found = (folder / "videos").glob("*.mp4")
    return sorted((int(path.stem), path) for path in found if path.stem.isdecimal())


def films_up_to(folder: Path, steps: int) -> None:
    """Leaves the films of so many agent steps at most: the others are of what is done again, or cut short."""
    for path in [path for after, path in films(folder) if after > steps] + [*(folder / "videos").glob(".*.mp4")]:
        removed(path)
    with contextlib.suppress(OSError):  # there is none, or it is not empty
        (folder / "videos").rmdir()


class HeldFolder:
    """A run folder that no other process trains in. What is held is the folder itself, whatever its name leads to."""

    def __init__(self, path: Path, handle: int):
        self.path, self._handle = path, handle

    def check(self) -> None:
        """Raises `OSError` where the name leads to this folder no more: it was moved or removed, or its disk is gone.

        To be called before anything is written by name: by then that may lead to another's run.
        """
        if not self.is_here():
            raise OSError(errno.ESTALE, "the folder was moved or removed", str(self.path))

    def is_here(self) -> bool:
        """Whether the name still leads to it."""
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(self.path))
        except OSError:
            return False


def new_folder(path: Path) -> Path:
    """Makes a folder of this name, or where there is one, of the name with a number behind it.

    Of several processes that ask at once, each gets one of its own. Raises `InputError` where none can be made.
    """
    names = itertools.chain([path], (path.with_name(f"{path.name}-{n}") for n in itertools.count(2)))
    return next(name for name in names if _make(name))


def removed_if_empty(path: Path) -> None:
    """Takes back what `new_folder` made, if nothing is in it and no other process has come to hold it."""
    with contextlib.suppress(OSError, InputError), locked(path):
        path.rmdir()


@contextlib.contextmanager
def claimed(folder: Path, *, overwrite: bool = False) -> Generator[HeldFolder]:
    """Makes a folder for a run and holds it; takes back what it made, where that ends in an error with nothing to keep.

    Raises `InputError` where it holds a run already, another process has it, or it cannot be made or written.
    """
    with contextlib.ExitStack() as stack:
        held, made = _made_and_held(folder, stack)
        if (folder / "config.json").exists() and not overwrite:
            raise InputError(
                f"{folder} already holds a run: give another folder, or overwrite it (--overwrite, or overwrite=True)."
            )
        try:
            new = made or not os.listdir(folder)
            check_writable(folder)
        except OSError as error:
            raise _unwritable(folder, error) from None
        try:
            yield held
        except BaseException:
            if new:
                _take_back(held, made)
            raise


def _made_and_held(folder: Path, stack: contextlib.ExitStack) -> tuple[HeldFolder, bool]:
    """The folder, held until `stack` ends, and whether this process made it."""
    while True:
        made = _make(folder)
        held = _hold(folder, stack)
        if held is not None:  # or its maker has taken it back meanwhile
            return held, made


def _make(folder: Path) -> bool:
    """Makes a folder, which of several processes one alone does; false where there is one. Raises `InputError`."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except FileExistsError as error:
        if folder.is_dir() or not os.path.lexists(folder):
            return False
        raise _unwritable(folder, error) from None
    except OSError as error:
        raise _unwritable(folder, error) from None
    return True


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"The folder {folder} cannot be written ({error.strerror}): give another.")


def _take_back(held: HeldFolder, made: bool) -> None:
    """Without the files of a run of which nothing came, and without the folder, if this process made it."""
    with contextlib.suppress(OSError):
        left = {path.name: path.lstat().st_size for path in held.path.iterdir()}
        if held.is_here() and left.keys() <= _NOTHING and not any(left[name] for name in left.keys() - {"config.json"}):
            for name in left:
                (held.path / name).unlink()
            if made:
                held.path.rmdir()


@contextlib.contextmanager
def locked(folder: Path) -> Generator[HeldFolder]:
    """Holds a run folder for this process, until it ends however it ends. Raises `InputError` if another has it."""
    with contextlib.ExitStack() as stack:
        held = _hold(folder, stack)
        if held is None:
            raise InputError(f"{folder} does not exist: give the folder of a run, as `logpi train --out` makes.")
        yield held


def is_held(folder: Path) -> bool:
    """Whether a process trains in a folder. Those who ask do not see each other, and no start is refused for them."""
    with contextlib.ExitStack() as stack:
        try:
            fcntl.flock(_opened(folder, stack), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # there is no folder, or no lock
            pass
        return False


def _hold(folder: Path, stack: contextlib.ExitStack) -> HeldFolder | None:
    """Holds a folder until `stack` ends; `None` where by then its name leads to another, or there is none."""
    try:
        handle = _opened(folder, stack)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be opened ({error.strerror}): give another.") from None
    _lock(folder, handle)
    held = HeldFolder(folder, handle)
    return held if held.is_here() else None


def _opened(folder: Path, stack: contextlib.ExitStack) -> int:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, handle)
    return handle


def _lock(folder: Path, handle: int) -> None:
    """Raises `InputError` where another process has the lock, and not only looks whether it is held."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise InputError(
                    f"Another process is training in {folder}: wait for it, or give another folder."
                ) from None
            time.sleep(0.01)
        except OSError:  # a file system without locks
            return


def clear_folder(folder: Path) -> None:
    """Without what a run left that was here before, its configuration first: half a run would be none to go on with."""
    policies = [path for path in folder.iterdir() if path.match(policy_file("*"))]  # `glob` says nothing of an error
    for left in (*(folder / name for name in ("config.json", *LEFT)), *policies):
        removed(left)
    if not (folder / "checkpoints").is_symlink():
        removed(folder / "checkpoints")
    films_up_to(folder, -1)
    remove_unfinished(folder)
    rewrite_rows(folder, [])


def remove_unfinished(folder: Path) -> None:
    """Without what a process that was killed left of files that it was writing."""
    for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name):
            removed(path)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """All that is needed to repeat a run, and what it came to. Raises `InputError` where it could not be read again."""
    write_atomically(folder / "config.json", check_readable(config))


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
        "machine": f"{platform.system()} {platform.machine()}, {_cores()} cores",
        "device": f"{device.platform} {device.device_kind}",
    }


def _cores() -> int:
    """Those that this process may use: sums of several cores are rounded otherwise than those of one."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
