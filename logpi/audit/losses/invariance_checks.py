"""What should make no difference to a loss: what the mask hides, the order of rows, splits, and groups of one."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float, Int

from ...errors import said
from ..reports import Check
from .auditor import arrays, Auditor, some_groups
from .frameworks import Batches, Evaluate, LossValues
from .sequences import Sequences

NUMBER = 32  # of random batches
LIMIT = 1e-8  # of the largest derivative; rounding, and the error of central differences

Index = Int[np.ndarray, "n rows"]  # numbers of sequences, or ids of groups
OfGroups = Callable[[Index, Index], np.ndarray]  # the derivative for sequences in groups


def invariance_checks(auditor: Auditor, problem: Sequences) -> tuple[list[Check], list[str]]:
    """All of these checks, with notes on those that this loss does not allow."""

    def batches(index: Index, ids: Index) -> Batches:
        return arrays(problem, 0, index, ids, rows=auditor.rows)

    def derivative(index: Index, ids: Index) -> np.ndarray:
        return auditor.evaluate(batches(index, ids)).derivative

    checks, notes, one_group = [], [], (auditor.group_size,)
    coupled = "reward" in auditor.roles and "group" not in auditor.roles  # then a batch is one group
    sizes = one_group if coupled else 2 * one_group
    index, ids = some_groups(problem, NUMBER, sizes)
    try:
        base = derivative(index, ids)
    except Exception as reason:  # a loss may be made for one group at a time
        notes.append(f"two groups at once: {said(reason, 160)}")
        sizes = one_group
        index, ids = some_groups(problem, NUMBER, sizes)
        base = derivative(index, ids)
    checks.append(_finite(auditor.evaluate(batches(index, ids))))
    if "mask" in auditor.roles and not auditor.rows:
        checks += _mask(auditor.evaluate, batches(index, ids), base)
    if np.isfinite(base).all():
        checks.append(_order(derivative, index, ids, base))
        if len(sizes) == 2:
            checks.append(_split(derivative, index, ids, base))
    try:
        alone = np.arange(len(problem.tree.tokens))[:, None]
        checks.append(_single(derivative(alone, np.zeros_like(alone))))
    except Exception as reason:  # a loss may be made for groups of one size
        notes.append(f"groups of one: {said(reason, 160)}")
    return checks, notes


def _off(found: np.ndarray, base: np.ndarray) -> float:
    """The largest difference, as a share of the largest derivative."""
    difference = float(np.abs(found - base).max(initial=0.0)) / max(float(np.abs(base).max(initial=0.0)), 1e-30)
    return difference if np.isfinite(difference) else float("inf")


def _mask(evaluate: Evaluate, batches: Batches, base: np.ndarray) -> list[Check]:
    """Other log-probabilities, and NaN, where the mask says that there is no token."""
    mask, rng = batches["mask"], np.random.default_rng(1)
    names = [name for name in batches if name.endswith("log_prob")]
    noise = {name: np.where(mask, batches[name], rng.standard_normal(mask.shape)) for name in names}
    nothing = {name: np.where(mask, batches[name], np.nan) for name in names}
    with np.errstate(all="ignore"):
        noisy, empty = evaluate(batches | noise).derivative, evaluate(batches | nothing).derivative
        # Compiled, a product with a mask may become a selection, in which there is no NaN.
        with jax.disable_jit():
            plain = evaluate({name: x[:1] for name, x in (batches | nothing).items()}).value
    outside = float(np.abs(np.where(mask, 0.0, base)).max()) / max(float(np.abs(base).max()), 1e-30)
    size = max(_off(noisy, base), outside)
    # A loss of NaN spoils what is behind it, even where its own derivative is 0.
    holes = float(np.mean(~np.isfinite(empty).all(axis=(1, 2)))) if np.isfinite(plain).all() else 1.0
    return [
        Check(
            "mask", size, 0.0, LIMIT, "gradient of, and change by, log-probabilities outside of the mask",
            "multiply by the mask before every sum, and count tokens by mask.sum()",
        ),
        Check(
            "nan_outside_mask", holes, 0.0, 0.0, "share of batches that it spoils",
            "select with where(mask, x, 0) before exp and before products: NaN times 0 is NaN",
            "NaN outside of the mask",
        ),
    ]  # fmt: skip


def _finite(found: LossValues) -> Check:
    is_spoiled = ~np.isfinite(found.value) & np.isfinite(found.derivative.reshape(len(found.value), -1)).all(axis=1)
    return Check(
        "finite_loss", float(np.mean(is_spoiled)), 0.0, 0.0, "share of batches with a gradient whose loss is NaN or "
        "infinite", "keep the number that is returned finite too: NaN in it spoils what it is added to",
    )  # fmt: skip


def _order(derivative: OfGroups, index: Index, ids: Index, base: np.ndarray) -> Check:
    """The rows in another order, groups interleaved."""
    order = np.random.default_rng(2).permutation(index.shape[1])
    found = derivative(index[:, order], ids[:, order])
    return Check(
        "row_order", _off(found, base[:, order]), 0.0, LIMIT, "change of the gradient by another order of the rows",
        "find the rows of a group by their group id, not by their place",
    )  # fmt: skip


def _split(derivative: OfGroups, index: Index, ids: Index, base: Float[np.ndarray, "n rows *length"]) -> Check:
    """Two groups at once against one after the other: the same, up to one factor."""
    half = index.shape[1] // 2
    parts = [derivative(index[:, part], 0 * ids[:, part]) for part in (slice(half), slice(half, None))]
    apart = np.concatenate(parts, axis=1)
    factor = float((apart * base).sum()) / max(float((apart * apart).sum()), 1e-30)
    return Check(
        "split_batches", _off(factor * apart, base), 0.0, LIMIT,
        "change of the gradient if the groups of a batch are taken one by one",
        "divide by a count that is the same for every split, such as the number of sequences: accumulated gradients "
        "are then those of the whole batch",
    )  # fmt: skip


def _single(found: Float[np.ndarray, "n 1 *length"]) -> Check:
    bad = float(np.mean(~np.isfinite(found.reshape(len(found), -1)).all(axis=1)))
    return Check(
        "group_of_one", bad, 0.0, 0.0, "share of sequences with a gradient that is not finite",
        "give a group of one the advantage 0: it has no others to compare with",
    )  # fmt: skip
