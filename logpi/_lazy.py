"""Names that are imported when they are first asked for, so that a package costs only what is used of it."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence


def attach(
    package: str, names: Mapping[str, Sequence[str]], modules: Sequence[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """The `__getattr__`, `__dir__` and `__all__` of a package that has these names of its modules, and these modules.

    As PEP 562 has it. A name that is neither is an `AttributeError`.
    """
    home = {name: module for module, its in names.items() for name in its}

    def __getattr__(name: str) -> object:
        if name in home:
            value = getattr(importlib.import_module(f"{package}.{home[name]}"), name)
            setattr(sys.modules[package], name, value)
            return value
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__, lambda: sorted({*vars(sys.modules[package]), *home, *modules}), sorted(home)
