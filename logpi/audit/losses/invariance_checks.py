"""What should make no difference to a loss: what the mask hides, the order of rows, splits, and groups of one."""

import numpy as np
from jaxtyping import Float, Int

from ..reports import Check
from .batches import arrays, Batches, some_groups
from .frameworks import Derivative, first_line
from .sequences import Sequences

NUMBER = 32  # of random batches
LIMIT = 1e-8  # of the largest derivative; rounding, and the error of central differences

Looked = tuple[list[Check], list[str]]


def looks(problem: Sequences, derivative: Derivative, roles: tuple[str, ...], group_size: int, rows: bool) -> Looked:
    """All of these checks, with notes on those that this loss does not allow."""
    checks, notes = [], []
    coupled = "reward" in roles and "group" not in roles  # then a batch is one group
    sizes = (group_size,) if coupled else (group_size, group_size)
    index, ids = some_groups(problem, NUMBER, sizes)
    batches = arrays(problem, 0, index, ids, rows=rows)
    try:
        base = derivative(batches)
    except Exception as reason:  # a loss may be made for one group at a time
        notes.append(f"two groups at once: {first_line(reason)}")
        index, ids = some_groups(problem, NUMBER, (group_size,))
        sizes, batches = (group_size,), arrays(problem, 0, index, ids, rows=rows)
        base = derivative(batches)
    if "mask" in roles and not rows:
        checks += _mask(derivative, batches, base)
    if np.isfinite(base).all():
        checks.append(_order(problem, derivative, index, ids, rows, base))
        if len(sizes) == 2:
            checks.append(_split(problem, derivative, index, ids, rows, base))
    try:
        alone, one = np.arange(len(problem.tree.tokens))[:, None], np.zeros((len(problem.tree.tokens), 1), np.int64)
        single = derivative(arrays(problem, 0, alone, one, rows=rows))
        checks.append(_single(single))
    except Exception as reason:  # a loss may be made for groups of one size
        notes.append(f"groups of one: {first_line(reason)}")
    return checks, notes


def _off(found: np.ndarray, base: np.ndarray) -> float:
    """The largest difference, as a share of the largest derivative."""
    difference = float(np.abs(found - base).max(initial=0.0)) / max(float(np.abs(base).max(initial=0.0)), 1e-30)
    return difference if np.isfinite(difference) else float("inf")


def _mask(derivative: Derivative, batches: Batches, base: np.ndarray) -> list[Check]:
    """Other log-probabilities, and NaN, where the mask says that there is no token."""
    mask, rng = batches["mask"], np.random.default_rng(1)
    names = [name for name in batches if name.endswith("log_prob")]
    noise = {name: np.where(mask, batches[name], rng.standard_normal(mask.shape)) for name in names}
    nothing = {name: np.where(mask, batches[name], np.nan) for name in names}
    with np.errstate(all="ignore"):
        noisy, empty = derivative(batches | noise), derivative(batches | nothing)
    outside = float(np.abs(np.where(mask, 0.0, base)).max()) / max(float(np.abs(base).max()), 1e-30)
    size = max(_off(noisy, base), outside)
    holes = float(np.mean(~np.isfinite(empty).all(axis=(1, 2))))
    return [
        Check(
            "mask", size, 0.0, LIMIT, "gradient of, and change by, log-probabilities outside of the mask",
            "multiply by the mask before every sum, and count tokens by mask.sum()",
        ),
        Check(
            "NaN outside of the mask", holes, 0.0, 0.0, "share of batches that it spoils",
            "select with where(mask, x, 0) before exp and before products: NaN times 0 is NaN",
        ),
    ]  # fmt: skip


def _order(
    problem: Sequences,
    derivative: Derivative,
    index: Int[np.ndarray, "n rows"],
    ids: Int[np.ndarray, "n rows"],
    rows: bool,
    base: np.ndarray,
) -> Check:
    """The rows in another order, groups interleaved."""
    order = np.random.default_rng(2).permutation(index.shape[1])
    found = derivative(arrays(problem, 0, index[:, order], ids[:, order], rows=rows))
    return Check(
        "row order", _off(found, base[:, order]), 0.0, LIMIT, "change of the gradient by another order of the rows",
        "find the rows of a group by their group id, not by their place",
    )  # fmt: skip


def _split(
    problem: Sequences,
    derivative: Derivative,
    index: Int[np.ndarray, "n rows"],
    ids: Int[np.ndarray, "n rows"],
    rows: bool,
    base: Float[np.ndarray, "n rows *length"],
) -> Check:
    """Two groups at once against one after the other: the same, up to one factor."""
    half = index.shape[1] // 2
    parts = [
        derivative(arrays(problem, 0, index[:, part], 0 * ids[:, part], rows=rows))
        for part in (slice(half), slice(half, None))
    ]
    apart = np.concatenate(parts, axis=1)
    factor = float((apart * base).sum()) / max(float((apart * apart).sum()), 1e-30)
    return Check(
        "split batches", _off(factor * apart, base), 0.0, LIMIT,
        "change of the gradient if the groups of a batch are taken one by one",
        "divide by a count that is the same for every split, such as the number of sequences: accumulated gradients "
        "are then those of the whole batch",
    )  # fmt: skip


def _single(found: Float[np.ndarray, "n 1 *length"]) -> Check:
    bad = float(np.mean(~np.isfinite(found.reshape(len(found), -1)).all(axis=1)))
    return Check(
        "group of one", bad, 0.0, 0.0, "share of sequences with a gradient that is not finite",
        "give a group of one the advantage 0: it has no others to compare with",
    )  # fmt: skip
