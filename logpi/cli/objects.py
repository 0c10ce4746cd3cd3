"""A thing of the user's own, named on the command line as FILE.py:NAME. Naming it is leave to run that file."""

import difflib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import InputError, said


def is_object(text: str) -> bool:
    """Whether this names something in a file, and not an environment or a folder."""
    path, colon, _ = text.rpartition(":")
    return bool(colon) and path.endswith(".py")


def load_object(text: str) -> Any:
    """What NAME is in FILE.py, which is run for it; Python's own modules beside that file can be imported from it.

    Raises `InputError` where there is no such file or name, or the file breaks down.
    """
    path, _, name = text.rpartition(":")
    return named(load_module(Path(path)), name)


def environment_of(text: str | None) -> Any:
    """An environment as a flag names it: by a name, or as what NAME is in FILE.py; `None` where none is named."""
    return load_object(text) if text is not None and is_object(text) else text


def load_module(path: Path) -> ModuleType:
    """A Python file, run as a module of its own name. Raises `InputError` where it is none or breaks down."""
    if not path.is_file():
        raise InputError(f"{path} is no file: name a Python file and what to take from it, as in model.py:policy.")
    folder = str(path.resolve().parent)
    spec = importlib.util.spec_from_file_location(f"file {path.stem}", path)  # a name that no other module has
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # classes look themselves up by the name of their module
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except Exception as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == spec.origin]
        where = f" in line {lines[-1]}" if lines else ""
        raise InputError(f"{path} breaks down{where} ({type(error).__name__}: {said(error)}): mend it first.") from None
    finally:
        sys.path.remove(folder)
    return module


def named(module: ModuleType, name: str) -> Any:
    """What a name is in a module. Raises `InputError` with the nearest names where there is none."""
    if not hasattr(module, name):  # of the user's module, not of ours
        public = [other for other in vars(module) if not other.startswith("_")]
        near = difflib.get_close_matches(name, public, n=1)
        cure = f"did you mean {near[0]}?" if near else f"it has {', '.join(public[:8]) or 'no names'}."
        raise InputError(f"{module.__file__} has no {name!r}: {cure}")
    return getattr(module, name)
