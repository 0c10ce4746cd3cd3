r"""Is the derivative of a program that of its value? Measured, where its trace leaves a doubt.

For a step u in the parameters, $J(\theta + u) - J(\theta - u)$ is twice the mean of $u \cdot \nabla J(\theta + s u)$
over s from -1 to 1: the fundamental theorem of calculus. Both sides are drawn with the same keys, the derivative at an
even s. So no size of a step is in the way: where derivatives are right, both sides differ by noise alone, however J is
curved. What a derivative does not see, a jump that moves or a bound of a support, is seen by the values, whatever it is
written in.
"""

import contextlib
import functools
import math
from collections.abc import Generator
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..distributions.threefry import fold_in, split
from ..errors import InputError, said
from ..jaxprs.discontinuities import COMPARED, LEFT_OUT
from ..jaxprs.interpreter import is_tracing, known_value
from ..parameters import typed, widened
from .programs import Facts, Pieces, SHARED, STILL

DRAWS = 2**16  # events in all, along each step
FEWEST_PAIRS, MOST_PAIRS = 256, 4096  # calls of the program on each side
LIMIT = 5.0  # standard errors between both sides: a false alarm in two million
NEARER = 4  # times: along a step that is so much smaller, what jumps beside the parameters is no jump at them
ROUNDING = 1e-3  # of the sizes of both sides, which rounding may leave of their difference
LAST_PLACE = 0.25  # of a unit in the last place of the value, which rounding may leave of the mean of its changes
MOSTLY = 0.9  # of the pairs have to be finite
STEPS = 3  # directions at once, where there are more parameters
STEP = 0.1  # as a share of each parameter; of one that is 0, by itself
SEED = 20  # of the keys: a program is judged the same way every time
MOST_VERDICTS = 256
CURES = {
    LEFT_OUT: "give the sum of the log-probabilities of all draws before a cost to logpi.cost, or draw by='pathwise'",
    COMPARED: "a baseline must not depend on any event that its log_prob accounts for (leave the own draw out)",
    SHARED: "split the key, as in k1, k2 = jax.random.split(key)",
    STILL: "give the log-probabilities of logpi.sample to logpi.cost, or leave stop_gradient out",
}

_verdicts: dict[Any, str | None] = {}
_unchecked: ContextVar[bool] = ContextVar("unchecked", default=False)


class Gap(NamedTuple):
    """How far both sides are apart along the step along which they are furthest."""

    change: float  # of the value, for each unit of the step
    derivative: float
    error: float  # standard error of their difference
    rounded: float  # what of their difference may be of rounding
    pairs: int

    @property
    def apart(self) -> float:
        """The difference of both sides, for each unit of the step."""
        return abs(self.change - self.derivative)

    @property
    def z(self) -> float:
        """The difference in standard errors; 0 where it may be of rounding."""
        if self.apart <= self.rounded:
            return 0.0
        return self.apart / self.error if self.error > 0 else math.inf


@contextlib.contextmanager
def unchecked() -> Generator[None]:
    """Derivatives are taken as they are: by what has looked at them before, or is about to say what they are worth."""
    token = _unchecked.set(True)
    try:
        yield
    finally:
        _unchecked.reset(token)


def check_derivative(pieces: Pieces, key: PRNGKeyArray, known: Facts, samples: int) -> None:
    """Raises `InputError` for a program whose derivative was measured to be wrong, where there is a doubt about it.

    Once for each program and the shapes of its parameters; `samples` are the events in one call. Where numbers of the
    parameters are not known, because JAX traces their function, others stand in for them, between 0 and 1.
    """
    if not known.is_doubtful or _unchecked.get():
        return
    name = known, pieces.rest, tuple(x.shape for x in pieces.floats)
    if name not in _verdicts:
        while len(_verdicts) >= MOST_VERDICTS:
            _verdicts.pop(next(iter(_verdicts)))
        # Where JAX traces, all is computed at once; elsewhere that would make a program of each constant of the trace.
        with jax.ensure_compile_time_eval() if is_tracing() else contextlib.nullcontext(), unchecked():
            _verdicts[name] = _judged(pieces, key, known, min(max(DRAWS // samples, FEWEST_PAIRS), MOST_PAIRS))
    sentence = _verdicts[name]
    if sentence is not None:
        raise InputError(sentence)


def _judged(pieces: Pieces, key: PRNGKeyArray, known: Facts, pairs: int) -> str | None:
    """What to say of a program that may not be differentiated; `None` for one that may."""
    if known.on_host:  # a stranger is believed where nothing can be measured; a jump is not
        return _sentence(known, "it calls the host, so that nothing was measured") if known.jumps else None
    run = functools.partial(_pairs, rest=pieces.rest, count=pairs, width=known.side_by_side)
    measure = functools.partial(_gap, jax.jit(run), _numbers(pieces), _own_key(key))  # compiled for this one use
    # A parameter at an end of its range, or an entry that has to be 0, allows for no step, or for a smaller one.
    for size, moves_zeros in ((STEP, True), (STEP, False), (STEP / 10, True), (STEP / 10, False)):
        try:
            gap = measure(size, moves_zeros, 0)
        except InputError:
            raise
        except (NotImplementedError, ValueError) as error:  # JAX's own, of a loop that cannot be gone backwards
            return _sentence(known, f"it has no derivative ({said(error, 160)})")
        if gap is None:
            continue
        if gap.z <= LIMIT:
            return None
        # A jump at the parameters opens the same gap along any step, and one beside them none along a small one.
        near = measure(size / NEARER, moves_zeros, 1)
        if near is not None and near.apart < gap.apart / 2:
            return None
        return _sentence(
            known,
            f"measured in {gap.pairs:,} pairs, the slope of its value is {gap.change:.3g} ± {gap.error:.2g} where the "
            f"derivative says {gap.derivative:.3g}",
        )
    return _sentence(known, "it is not finite beside the parameters, so that nothing was measured")


def _sentence(known: Facts, measured: str) -> str:
    if known.faults:
        cures = "; ".join(CURES[fault] for fault in known.faults)
        return f"the program has {' and '.join(known.faults)}; {measured}: {cures}."
    if known.strangers:
        names = " and ".join(known.strangers)
        return (
            f"the support of {names} moves with its parameters, or its log_prob is not that of its draws; {measured}: "
            "keep the bounds of the support out of the parameters, mend log_prob (logpi.audit.policy looks at it), or "
            "use MeasureValued() (it knows the bounds of Uniform), Pathwise() or EvolutionStrategies()."
        )
    return (
        f"f may jump: it uses {', '.join(known.jumps)} on what moves with the parameters, and no derivative of f sees "
        f"a jump that moves; {measured}: use Score(), or Pathwise(continuous=True) if f is continuous. For an f(x, "
        "params), take as the event what it compares (x - threshold, by a distribution with the parameters in it), use "
        "EvolutionStrategies(), or say expectation(..., continuous=True) if nothing jumps."
    )


def _numbers(pieces: Pieces) -> Pieces:
    """With numbers in place of what JAX only traces."""
    rng = np.random.default_rng(SEED)

    def known(x):
        number = known_value(x)
        if number is not None:
            return number
        is_float = jnp.issubdtype(x.dtype, jnp.inexact)
        return jnp.asarray(rng.uniform(0.3, 0.7, x.shape) if is_float else np.zeros(x.shape), x.dtype)

    floats, arrays = ([known(x) for x in some] for some in pieces[:2])
    return Pieces(widened(list(map(typed, floats))), arrays, pieces.rest)


def _own_key(key: PRNGKeyArray) -> PRNGKeyArray:
    is_new = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return jax.random.key(SEED, impl=jax.random.key_impl(key)) if is_new else jax.random.PRNGKey(SEED)


def _gap(run, pieces: Pieces, key: PRNGKeyArray, size: float, moves_zeros: bool, seed: int) -> Gap | None:
    """Along the steps in which both sides are furthest apart; `None` where something is not finite."""
    moves = _moves(pieces.floats, size, moves_zeros)
    if moves is None:
        return None
    found = run(pieces.floats, pieces.arrays, moves, fold_in(key, seed))
    if known_value(found) is None:  # the function is one of what an outer one is differentiated in
        return None
    lengths = np.sqrt(sum(np.sum(x.reshape(len(x), -1).astype(np.float64) ** 2, axis=1) for x in moves))
    change, derivative, value = np.moveaxis(np.asarray(found, np.float64) / lengths[:, None], -1, 0)
    # A draw of thousands may be rounded to an end, where there is no number: that is told when it comes.
    kept = np.all(np.isfinite(change) & np.isfinite(derivative), axis=1)
    if np.mean(kept) < MOSTLY:
        return None
    change, derivative, value = change[kept], derivative[kept], value[kept]
    error = np.std(change - derivative, axis=0, ddof=1) / math.sqrt(len(change))
    rounded = ROUNDING * np.mean(np.abs(change) + np.abs(derivative), axis=0)
    rounded += LAST_PLACE * float(jnp.finfo(found.dtype).eps) * np.mean(np.abs(value), axis=0)
    every = zip(change.mean(0), derivative.mean(0), error, rounded, strict=True)
    return max(
        (Gap(float(a), float(b), float(e), float(s), len(change)) for a, b, e, s in every), key=lambda gap: gap.z
    )


def _moves(floats: list[Array], size: float, moves_zeros: bool) -> list[Float[np.ndarray, "steps *shape"]] | None:
    """Steps along each parameter; along a few directions in all of them, where they are more; `None` without any."""
    values = [np.asarray(x, np.float64) for x in floats]
    row = np.concatenate([np.abs(x).reshape(-1) for x in values])
    row = size * np.where(row > 1e-3, row, float(moves_zeros))
    if not np.any(row):
        return None
    if row.size <= STEPS:
        rows = np.diag(row)[row > 0]
    else:
        rows = row * np.random.default_rng(SEED).choice([-1.0, 1.0], (STEPS, row.size))
    ends = np.cumsum([x.size for x in values])[:-1]
    parts = np.split(rows, ends, axis=1)
    return [part.reshape(-1, *x.shape).astype(f.dtype) for part, x, f in zip(parts, values, floats, strict=True)]


def _pairs(floats, arrays, moves, key, *, rest, count, width) -> Float[Array, "count steps 3"]:
    """Half of the change of the value along each step, the derivative somewhere on the way, and the value there.

    Of each replicate.
    """
    steps, (draws, places) = moves[0].shape[0], split(key)

    def call(floats, key):
        return jnp.asarray(Pieces(floats, arrays, rest).call(key)).astype(jnp.result_type(jnp.float32, *floats))

    def pair(index):
        move = [x[index % steps] for x in moves]
        own = fold_in(draws, index // steps)
        place = jax.random.uniform(fold_in(places, index), (), moves[0].dtype, -1.0, 1.0)
        # One program for both sides: to compile two would take longer than to throw two derivatives away.
        stops = jnp.stack([jnp.ones_like(place), -jnp.ones_like(place), place])
        at = [x[None] + stops.reshape(-1, *(1,) * x.ndim) * step[None] for x, step in zip(floats, move, strict=True)]
        values, slopes = jax.vmap(jax.value_and_grad(call), in_axes=(0, None))(at, own)
        slope = sum(jnp.sum(slope[2] * step) for slope, step in zip(slopes, move, strict=True))
        return jnp.stack([(values[0] - values[1]) / 2, slope, values[2]])

    found = jax.lax.map(pair, jnp.arange(count * steps), batch_size=width)
    return found.reshape(count, steps, 3)
