"""Pages that explain: what a policy gradient differentiates, by hand and in a network that was trained."""

import importlib
from typing import Any, TYPE_CHECKING

from .page import page as page

if TYPE_CHECKING:
    from .run import run_page as run_page


def __getattr__(name: str) -> Any:
    if name == "run_page":  # only this one needs JAX
        return importlib.import_module(".run", __package__).run_page
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
