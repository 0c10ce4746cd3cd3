"""A thing of the user's own, named on the command line as FILE.py:NAME. Naming it is leave to run that file."""

import importlib.util
import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..envs.named import SUITES
from ..errors import did_you_mean, InputError, said


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
    """An environment as a flag names it: by a name, or as what NAME is in FILE.py; `None` where none is named.

    The MODULE of a name MODULE:ENV may lie in the current folder: it registers the environment.
    """
    if text is None or is_object(text):
        return None if text is None else load_object(text)
    module = text.partition(":")[0]
    here = Path(f"{module}.py") if Path(f"{module}.py").is_file() else Path(module, "__init__.py")
    if ":" in text and module not in SUITES and here.is_file() and importlib.util.find_spec(module) is None:
        load_module(here, module)
    return text


def environment_options(texts: Sequence[str]) -> dict[str, Any]:
    """Options as `--env-option` takes them: NAME=VALUE each, with a value as JSON has it, or else a text.

    Raises `InputError` where one is neither.
    """
    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"--env-option is {text!r}, but it must be NAME=VALUE, as in is_slippery=false.")
        value = {"True": "true", "False": "false", "None": "null"}.get(value, value)  # as Python writes them
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def load_module(path: Path, name: str | None = None) -> ModuleType:
    """A Python file, run as a module: of this name, or of one that no other has.

    Raises `InputError` where it is no file of Python's or breaks down.
    """
    if not path.is_file():
        raise InputError(f"{path} is no file: name a Python file and what to take from it, as in model.py:policy.")
    folder = str(path.resolve().parent)
    spec = importlib.util.spec_from_file_location(name or f"file {path.stem}", path)
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
        cure = did_you_mean(name, public, f"it has {', '.join(public[:8]) or 'no names'}.")
        raise InputError(f"{module.__file__} has no {name!r}: {cure}")
    return getattr(module, name)
