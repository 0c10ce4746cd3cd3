"""An extension of Griffe: in the Python reference a method has the docstring that it inherits, as in `help`."""

from collections.abc import Iterator
from typing import Any

from griffe import Class, Extension, Module


class InheritedDocstrings(Extension):
    """Gives members without a docstring that of the nearest base which has one."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Once a package has been read."""
        for kind in _classes(pkg):
            for member in kind.members.values():
                if not member.is_alias and member.docstring is None:
                    above = (base.members.get(member.name) for base in kind.mro())
                    member.docstring = next((found.docstring for found in above if found and found.docstring), None)


def _classes(holder: Module | Class) -> Iterator[Class]:
    for member in holder.members.values():
        if not member.is_alias and isinstance(member, Class):
            yield member
        if not member.is_alias and isinstance(member, Module | Class):
            yield from _classes(member)
