"""Pages and figures that explain: what a policy gradient differentiates, by hand and in a network that was trained."""

from typing import Any, TYPE_CHECKING

from .introduction import page as page

if TYPE_CHECKING:
    from .pictures import figure as figure
    from .trained import run_page as run_page

__all__ = ["figure", "page", "run_page"]


def __getattr__(name: str) -> Any:
    """Imported when it is first asked for: only these need JAX."""
    match name:
        case "figure":
            from .pictures import figure as found
        case "run_page":
            from .trained import run_page as found
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
