"""What people see of a run: its progress, its curve, its numbers, and the report page."""

from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from .document import page as page

__all__ = ["page"]


def __getattr__(name: str) -> Any:
    """`page`, imported when it is first asked for: the progress of a training needs none of it."""
    if name == "page":
        from .document import page

        return page
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
