"""How an expected update lies to the true gradient: a multiple of it, and what is left over."""

import dataclasses

import numpy as np
from jaxtyping import Float

from ..errors import check_between, check_kind, InputError
from ..parameters import check_numbers

TINY = 1e-12  # of a gradient's norm, next to what it is compared with: nothing


@dataclasses.dataclass(frozen=True)
class Alignment:
    """An update, written as `scale` times the true gradient, and a rest at right angles to it."""

    name: str
    scale: float  # the least-squares multiple: what a learning rate takes up
    cosine: float  # between update and true gradient; NaN where the update is zero
    direction_error: float  # norm of the rest over norm of the multiple: 0 right, infinite where there is no multiple
    error: float = 0.0  # standard error of `direction_error`; 0 where the expectation is exact
    meaning: str = ""  # what was switched on or off


def align(
    name: str, found: Float[np.ndarray, " n"], truth: Float[np.ndarray, " n"], *, error: float = 0.0, meaning: str = ""
) -> Alignment:
    """Found against true gradient, both flat. Where the true one is zero there is no direction: nothing is right.

    Raises `InputError` unless they are two rows of as many numbers.
    """
    check_kind("name", name, str, "'my gradient'")
    found, truth = check_numbers("found", found, 1), check_numbers("truth", truth, 1)
    if found.shape != truth.shape:
        raise InputError(f"found has {found.size} numbers and truth {truth.size}: give as many.")
    error = check_between("error", error, 0)
    length, true_length = float(np.linalg.norm(found)), float(np.linalg.norm(truth))
    if length <= TINY * true_length or not true_length:
        return Alignment(name, 0.0, float("nan"), float("inf"), error, meaning)
    scale = float(found @ truth) / true_length**2
    rest = float(np.linalg.norm(found - scale * truth))
    along = abs(scale) * true_length
    off = rest / along if along > TINY * length else float("inf")
    return Alignment(name, scale, float(found @ truth) / (length * true_length), off, error, meaning)
