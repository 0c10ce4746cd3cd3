"""Interaction: a policy and environments in, a trajectory out, with one signature for all kinds of environment."""

import abc
import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Bool, Float, Key, PRNGKeyArray, PyTree

from ..errors import said
from ..models import AbstractPolicy, each_stream, Memory, refresh
from ..spaces.kinds import Space
from ..trajectory import Trajectory

Keep = Callable[..., Any]  # (trajectory, *arguments) -> arrays


def whole(trajectory: Trajectory) -> Trajectory:
    """All of a trajectory."""
    return trajectory


class AbstractRollout(eqx.Module):
    """Runs a policy in `num_envs` environments, `length` steps at a time. Owns batching, resets and memory."""

    compiled: eqx.AbstractVar[bool]  # whether `jax.jit` may go around `collect`
    obs_space: eqx.AbstractVar[Space]
    action_space: eqx.AbstractVar[Space]
    num_envs: eqx.AbstractVar[int]
    length: eqx.AbstractVar[int]
    to_env: eqx.AbstractVar[Callable[..., Any]]  # `(action_space, action)` to what the environment gets

    @abc.abstractmethod
    def init(self, policy: AbstractPolicy, key: PRNGKeyArray) -> Any:
        """New episodes everywhere: the state that `collect` goes on from."""

    @abc.abstractmethod
    def collect(self, policy: AbstractPolicy, state: Any, key: PRNGKeyArray) -> tuple[Trajectory, Any]:
        """The next `length` steps of every environment, and the state after them."""

    def begin(self, policy: AbstractPolicy, key: PRNGKeyArray) -> Any:
        """As `init`, in one compiled program where that can be."""
        return _begin(self, policy, key) if self.compiled else self.init(policy, key)

    def run(
        self, policy: AbstractPolicy, state: Any, key: PRNGKeyArray, keep: Keep = whole, *arguments: Any
    ) -> tuple[Any, Any]:
        """What `keep(trajectory, *arguments)` makes of the next steps, and the state after them.

        Compiled where that can be, `keep` along with it: what it leaves out of a trajectory need not be stored then.
        """
        if self.compiled:
            return _run(self, policy, state, key, keep, arguments)
        trajectory, state = self.collect(policy, state, key)
        return _kept(keep, trajectory, arguments), state

    @abc.abstractmethod
    def example(self, policy: AbstractPolicy, state: Any) -> Trajectory:
        """The shapes and types of what `collect` gives, as `jax.ShapeDtypeStruct`s."""

    @abc.abstractmethod
    def stored(self, state: Any) -> Any:
        """What of a state a checkpoint can hold."""

    @abc.abstractmethod
    def resumed(self, stored: Any, policy: AbstractPolicy, key: PRNGKeyArray) -> tuple[Any, bool]:
        """A state where `stored` was taken from, and whether all episodes had to begin anew for it."""

    @abc.abstractmethod
    def incidents(self, state: Any) -> list[str]:
        """What was wrong with environments since this was last asked, and did not stop them. It is forgotten then.

        Raises `EnvironmentFault` for what must stop them, and is seen only from outside.
        """

    @abc.abstractmethod
    def check_alive(self, state: Any, seconds: float) -> None:
        """Raises `EnvironmentFault` if a step is waited for longer than this. May be called from another thread."""

    @abc.abstractmethod
    def abandon(self, state: Any) -> None:
        """Ends a `collect` from this state that is under way in another thread; what it raises there is nobody's."""

    @abc.abstractmethod
    def close(self, state: Any) -> None:
        """Gives back what the environments of a state hold; the state cannot be gone on from."""


@eqx.filter_jit
def _begin(rollout: AbstractRollout, policy: AbstractPolicy, key: PRNGKeyArray) -> Any:
    return rollout.init(policy, key)


@eqx.filter_jit
def _run(rollout: AbstractRollout, policy: AbstractPolicy, state: Any, key, keep: Keep, arguments: Any):
    trajectory, state = rollout.collect(policy, state, key)
    return keep(trajectory, *arguments), state


@eqx.filter_jit
def _kept(keep: Keep, trajectory: Trajectory, arguments: Any) -> Any:
    return keep(trajectory, *arguments)


def compute_inline() -> None:
    """Lets this thread compute what it waits for: to hand an action to another costs more than to compute it.

    It counts only if nothing has been computed with JAX before.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)


def close_or_warn(rollout: AbstractRollout, state: Any, warn: Callable[[str], object] | None = None) -> None:
    """Closes the environments of a state. What they raise then is a warning, as there is nothing left to lose by it.

    So it neither takes the place of a result nor of what was raised before. `warn` hears the sentence; where there is
    none, it is a `RuntimeWarning`.
    """
    try:
        rollout.close(state)
    except Exception as error:
        sentence = f"the environments could not be closed ({type(error).__name__}: {said(error)}): mend their close()."
        if warn is None:
            warnings.warn(sentence, RuntimeWarning, stacklevel=2)
        else:
            warn(sentence)


def act(
    policy: AbstractPolicy,
    obs: PyTree[Array],
    start: Bool[Array, " streams"],
    memory: Memory,
    keys: Key[Array, " streams"],
) -> tuple[PyTree[Array], Float[Array, " streams"], Memory]:
    """The policy on every stream, with a key for each: actions, their log-probabilities, and the next memories.

    The log-probability is asked of the action, as learning does: so their ratio begins at 1, however that was rounded.
    """

    def one(policy, obs, start, memory, key):
        distribution, memory = policy(obs, refresh(policy, start, memory))
        action = distribution.sample(key)
        return action, distribution.log_prob(action), memory

    return each_stream(one, policy, obs, start, memory, keys)
