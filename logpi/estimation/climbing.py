"""Going up an expectation, or down: gradient steps on any program whose derivative is unbiased."""

import dataclasses
import math
import sys
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ..distributions.threefry import fold_in, split
from ..errors import check_flag, check_whole, InputError, said
from ..estimators.problem import as_scalar
from ..jaxprs.compilation import bounded_jit
from ..learners.optimisers import Optax
from ..learners.steps import apply_gradient, init_learner, Learner
from ..parameters import apart, as_parameters, check_key, flatten, holds_anything, trainable, widened
from .derivative_check import unchecked
from .expectations import checked_facts, Expectation
from .host_functions import host_failures
from .programs import check_hashable, check_program, differentiated, MOST_SAMPLES, Pieces, Program
from .tuning import check_optimiser

BLOCK = 10  # steps between two looks at the terminal and at the noise
MEMORY = 0.95  # of the averages that tell signal from noise: the last forty steps or so
QUIET = 2.0  # a squared average gradient below twice its noise is no signal
PATIENCE = 100  # steps without a signal
ADAM = optax.adam(1e-2)  # one object, so that it is compiled once


@dataclasses.dataclass(frozen=True, repr=False)
class History:
    """What each step saw, before it was taken.

    `signal_to_noise` is not that of a single step: it is the squared norm of the gradient averaged over the last forty
    steps or so, divided by what noise alone would give that average, so that 1 is noise. `print` gives a line.
    """

    value: Float[np.ndarray, " steps"]
    value_error: Float[np.ndarray, " steps"]  # standard error over the replicates of the step
    gradient_norm: Float[np.ndarray, " steps"]
    signal_to_noise: Float[np.ndarray, " steps"]
    stopped: str  # why there are no more steps

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        return f"History({self})"

    def __str__(self) -> str:
        if not len(self):
            return f"no steps: {self.stopped}"
        return (
            f"{len(self)} steps, value {self.value[0]:.5g} ± {self.value_error[0]:.2g} -> {self.value[-1]:.5g} ± "
            f"{self.value_error[-1]:.2g}; {self.stopped}"
        )


class Signal(eqx.Module):
    """Exponential averages of gradients and of their noise: whether they still agree on a direction."""

    gradient: Float[Array, " parameters"]
    noise: Float[Array, ""]
    weight: Float[Array, ""]
    squares: Float[Array, ""]
    quiet: Int[Array, ""]  # steps since there was a signal

    def after(self, gradient: Float[Array, " parameters"], noise: Float[Array, ""]) -> "Signal":
        """With one more gradient, of this squared error."""
        mean = MEMORY * self.gradient + (1 - MEMORY) * gradient
        level = MEMORY * self.noise + (1 - MEMORY) * noise
        weight = MEMORY * self.weight + (1 - MEMORY)
        squares = MEMORY**2 * self.squares + (1 - MEMORY) ** 2
        later = Signal(mean, level, weight, squares, self.quiet)
        return eqx.tree_at(lambda s: s.quiet, later, jnp.where(later.ratio() < QUIET, self.quiet + 1, 0))

    def ratio(self) -> Float[Array, ""]:
        """The squared norm of the average gradient over what noise alone would give it."""
        square = jnp.sum(self.gradient**2) / self.weight**2
        return square / jnp.maximum(self.noise / self.weight * self.squares / self.weight**2, 1e-30)


class Climb(eqx.Module):
    """Everything that goes from one step to the next."""

    learner: Learner
    measured: PyTree  # the parameters at which the last finite value was measured
    J: Any  # its baselines may learn
    signal: Signal
    done: Int[Array, ""]
    finite: Bool[Array, ""]
    structure: Any  # of the parameters, where the model is a list of their leaves

    def params(self, model: PyTree) -> PyTree:
        """The parameters that a model stands for."""
        return model if self.structure is None else self.structure.unflatten(model)


def maximize(
    J: Program,
    params: PyTree,
    key: PRNGKeyArray,
    *,
    optimiser: optax.GradientTransformation | None = None,
    steps: int = 500,
    replicates: int = 8,
    progress: bool | None = None,
    stop_in_noise: bool = True,
) -> tuple[PyTree, History]:
    """Parameters further up, and what each step saw.

    `J` is a `logpi.expectation` or any program `(params, key) -> scalar`; each step averages `replicates` calls of it,
    whose spread gives the errors. `optimiser` is any of Optax's, Adam at 0.01 unless given. It stops early when the
    gradients of a hundred steps do not rise above their noise (`stop_in_noise=False` goes on), at Ctrl-C, and where
    a number is not finite (a parameter out of its distribution's range makes it so, and is named): then it warns, and
    returns the parameters of the last finite value. `progress` writes a line to stderr; without a word, if that is a
    terminal. Raises `InputError` for bad input, and if the first step fails.
    """
    return _climb(
        J, params, key, 1.0, optimiser, steps, replicates=replicates, progress=progress, stop_in_noise=stop_in_noise
    )


def minimize(
    J: Program,
    params: PyTree,
    key: PRNGKeyArray,
    *,
    optimiser: optax.GradientTransformation | None = None,
    steps: int = 500,
    replicates: int = 8,
    progress: bool | None = None,
    stop_in_noise: bool = True,
) -> tuple[PyTree, History]:
    """Parameters further down, and what each step saw; else as `maximize`."""
    return _climb(
        J, params, key, -1.0, optimiser, steps, replicates=replicates, progress=progress, stop_in_noise=stop_in_noise
    )


def _climb(
    J, params, key, direction, optimiser, steps, *, replicates, progress, stop_in_noise
) -> tuple[PyTree, History]:
    check_program(J)
    check_hashable(flatten("J or params", (J, params))[0])
    steps = check_whole("steps", steps, 0)
    replicates = check_whole("replicates", replicates, 2, MOST_SAMPLES)
    stop_in_noise = check_flag("stop_in_noise", stop_in_noise)
    floats, rest = as_parameters(params)
    params = rest.filled(floats)
    key, optimiser = check_key(key), ADAM if optimiser is None else optimiser
    # Optimisers make pytrees of anything in the structure of the model.
    model, structure = (params, None) if holds_anything(rest.structure) else jax.tree.flatten(params)
    check_optimiser(optimiser, eqx.filter(model, trainable(model)))
    upwards = Optax(optimiser)
    checked_facts(J, Pieces.of(J, params), key)
    state = _start(J, model, structure, upwards, steps)
    show = sys.stderr.isatty() if progress is None else check_flag("progress", progress)
    rows, stopped = [], f"all {steps} steps taken"
    try:
        while int(state.done) < steps and not (stop_in_noise and int(state.signal.quiet) >= PATIENCE):
            with host_failures() as failures, unchecked(), differentiated():
                state, block = jax.block_until_ready(_block(state, key, upwards, direction, replicates))
            block = np.asarray(block)
            rows.append(block[: int(state.done) - sum(map(len, rows))])
            if show:
                _show(rows[-1], int(state.done), steps)
            if not bool(state.finite):
                stopped = str(failures[0]) if failures else _why(state, block, sum(map(len, rows[:-1])))
                break
        else:
            if int(state.done) < steps:
                stopped = f"the gradient was lost in noise for {PATIENCE} steps"
    except KeyboardInterrupt:
        stopped = "interrupted"
    if show:
        sys.stderr.write("\n")
    kept = state.learner.model if bool(state.finite) else state.measured
    return _made(state, kept, type(params).__name__), _history(rows, stopped, bool(state.finite))


def _made(state: Climb, model: PyTree, kind: str) -> PyTree:
    """The parameters that a model stands for. Raises `InputError` where nobody can make them."""
    try:
        return state.params(model)
    except Exception as error:  # whatever a constructor of anybody's raises
        raise InputError(
            f"the steps led to parameters of which no {kind} can be made ({said(error, 160)}): climb in free ones, by "
            "of=lambda p: ... with jnp.exp(p) for what has to be positive."
        ) from None


def _why(state: Climb, block: Float[np.ndarray, "n 4"], before: int) -> str:
    """What is not finite, in the step that was not taken."""
    if isinstance(state.J, Expectation):
        fault = state.J.fault(state.params(state.learner.model))
        if fault is not None:
            return fault
    value, _, norm, _ = block[int(state.done) - before]
    if np.isfinite(value) and np.isinf(norm):
        return "the gradient's norm was too large for its 32 bits: divide f by a constant"
    if np.isfinite(value) and np.isfinite(norm):
        return "the step led to parameters that are not finite: give an optimiser with smaller ones"
    return "the value or the gradient was not finite"


def _start(J: Program, model: PyTree, structure: Any, upwards: Optax, steps: int) -> Climb:
    flat, _ = ravel_pytree(widened(eqx.filter(model, trainable(model))))
    zero, none = jnp.zeros((), flat.dtype), jnp.zeros((), jnp.int32)
    signal = Signal(jnp.zeros_like(flat), zero, zero, zero, none)
    return Climb(init_learner(model, upwards, steps), model, J, signal, none, jnp.ones((), bool), structure)


@bounded_jit
def _block(state: Climb, key, upwards: Optax, direction: float, replicates: int) -> tuple[Climb, Array]:
    """Up to `BLOCK` steps, and a row for each."""
    arrays, rest = apart(state, eqx.is_array)

    def body(carry):
        arrays, rows, i = carry
        state, row = _step(rest.filled(arrays), key, upwards, direction, replicates)
        return apart(state, eqx.is_array)[0], rows.at[i].set(row), i + 1

    def proceed(carry):
        arrays, _, i = carry
        state = rest.filled(arrays)
        return (i < BLOCK) & (state.done < state.learner.num_updates) & state.finite

    arrays, rows, _ = jax.lax.while_loop(proceed, body, (arrays, jnp.zeros((BLOCK, 4)), jnp.zeros((), jnp.int32)))
    return rest.filled(arrays), rows


def _step(state: Climb, key, upwards: Optax, direction: float, replicates: int) -> tuple[Climb, Float[Array, " 4"]]:
    """One step; where a number is not finite, none, and the state says so."""
    dynamic, rest = eqx.partition(state.learner.model, trainable(state.learner.model))

    def sample(key):
        return jax.value_and_grad(lambda d: as_scalar(state.J(state.params(eqx.combine(d, rest)), key), "J"))(dynamic)

    keys = split(fold_in(key, state.done), replicates)
    values, gradients = jax.vmap(sample)(keys)
    values, flat = widened(values), jax.vmap(lambda g: ravel_pytree(widened(g))[0])(gradients)
    gradient, value = jnp.mean(flat, axis=0), jnp.mean(values)
    noise = jnp.sum(jnp.var(flat, axis=0, ddof=1)) / replicates
    signal = state.signal.after(gradient, noise)
    error = jnp.std(values, ddof=1) / math.sqrt(replicates)
    # An infinite entry is none that is merely large: the norm says so by NaN.
    norm = jnp.where(jnp.all(jnp.isfinite(gradient)), jnp.linalg.norm(gradient), jnp.nan)
    row = jnp.stack([value, error, norm, signal.ratio()])

    uphill = jax.tree.map(lambda g: direction * jnp.mean(g, axis=0), gradients)
    J = state.J.updated(value) if isinstance(state.J, Expectation) else state.J
    # What a step leads to is only seen by the next one, which may find no value there.
    measured = _either(jnp.isfinite(value), state.learner.model, state.measured)
    learner = apply_gradient(state.learner, uphill, upwards)
    taken = Climb(learner, measured, J, signal, state.done + 1, state.finite, state.structure)
    good = jnp.isfinite(value) & jnp.isfinite(row[2])  # a norm beyond 32 bits stops Adam where it stands
    good &= _stays_finite(state.learner.model, taken.learner.model)
    kept = Climb(state.learner, measured, state.J, state.signal, state.done, jnp.zeros((), bool), state.structure)
    return _either(good, taken, kept), row


def _either(is_first: Bool[Array, ""], first: PyTree, second: PyTree) -> PyTree:
    """One of two pytrees that differ in nothing but the numbers of their arrays."""
    return jax.tree.map(lambda a, b: jnp.where(is_first, a, b) if eqx.is_array(a) else a, first, second)


def _stays_finite(before: PyTree, after: PyTree) -> Bool[Array, ""]:
    """Whether no number that was finite has become infinite or NaN; a logit may be -infinity from the start."""
    old, new = (jax.tree.leaves(eqx.filter(model, trainable(model))) for model in (before, after))
    stays = [jnp.all(jnp.isfinite(b) | ~jnp.isfinite(a)) for a, b in zip(old, new, strict=True)]
    return jnp.all(jnp.stack(stays))


def _show(rows: Float[np.ndarray, "n 4"], done: int, steps: int) -> None:
    if len(rows):
        value, error, norm, signal = rows[-1]
        sys.stderr.write(
            f"\r\033[K{done:,} / {steps:,}  value {value:.5g} ± {error:.2g}  |gradient| {norm:.3g}  "
            f"signal/noise {signal:.3g}"
        )
        sys.stderr.flush()


def _history(rows: list[np.ndarray], stopped: str, finite: bool) -> History:
    table = np.concatenate(rows) if rows else np.zeros((0, 4))
    if not finite:
        if not len(table):
            raise InputError(f"the first step failed: {stopped}.")
        warnings.warn(
            f"stopped after {len(table)} steps, at the parameters of the last finite value: {stopped}", stacklevel=4
        )
    value, error, norm, signal = table.T
    return History(value, error, norm, signal, stopped)
