"""The derivative of a loss in its log-probabilities, whatever it is written in: JAX, PyTorch or NumPy."""

import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...errors import choice, InputError, said, shown
from ...estimators.problem import is_function

STEP = 1e-5  # of central differences: their error is its square, their rounding 1e-16 over it

Batches = dict[str, np.ndarray]  # by role; the first axis counts the batches


class LossValues(NamedTuple):
    """A loss on several batches, and d loss / d log_prob."""

    value: Float[np.ndarray, " batches"]
    derivative: Float[np.ndarray, "batches *rows"]


Evaluate = Callable[[Batches], LossValues]


def evaluation_of(loss: Any, framework: str, trial: Batches) -> tuple[Evaluate, tuple[str, ...], str]:
    """A function from batches to the loss and d loss / d log_prob; its roles, and what differentiates.

    `framework` is "jax", "torch", "numpy", or "auto": the first of these that takes the loss. JAX and PyTorch
    differentiate by themselves. A NumPy loss returns the pair (loss, d loss / d log_prob), or the loss alone, which
    central differences in float64 then differentiate, through everything that it makes of `log_prob`: NumPy has no
    stop_gradient. Raises `InputError` where none of them takes it, or it asks for arrays that `trial` has not.
    """
    roles = roles_of(loss, tuple(trial))
    makers = {"jax": _jax, "torch": _torch, "numpy": _numpy}
    framework = choice("framework", framework, ("auto", *makers))
    wanted = [framework] if framework != "auto" else [n for n in makers if n != "torch" or "torch" in sys.modules]
    reasons = []
    for name in wanted:
        try:
            return makers[name](loss, roles, trial), roles, name
        except InputError:
            raise
        except Exception as reason:  # whatever a loss made for another framework raises
            reasons.append(f"{name}: {said(reason, 160)}")
    shapes = ", ".join(f"{name} {trial[name].shape[1:]}" for name in roles)
    raise InputError(f"the loss cannot be called with arrays of shapes {shapes}: {'; '.join(reasons)}.")


def roles_of(loss: Any, known: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the arrays that a loss asks for: its arguments without a default value, and the known ones with.

    Raises `InputError` for a name that is not `known`, and for a loss without `log_prob`.
    """
    if not is_function(loss):
        raise InputError(f"the loss is {shown(loss)}, but it must be a function of arrays, as of log_prob.")
    parameters = inspect.signature(loss).parameters.values()
    fixed = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = tuple(p.name for p in fixed if p.default is p.empty or p.name in known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(
            f"the loss asks for {', '.join(unknown)}, but the arrays there are called {', '.join(known)}: rename the "
            "argument, or give it a default value."
        )
    if "log_prob" not in names:
        raise InputError("the loss has no argument log_prob, in which its derivative is taken: add it.")
    return names


def _scalar(shape: tuple[int, ...]) -> None:
    if shape != ():
        raise InputError(f"the loss has the shape {shape}, but it must be one number: sum or average it.")


def _jax(loss: Callable[..., Any], roles: tuple[str, ...], trial: Batches) -> Evaluate:
    def one(log_prob: Any, rest: dict[str, Any]) -> Any:
        found = loss(log_prob=log_prob, **rest)
        if isinstance(found, tuple):
            raise TypeError("it returns a tuple: return the loss alone")
        value = jnp.asarray(found)
        _scalar(value.shape)
        return value

    def put(batches: Batches) -> tuple[Any, dict[str, Any]]:
        return jnp.asarray(batches["log_prob"]), {n: jnp.asarray(batches[n]) for n in roles if n != "log_prob"}

    def evaluate(batches: Batches) -> LossValues:
        with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):  # silent broadcasting is for the audit to find
            return LossValues(*(np.asarray(x, np.float64) for x in many(*put(batches))))

    many = jax.jit(jax.vmap(jax.value_and_grad(one)))
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        jax.eval_shape(many, *put(trial))  # traced, not compiled: that is for the batches to come
    return evaluate


def _torch(loss: Callable[..., Any], roles: tuple[str, ...], trial: Batches) -> Evaluate:
    torch = importlib.import_module("torch")

    def one(batch: dict[str, np.ndarray]) -> tuple[float, np.ndarray]:
        tensors = {name: torch.from_numpy(np.array(x)) for name, x in batch.items()}
        tensors["log_prob"].requires_grad_(True)
        value = loss(**tensors)
        _scalar(tuple(value.shape))
        if not value.requires_grad:
            return float(value), np.zeros(batch["log_prob"].shape)
        (found,) = torch.autograd.grad(value, tensors["log_prob"], allow_unused=True)
        return float(value), np.zeros(batch["log_prob"].shape) if found is None else found.numpy()

    return _one_by_one(one, roles, trial)


def _numpy(loss: Callable[..., Any], roles: tuple[str, ...], trial: Batches) -> Evaluate:
    def value(batch: dict[str, np.ndarray]) -> Any:
        found = loss(**batch)
        if isinstance(found, jax.Array):  # differences would not see its stop_gradient
            raise TypeError("it returns an array of JAX, so JAX must be able to trace it")
        if isinstance(found, tuple) and (len(found) != 2 or not _is_derivative(found[1], batch["log_prob"])):
            raise InputError(
                f"the loss returns a tuple of {len(found)}, whose second part is no derivative in log_prob: return the "
                "loss alone, without what else it knows."
            )
        if not isinstance(found, tuple):
            _scalar(np.shape(found))
        return found

    def one(batch: dict[str, np.ndarray]) -> tuple[float, np.ndarray]:
        first, at = value(batch), batch["log_prob"]
        if isinstance(first, tuple):
            return float(np.asarray(first[0])), np.asarray(first[1], np.float64)
        found = np.zeros(at.shape)
        for place in np.ndindex(at.shape):
            step = np.zeros(at.shape)
            step[place] = STEP
            above, below = value(batch | {"log_prob": at + step}), value(batch | {"log_prob": at - step})
            found[place] = (above - below) / (2 * STEP)
        return float(first), found

    return _one_by_one(one, roles, trial)


def _is_derivative(found: Any, log_prob: np.ndarray) -> bool:
    """Whether it may be d loss / d log_prob."""
    if isinstance(found, jax.Array):
        return False
    try:
        array = np.asarray(found)
    except (TypeError, ValueError):  # a list of lists of several lengths, say
        return False
    return array.dtype.kind in "fiub" and array.shape == log_prob.shape


def _one_by_one(
    one: Callable[[dict[str, np.ndarray]], tuple[float, np.ndarray]], roles: tuple[str, ...], trial: Batches
) -> Evaluate:
    def evaluate(batches: Batches) -> LossValues:
        count = len(batches["log_prob"])
        found = [one({name: batches[name][i] for name in roles}) for i in range(count)]
        return LossValues(np.array([value for value, _ in found]), np.stack([slope for _, slope in found]))

    evaluate(trial)
    return evaluate
