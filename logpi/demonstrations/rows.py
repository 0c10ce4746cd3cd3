"""Rows of demonstrations: what they are, whether they are of an environment, and by what they are known again."""

import hashlib
from typing import Any, NamedTuple

import jax
import numpy as np

from ..errors import InputError, shown
from ..spaces.kinds import Box, Space
from ..spaces.membership import flattened, Member, outside, Range, reader


class Demonstrations(NamedTuple):
    """Observations, and what was done on each: members of two spaces, as environments have them, (rows, ...)."""

    obs: Member
    action: Member

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(jax.tree.leaves(self.action)[0])


def fitting(given: Demonstrations, name: str, obs_space: Space, action_space: Space) -> Demonstrations:
    """The rows as members of the two spaces. `name` is what they are called.

    Raises `InputError`, which names the row, for what is no member: of another shape, none of the choices, beyond the
    bounds of an action, not finite; and for none, or unequally many.
    """
    counts = [{x.shape[0] if x.ndim else 0 for x in jax.tree.leaves(part)} for part in given]
    if counts[0] != counts[1] or len(counts[0]) != 1:
        several = [" or ".join(f"{n:,}" for n in sorted(each)) or "no" for each in counts]
        raise InputError(
            f"warm_start is {name}, which has {several[0]} observations and {several[1]} actions: give one of each for "
            "every row, without what follows the last action of an episode."
        )
    if counts[0] == {0}:
        raise InputError(f"warm_start is {name}, which has no rows: give some.")
    obs, action = (
        _members(obs_space, given.obs, name, "observation"),
        _members(action_space, given.action, name, "action"),
    )
    for what, space, members in (("observation", obs_space, obs), ("action", action_space, action)):
        for part, values in flattened(space, members):
            if isinstance(part, Box) and (bad := ~np.isfinite(values)).any():
                row = np.argwhere(bad)[0]
                raise _misfit(name, int(row[0]), f"has an {what} with {values[tuple(row)]:g} in it", space)
    for part, values in flattened(action_space, action):
        if (bad := Range(part).strays(values)).any():
            row = int(np.argwhere(bad)[0][0])
            raise _misfit(name, row, f"has an action of which {outside(part, values[row], 'it')}", action_space)
    return Demonstrations(obs, action)


def _members(space: Space, given: Any, name: str, what: str) -> Member:
    """All rows at once; where that fails, one after the other, to name the first that does."""
    count = len(jax.tree.leaves(given)[0])
    try:
        return reader(space, (count,))(given)
    except ValueError:
        read = reader(space)
        for row in range(count):
            try:
                read(jax.tree.map(lambda x, row=row: x[row], given))
            except ValueError as error:
                raise _misfit(name, row, f"has an {what} {error}", space) from None
        raise


def _misfit(name: str, row: int, wrong: str, space: Space) -> InputError:
    return InputError(
        f"warm_start is {name}, whose row {row:,} {wrong}; rows are to be of {shown(space, 200)}: give data of this "
        "environment, as it was acted in."
    )


def checksum(rows: Demonstrations) -> str:
    """The SHA-256 of the numbers of rows, with their types, their shapes and the names of their parts."""
    digest = hashlib.sha256()
    for path, array in jax.tree_util.tree_flatten_with_path(tuple(rows))[0]:
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
