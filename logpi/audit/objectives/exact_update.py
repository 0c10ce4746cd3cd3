"""The update that an objective makes in expectation: every episode counted with its probability, none drawn."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ...batch import prepare, Segments
from ...credit import AbstractCredit, Credit
from ...errors import InputError
from ...jaxprs.compilation import bounded_jit
from ...learners.steps import gradient
from ...models import AbstractActorCritic
from ...trajectory import Trajectory
from ..problems import AbstractProblem, Streams

CreditLike = AbstractCredit | Callable[..., Any]  # or (reward, terminated, truncated, value) -> (advantage, target)


class RowObjective(eqx.Module):
    """An objective without its record, whose values may be of any shape with one number per row."""

    objective: Callable[..., Any]

    def __call__(self, model: AbstractActorCritic, batch: Segments) -> tuple[Float[Array, "segments time"], tuple[()]]:
        """The value of each row."""
        return values_of(self.objective, model, batch).reshape(batch.weight.shape), ()


class _Values(AbstractCredit):
    """No credit: hands the values on, so that credit can be given elsewhere."""

    def __call__(self, reward, terminated, truncated, value):
        return Credit(value[1:], value[:-1])


def values_of(objective: Callable[..., Any], model: AbstractActorCritic, batch: Segments) -> Array:
    """What an objective says of the rows, whether or not it has a record beside it."""
    found = objective(model, batch)
    return jnp.asarray(found[0] if isinstance(found, tuple) else found)


def traced(tree: Any) -> Any:
    """Every Python float as an array of full precision, so that one compiled program serves all values."""
    return jax.tree.map(lambda x: jnp.asarray(x, float) if isinstance(x, float) else x, tree)


@bounded_jit
def _prepared(model: AbstractActorCritic, trajectory: Trajectory, credit: AbstractCredit) -> Segments:
    return prepare(model, trajectory, credit, None)


def batch_of(model: AbstractActorCritic, trajectory: Trajectory, credit: CreditLike) -> Segments:
    """Rows to learn from. A plain function is called for one stream at a time, with NumPy arrays, outside of `jit`."""
    if isinstance(credit, AbstractCredit):
        return _prepared(model, trajectory, traced(credit))
    batch, (streams, time) = _prepared(model, trajectory, _Values()), trajectory.start.shape
    value, after = (np.asarray(x).reshape(streams, time) for x in (batch.value, batch.advantage))
    value = np.concatenate([value[:, :1], after], axis=1)
    columns = [np.asarray(x) for x in (trajectory.reward, trajectory.terminated, trajectory.truncated)]
    given = [_checked(credit(*(np.array(x) for x in stream)), time) for stream in zip(*columns, value, strict=True)]
    shape = batch.weight.shape
    advantage, target = (jnp.asarray(np.stack(x)).reshape(shape) for x in zip(*given, strict=True))
    return eqx.tree_at(lambda b: (b.advantage, b.target), batch, (advantage, target))


def _checked(given: Any, time: int) -> tuple[np.ndarray, np.ndarray]:
    pair = (given.advantage, given.target) if isinstance(given, Credit) else given
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError(f"the credit returned {type(pair).__name__}, but it must return (advantage, target).")
    advantage, target = (np.asarray(x, np.float64) for x in pair)
    for name, x in (("advantage", advantage), ("target", target)):
        if x.shape != (time,):
            raise InputError(f"the credit's {name} has the shape {x.shape}, but it must be ({time},): one per row.")
    return advantage, target


@bounded_jit
def weighted_gradient(
    objective: RowObjective, model: Any, batch: Segments, weight: Float[Array, "..."]
) -> Float[Array, " parameters"]:
    """The gradient of the weighted sum of an objective, in the policy's parameters, as one vector."""
    batch = eqx.tree_at(lambda b: b.weight, batch, weight.reshape(batch.weight.shape))
    uphill, _ = gradient(objective, model, batch)
    return ravel_pytree(uphill.policy)[0] * jnp.sum(weight)


@dataclasses.dataclass(frozen=True)
class ExactUpdate:
    """An objective and a credit on a problem. Make and use it under `jax.enable_x64(True)`."""

    problem: AbstractProblem
    objective: RowObjective  # its settings traced
    credit: CreditLike

    @functools.cached_property
    def streams(self) -> Streams:
        """Every episode."""
        return self.problem.streams()

    @functools.cached_property
    def critics(self) -> dict[str, AbstractActorCritic]:
        """The policy with each critic."""
        return self.problem.critics()

    @functools.cached_property
    def truth(self) -> Float[np.ndarray, " parameters"]:
        """The true gradient. Raises `InputError` where it is zero."""
        truth = self.problem.flat_gradient()
        if not np.linalg.norm(truth) > 1e-9:
            raise InputError(
                f"the gradient on the problem {self.problem.name} is zero or not finite, so an update has no direction "
                "to compare: give rewards that depend on the actions, and a policy that still chooses."
            )
        return truth

    def expected(
        self,
        objective: RowObjective | None = None,
        *,
        credit: CreditLike | None = None,
        critic: str = "exact",
        plain: bool = False,
        trajectory: Trajectory | None = None,
    ) -> Float[np.ndarray, " parameters"]:
        """The expected sum over an episode's rows, with what is named in place of the case's own.

        `plain` drops the discount of the states.
        """
        model, trajectory = self.critics[critic], trajectory or self.streams.trajectory
        batch = batch_of(model, trajectory, self.credit if credit is None else credit)
        weight = self.streams.plain if plain else self.streams.exact
        return np.asarray(weighted_gradient(objective or self.objective, model, batch, jnp.asarray(weight)), np.float64)

    def batch(self) -> Segments:
        """The rows of all episodes under the exact critic."""
        return batch_of(self.critics["exact"], self.streams.trajectory, self.credit)
