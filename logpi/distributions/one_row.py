"""Random numbers of any shape, drawn as one row."""

import math
from collections.abc import Callable

from jaxtyping import Array, Float, PRNGKeyArray


def in_one_row(
    draw: Callable[[PRNGKeyArray, tuple[int, ...]], Array], key: PRNGKeyArray, shape: tuple[int, ...]
) -> Float[Array, "..."]:
    """`draw(key, shape)` from a row that is as long as the shape is large: JAX's generators give the same numbers.

    XLA vectorises along the last axis, and where that is a short one (the six coins of an event) it takes three times
    as long on a CPU.
    """
    return draw(key, (math.prod(shape),)).reshape(shape)
