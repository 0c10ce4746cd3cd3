"""From an objective to a better model: where objectives are averaged over rows."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ..errors import InputError
from ..jaxprs.usage import reaches
from ..parameters import apart, trainable
from ..statistics.gradient_noise import signal_and_variance
from ..trajectory import portions
from .optimisers import AbstractOptimiser

Objective = Callable[[PyTree, PyTree], tuple[Array, PyTree]]  # (model, batch) -> value per row, record per row


class Learner(eqx.Module):
    """A model on its way: all that an on-policy algorithm remembers from one update to the next."""

    model: PyTree
    opt_state: PyTree
    updates: Int[Array, ""]  # done so far
    num_updates: Int[Array, ""]  # in the whole training; schedules run over them

    @property
    def progress(self) -> Float[Array, ""]:
        """From 0 at the first update to 1 after the last."""
        return self.updates / jnp.maximum(self.num_updates, 1)

    def after_update(self, model: PyTree) -> "Learner":
        """The learner one update further, with this model."""
        return Learner(model, self.opt_state, self.updates + 1, self.num_updates)


def init_learner(model: PyTree, optimiser: AbstractOptimiser, num_updates: int | Int[Array, ""]) -> Learner:
    """A model before its first of `num_updates` updates."""
    opt_state = optimiser.init(eqx.filter(model, trainable(model)))
    return Learner(model, opt_state, jnp.zeros((), jnp.int32), jnp.asarray(num_updates, jnp.int32))


class GradientNoise(eqx.Module):
    """The gradients of several parts of a batch, summed up: what they agree on and what they do not."""

    total: Float[Array, " parameters"]  # the sum of the parts' gradients
    squares: Float[Array, ""]  # the sum of their squared norms
    parts: Float[Array, ""]

    def with_part(self, gradient: PyTree) -> "GradientNoise":
        """One more part."""
        flat, _ = ravel_pytree(gradient)
        return GradientNoise(self.total + flat, self.squares + jnp.sum(flat**2), self.parts + 1)

    def norm(self) -> Float[Array, ""]:
        """Of the mean gradient."""
        return jnp.linalg.norm(self.total) / self.parts

    def signal_to_noise(self) -> Float[Array, ""]:
        r"""$|G|^2$ over the variance of the mean gradient, $\mathrm{tr}\,\Sigma / n$, both estimated without bias.

        Above 1 the batch's gradient mostly points along the true one; the expected cosine between two such batches is
        about s / (1 + s). At least 0; NaN for a single part.
        """
        square_of_mean = jnp.sum(self.total**2) / self.parts**2
        signal, variance = signal_and_variance(square_of_mean, self.squares / self.parts, self.parts)
        ratio = jnp.maximum(signal, 0.0) / jnp.maximum(variance, 1e-30)
        return jnp.where(self.parts > 1, ratio, jnp.nan)


def no_noise(model: PyTree) -> GradientNoise:
    """Before the first part."""
    flat, _ = ravel_pytree(eqx.filter(model, trainable(model)))
    return GradientNoise(jnp.zeros_like(flat), jnp.zeros(()), jnp.zeros(()))


class EpochsInfo(eqx.Module):
    """What several passes over a batch showed, each number averaged over the passes."""

    record: PyTree  # of scalars, the objective's, averaged over the minibatches
    gradient_norm: Float[Array, ""]  # of the mean gradient of a pass
    signal_to_noise: Float[Array, ""]  # between the minibatches of a pass


def gradient(objective: Objective, model: PyTree, batch: PyTree) -> tuple[PyTree, PyTree]:
    """Of the weighted mean of an objective over the rows of a batch, and the weighted means of its record.

    Rows that take much memory, as pictures do, are taken a portion at a time.
    """
    dynamic, static = eqx.partition(model, trainable(model))
    total = jnp.maximum(jnp.sum(batch.weight), 1e-8)

    def mean(dynamic, rows):
        values, record = objective(eqx.combine(dynamic, static), rows)
        columns, structure = jax.tree.flatten(record)
        # All means in one product: on a small batch, each sum of its own would cost as much as a layer.
        stacked = jnp.stack([x.ravel() for x in (values, *jax.lax.stop_gradient(columns))])
        means = stacked @ rows.weight.ravel() / total
        return means[0], jax.tree.unflatten(structure, list(means[1:]))

    of_rows, taken = jax.grad(mean, has_aux=True), portions(batch)
    if taken is None:
        return of_rows(dynamic, batch)
    first = jax.tree.map(lambda x: x[0], taken)
    nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(of_rows, dynamic, first))

    def add(so_far, rows):
        return jax.tree.map(jnp.add, so_far, of_rows(dynamic, rows)), None

    return jax.lax.scan(add, nothing, taken)[0]


def apply_gradient(learner: Learner, gradient: PyTree, optimiser: AbstractOptimiser) -> Learner:
    """One step up along a gradient."""
    params, static = eqx.partition(learner.model, trainable(learner.model))
    change, opt_state = optimiser.update(gradient, learner.opt_state, params, learner.progress)
    model = eqx.combine(eqx.apply_updates(params, change), static)
    return Learner(model, opt_state, learner.updates, learner.num_updates)


def accumulated_step(
    objective: Objective, learner: Learner, batch: PyTree, optimiser: AbstractOptimiser, num_parts: int = 8
) -> tuple[Learner, PyTree, GradientNoise]:
    """One step up the gradient over the whole batch, taken in up to `num_parts` equal parts to see its noise.

    Returns the learner, the weighted means of the objective's record, and the noise between the parts.
    """
    size = jax.tree.leaves(batch)[0].shape[0]
    num_parts = max(n for n in range(1, num_parts + 1) if size % n == 0)
    parts = jax.tree.map(lambda x: x.reshape(num_parts, size // num_parts, *x.shape[1:]), batch)
    share = jnp.sum(parts.weight, tuple(range(1, parts.weight.ndim))) / jnp.maximum(jnp.sum(batch.weight), 1e-8)

    def add(noise, part):
        rows, share = part
        uphill, record = gradient(objective, learner.model, rows)
        scaled = jax.tree.map(lambda g: g * share * num_parts, uphill)
        return noise.with_part(scaled), jax.tree.map(lambda r: r * share, record)

    noise, records = jax.lax.scan(add, no_noise(learner.model), (parts, share))
    _, unravel = ravel_pytree(eqx.filter(learner.model, trainable(learner.model)))
    mean = unravel(noise.total / num_parts)
    return apply_gradient(learner, mean, optimiser), jax.tree.map(jnp.sum, records), noise


def gradient_step(
    objective: Objective, learner: Learner, batch: PyTree, optimiser: AbstractOptimiser
) -> tuple[Learner, PyTree, PyTree]:
    """One step up the gradient over a batch, and with the learner the gradient and the means of the record."""
    uphill, record = gradient(objective, learner.model, batch)
    return apply_gradient(learner, uphill, optimiser), uphill, record


def towards(target: PyTree, model: PyTree, share: float | Float[Array, ""]) -> PyTree:
    """A slowly following copy of a model, one step on: each parameter by this share of what it is behind.

    Polyak averaging, as in Lillicrap et al. 2016 (arXiv:1509.02971), section 3. What is not learned, a statistic, is
    copied.
    """

    def follow(learned, old, new):
        return old + share * (new - old) if learned else new

    return jax.tree.map(follow, trainable(model), target, model)


def reached_by(function: Callable[[PyTree], PyTree], model: PyTree) -> PyTree:
    """The arrays of a model that a function of it depends on, and `None` for each of the others.

    `eqx.combine(reached_by(function, model), other)` is a model of which `function` gives what it gives of this one,
    whatever has been learned in `other`.
    """
    leaves, frame = apart(model, eqx.is_array)
    traced = jax.make_jaxpr(lambda leaves: apart(function(frame.filled(leaves)), eqx.is_array)[0])(leaves)
    used = iter([reaches(traced.jaxpr, i, stopped=True) for i in range(len(leaves))])
    return eqx.filter(model, frame.structure.unflatten([yes and next(used) for yes in frame.is_taken]))


def epochs(
    step: Callable[[Learner, PyTree], tuple[Learner, PyTree, PyTree]],
    learner: Learner,
    batch: PyTree,
    *,
    num_epochs: int,
    num_minibatches: int,
    stop: Callable[[PyTree], Bool[Array, ""]] | None = None,
    key: PRNGKeyArray,
) -> tuple[Learner, EpochsInfo]:
    """A `step` for each minibatch, over up to `num_epochs` shuffled passes: no more of them once `stop(record)`.

    `step(learner, minibatch)` returns the learner, the gradient it went up, and a record of scalars; `stop` sees the
    record's mean over a pass; without it all passes are made. Raises `InputError` if the batch does not split.
    """
    size = jax.tree.leaves(batch)[0].shape[0]
    if size % num_minibatches:
        raise InputError(
            f"num_minibatches is {num_minibatches}, but a batch of {size} segments does not split into so many equal "
            "parts: give a divisor."
        )
    dynamic, static = eqx.partition(learner, eqx.is_array)

    def minibatch(carry, rows):
        dynamic, noise = carry
        learner, uphill, record = step(eqx.combine(dynamic, static), rows)
        return (eqx.filter(learner, eqx.is_array), noise.with_part(uphill)), record

    # All orders at once: a random generator is a hundred small operations, however little it draws.
    orders = jax.vmap(lambda key: random_order(key, size))(jax.random.split(key, num_epochs))

    @jax.jit  # so that asking for the shapes and running share one trace
    def epoch(dynamic, order):
        split = (num_minibatches, size // num_minibatches)  # not -1: a part of an observation may have no entries
        minibatches = jax.tree.map(lambda x: x[order].reshape(*split, *x.shape[1:]), batch)
        (dynamic, noise), records = jax.lax.scan(minibatch, (dynamic, no_noise(learner.model)), minibatches)
        return dynamic, EpochsInfo(jax.tree.map(jnp.mean, records), noise.norm(), noise.signal_to_noise())

    def stops(info):
        return jnp.zeros((), bool) if stop is None else stop(info.record)

    dynamic, info = _repeat(epoch, dynamic, orders, stops)
    return eqx.combine(dynamic, static), info


def _repeat(epoch, carry, orders, stop):
    """`carry, info = epoch(carry, order)` for each order, until `stop(info)`; the info is averaged over those made."""
    none = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(epoch, carry, orders[0])[1])

    def proceed(loop):
        done, _, _, last = loop
        return (done < len(orders)) & ((done == 0) | ~stop(last))

    def again(loop):
        done, carry, total, _ = loop
        carry, info = epoch(carry, orders[done])
        return done + 1, carry, jax.tree.map(jnp.add, total, info), info

    done, carry, total, _ = jax.lax.while_loop(proceed, again, (jnp.zeros((), jnp.int32), carry, none, none))
    return carry, jax.tree.map(lambda t: t / done, total)


ROUNDS = 6
SORTED_BELOW = 256  # where sorting is quick, and a Feistel network has too few bits to mix well


def random_order(key: PRNGKeyArray, size: int) -> Int[Array, " size"]:
    """The integers 0 to `size - 1` in a pseudorandom order: a Feistel network whose round keys come from `key`.

    `jax.random.permutation` sorts, which on a CPU takes longer than a pass over the batch that it shuffles (2.4 ms for
    8,192 rows against 0.05 ms). Luby & Rackoff 1988 (SIAM J. Comput. 17:373); a `size` that is no power of two is
    reached by walking on along the cycle (Black & Rogaway 2002, section 3). Orders are far fewer than `size!`, but
    every row is as likely at every place: enough to shuffle a batch, not for statistics that rest on all orders.
    Fewer than 256 numbers are sorted after all.
    """
    if size < SORTED_BELOW:
        return jax.random.permutation(key, size)
    bits = (size - 1).bit_length()
    round_keys = jax.random.bits(key, (ROUNDS, 2), jnp.uint32)

    def walk(x):
        return jnp.where(x < size, x, _permuted(x, bits, round_keys))

    start = _permuted(jnp.arange(size, dtype=jnp.uint32), bits, round_keys)
    if size == 1 << bits:
        return start.astype(jnp.int32)
    return jax.lax.while_loop(lambda x: jnp.any(x >= size), walk, start).astype(jnp.int32)


def _permuted(x, bits: int, round_keys):
    """A bijection of the numbers of so many bits."""
    left_bits, right_bits = bits // 2, bits - bits // 2
    left, right = x >> right_bits, x & ((1 << right_bits) - 1)
    for multiplier, offset in round_keys:
        mixed = _mixed((right + offset) * (multiplier | 1))
        left, right = right, (left ^ mixed) & ((1 << left_bits) - 1)
        left_bits, right_bits = right_bits, left_bits
    return (left << right_bits) | right


def _mixed(x):
    """Every bit of a number depends on every other: the finaliser of MurmurHash3 (Appleby 2008)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
