"""What a problem with an exact gradient is: J and its gradient in float64, and every episode with its probability."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree

from ...models import AbstractActionValues, AbstractActorCritic, AbstractPolicy, Memory, Output
from ...spaces.kinds import Space
from ...trajectory import Trajectory

FOREIGN = 5.0  # the reward of rows that belong to other episodes: large, so that a leak is seen


class Streams(eqx.Module):
    """Episodes, one a stream, with rows of other episodes around them, and what each counts in an expectation."""

    trajectory: Trajectory
    exact: Float[
        np.ndarray, "streams time"
    ]  # probability times gamma^t: with these weights the policy gradient is exact
    chance: Float[np.ndarray, " streams"]  # probability that a rollout from a reset shows this episode: they sum to 1

    @property
    def plain(self) -> Float[np.ndarray, "streams time"]:
        """The weights that counting rows gives, without the discount of the states."""
        return self.chance[:, None] * np.asarray(self.trajectory.valid)


class AbstractValues(eqx.Module):
    """A critic: from an observation to a value."""

    @abc.abstractmethod
    def __call__(self, obs: Array) -> Float[Array, ""]:
        """The value, in units of return."""


class WithValues(AbstractActorCritic):
    """A policy and a critic that share no parameter."""

    policy: AbstractPolicy
    values: AbstractValues

    def initial_memory(self) -> Memory:
        return self.policy.initial_memory()

    def evaluate(self, obs: Array, memory: Memory) -> tuple[Output, Memory]:
        distribution, memory = self.policy(obs, memory)
        return Output(distribution, self.values(obs)), memory


class AbstractProblem(eqx.Module):
    """A small task and a policy for it, whose J and gradient are known. Use the methods under `jax.enable_x64(True)`.

    `check` is the key of an audit's check on it, and `cure` says what to do where it fails.
    """

    name: eqx.AbstractVar[str]
    gamma: eqx.AbstractVar[float]

    @property
    @abc.abstractmethod
    def obs_space(self) -> Space:
        """What the policy sees."""

    @property
    @abc.abstractmethod
    def action_space(self) -> Space:
        """What it does."""

    @property
    @abc.abstractmethod
    def check(self) -> str:
        """The key of the check that this problem is for."""

    @property
    @abc.abstractmethod
    def cure(self) -> str:
        """What to do if the check fails here."""

    @abc.abstractmethod
    def policy(self) -> AbstractPolicy:
        """The policy whose gradient is asked for; its floating-point leaves are the parameters."""

    @abc.abstractmethod
    def before(self) -> "AbstractProblem":
        """The same task with another policy, which may have acted earlier."""

    @abc.abstractmethod
    def objective(self, policy: AbstractPolicy, temperature: Any = 0.0) -> Float[Array, ""]:
        """J, the expected discounted return, by no estimator: JAX differentiates it to the true gradient.

        With a temperature, every reward is more by so much for each nat of the entropy of the policy there.
        """

    @abc.abstractmethod
    def critics(self) -> dict[str, AbstractActorCritic]:
        """The policy with a critic that is `exact`, one that is `wrong`, and whatever else there is."""

    @abc.abstractmethod
    def action_values(self, temperature: float, deterministic: bool) -> dict[str, AbstractActionValues]:
        """One critic of actions that is `exact`, one that is `wrong`, and one `above` the exact one everywhere.

        Of the policy, whose entropy counts with the `temperature`; of its modes, if `deterministic`. Without those that
        are not known.
        """

    @abc.abstractmethod
    def streams(self) -> Streams:
        """Every episode; of a Gaussian policy, nodes over which a sum gives the expectation exactly."""

    @abc.abstractmethod
    def draw(self, rng: np.random.Generator, num_streams: int) -> Trajectory:
        """Episodes drawn at random."""

    def true_gradient(self, temperature: float = 0.0) -> PyTree:
        """Of J in the policy's parameters, at the policy: a tree of the policy's structure, in float64."""
        with jax.enable_x64(True):
            numbers = jax.tree.map(lambda x: np.asarray(x, np.float64) if isinstance(x, float) else x, self)
            return _gradient(self.policy(), numbers, np.asarray(temperature, np.float64))

    def flat_gradient(self, temperature: float = 0.0) -> Float[np.ndarray, " parameters"]:
        """The true gradient as one vector."""
        with jax.enable_x64(True):
            return np.asarray(ravel_pytree(self.true_gradient(temperature))[0], np.float64)


@eqx.filter_jit  # not one for each problem: those of one shape share a program
def _gradient(policy: AbstractPolicy, problem: AbstractProblem, temperature: Any) -> PyTree:
    return eqx.filter_grad(lambda policy: problem.objective(policy, temperature))(policy)


def lay_out(
    obs: np.ndarray,
    action: np.ndarray,
    log_prob: Float[np.ndarray, "streams steps"],
    reward: Float[np.ndarray, "streams steps"],
    length: Int[np.ndarray, " streams"],
    *,
    terminated: Bool[np.ndarray, " streams"],
    truncated: Bool[np.ndarray, " streams"],
    last: bool = False,
) -> Trajectory:
    """One episode a stream, as a rollout would hold it: `steps + 2` rows.

    `obs` is (streams, steps + 1, ...), `action` (streams, steps, ...). What follows an episode's end is the row that
    resets and the start of another episode. With `last` the rollout ends with the episode's rows, and the end of
    another one stands before them. Only the rows of the episode itself are valid.
    """
    row = np.arange(reward.shape[1] + 3) - (2 if last else 0)  # within the episode; one more than there are rows
    row, length = row[None, :], length[:, None]
    inside, source = (row >= 0) & (row < length), np.where((row >= 0) & (row <= length), row, 0)

    def pick(x):
        index = np.minimum(source, x.shape[1] - 1)
        return np.take_along_axis(x, index.reshape(*index.shape, *(1,) * (x.ndim - 2)), axis=1)

    ends, start = row == length - 1, (row == 0) | (row == length + 1)
    rows = (
        pick(action),
        pick(log_prob),
        np.where(inside, pick(reward), np.where((row == length) | (row == -1), 0.0, FOREIGN)),
        (ends & terminated[:, None]) | (row == -2),
        ends & truncated[:, None],
        start,
        inside,
    )
    seen = pick(obs)
    # NumPy so far: JAX would compile every one of these small operations.
    columns = (seen[:, :-1], *(x[:, :-1] for x in rows), seen[:, -1], start[:, -1])
    return Trajectory(*(jnp.asarray(x) for x in columns), memory=())


def normal_log_prob(off: Float[np.ndarray, "... n"], log_std: Float[np.ndarray, " n"]) -> Float[np.ndarray, "..."]:
    """The log-density of a Gaussian with a diagonal covariance, of what lies `off` its mean."""
    return -np.sum(0.5 * (off * np.exp(-log_std)) ** 2 + log_std + 0.5 * np.log(2 * np.pi), axis=-1)
