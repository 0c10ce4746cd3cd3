"""What an interaction leaves behind. Data only: nothing here knows an algorithm."""

import math

import equinox as eqx
import jax
from jaxtyping import Array, Bool, Float, PyTree

PORTION = 2**21  # numbers, 8 MB of them: what is made of so many fits a cache


class Trajectory(eqx.Module):
    """`time` steps of `streams` environments in the order they happened, stream first so that `jax.vmap` needs no axes.

    The step after the end of an episode resets the environment ("next-step autoreset", as in Gymnasium and EnvPool).
    So `obs[:, t + 1]` always is what `action[:, t]` led to; the one row that resets has `valid = False` and counts for
    nothing.
    """

    obs: PyTree[Array]  # (streams, time, ...)
    action: PyTree[Array]  # (streams, time, ...), as drawn, not as clipped for the environment
    log_prob: Float[Array, "streams time"]  # of `action`, under the policy that took it
    reward: Float[Array, "streams time"]
    terminated: Bool[Array, "streams time"]  # the episode ended: nothing follows
    truncated: Bool[Array, "streams time"]  # the episode was cut: the value of `obs[:, t + 1]` follows
    start: Bool[Array, "streams time"]  # `obs[:, t]` is the first of an episode
    valid: Bool[Array, "streams time"]
    last_obs: PyTree[Array]  # (streams, ...), what follows the last row
    last_start: Bool[Array, " streams"]
    memory: PyTree[Array]  # (streams, ...), of the policy, before the first row


def segments(tree: PyTree[Array], length: int) -> PyTree[Array]:
    """(streams, time, ...) to (streams * time / length, length, ...): contiguous pieces of the streams."""
    return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1] // length, length, *x.shape[2:]), tree)


def rows(tree: PyTree[Array]) -> PyTree[Array]:
    """(streams, time, ...) to (streams * time, ...); a leaf may have no entries."""
    return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), tree)


def at_time(tree: PyTree[Array], time: int | slice) -> PyTree[Array]:
    """(streams, time, ...) to (streams, ...): every leaf at one time, or over a slice of times."""
    return jax.tree.map(lambda x: x[:, time], tree)


def portions(tree: PyTree[Array]) -> PyTree[Array] | None:
    """(rows, ...) to (portions, rows, ...), of equal size and with about `PORTION` numbers each; `None` if all are one.

    Bytes count as much as floats, which they become. Only pictures are so large that there is more than one portion.
    Of a number of rows that has no divisor of about the right size, portions are larger, for tiny ones take long.
    """
    leaves = jax.tree.leaves(tree)
    rows, wanted = leaves[0].shape[0], math.ceil(sum(x.size for x in leaves) / PORTION)
    several = [n for n in (*range(wanted, 4 * wanted), *range(wanted, 1, -1)) if 1 < n <= rows and rows % n == 0]
    if wanted <= 1 or not several:
        return None
    return jax.tree.map(lambda x: x.reshape(several[0], rows // several[0], *x.shape[1:]), tree)
