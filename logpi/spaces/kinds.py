"""What an observation or an action looks like: frozen and hashable, so that a compiled program can be built for it.

Gymnasium's spaces are mutable and carry a random state; these are plain values.
"""

import dataclasses
import math

Bound = float | tuple[float, ...]  # one number for all entries, or one for each, in row-major order


@dataclasses.dataclass(frozen=True)
class Discrete:
    """The integers 0 to `n - 1`; the environment counts them from `start`, in its `dtype`."""

    n: int
    start: int = 0
    dtype: str = "int64"


@dataclasses.dataclass(frozen=True)
class MultiDiscrete:
    """A vector of integers, the i-th of them from 0 to `sizes[i] - 1`; the environment counts from `starts[i]`.

    `shape` and `dtype` are those that the environment uses; here the integers are always one flat vector.
    """

    sizes: tuple[int, ...]
    starts: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    dtype: str = "int64"


@dataclasses.dataclass(frozen=True)
class MultiBinary:
    """An array of zeros and ones."""

    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Box:
    """Numbers between `low` and `high`, infinite bounds allowed; `dtype` is the environment's, and may be of integers.

    No bound lies beyond the environment's own, which float64 may not be able to write.
    """

    shape: tuple[int, ...]
    low: Bound = -math.inf
    high: Bound = math.inf
    dtype: str = "float32"

    @property
    def whole(self) -> bool:
        """Whether its numbers are integers, or truths."""
        return "float" not in self.dtype


@dataclasses.dataclass(frozen=True)
class Dict:
    """Named parts, sorted by name; a member is a dictionary."""

    parts: tuple[tuple[str, "Space"], ...]


@dataclasses.dataclass(frozen=True)
class Tuple:
    """Parts in order; a member is a tuple."""

    parts: tuple["Space", ...]


Space = Discrete | MultiDiscrete | MultiBinary | Box | Dict | Tuple
