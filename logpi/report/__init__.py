"""What people see of a run: its progress, its curve, its numbers, the report page, and its figures."""

from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from .digest import summary as summary
    from .document import page as page
    from .drawing import figures as figures

__all__ = ["figures", "page", "summary"]


def __getattr__(name: str) -> Any:
    """Imported when it is first asked for: the progress of a training needs none of it."""
    match name:
        case "page":
            from .document import page as found
        case "summary":
            from .digest import summary as found
        case "figures":
            from .drawing import figures as found
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
