"""Interaction one rollout ahead: the next one is under way while the algorithm learns from the last."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray, PyTree

from ..errors import EnvironmentFault
from ..models import AbstractPolicy
from ..spaces.kinds import Space
from ..trajectory import Trajectory
from .base import AbstractRollout

PATIENCE = 10.0  # seconds that closing waits for a step
_FIRST = 0xF1857  # sets the key of the first rollout apart from that of the environments


class Collected(eqx.Module):
    """A trajectory that nobody has learned from yet, and where the environments stand after it."""

    trajectory: Trajectory
    state: PyTree


@dataclasses.dataclass
class _Worker:
    """What all states of the same environments share."""

    thread: threading.Thread | None = None  # in which they step, or stepped last

    def finish(self, seconds: float | None = None) -> bool:
        """Waits until they stand, or so long; and whether they do."""
        if self.thread is None:
            return True
        self.thread.join(seconds)
        return not self.thread.is_alive()


class Collecting:
    """The same while a thread collects it."""

    def __init__(
        self, rollout: AbstractRollout, policy: AbstractPolicy, state: Any, key: PRNGKeyArray, worker: _Worker
    ):
        self.state = state  # from which it goes on; what others may see of the environments is there too
        self.worker = worker
        self._came: list[tuple[Trajectory, Any]] = []
        self._raised: list[BaseException] = []

        def collect():
            try:
                self._came.append(rollout.collect(policy, state, key))
            except BaseException as error:  # it is raised in the thread that waits
                self._raised.append(error)

        worker.thread = threading.Thread(target=collect, daemon=True)  # nobody has to wait for one that hangs
        worker.thread.start()

    def wait(self) -> Collected:
        """What was collected. Raises what the collecting raised."""
        self.worker.finish()
        for error in self._raised:
            raise error
        return Collected(*self._came[0])


class Overlapping(AbstractRollout):
    """A rollout that is collected by the policy before: `collect` gives what the call before had begun.

    So the policy that acted is one update older than the one that learns, in every iteration but the first, whoever is
    faster. On the host the next rollout is under way meanwhile, in a thread; compiled, the one comes after the other.
    """

    rollout: AbstractRollout

    @property
    def compiled(self) -> bool:
        """As what it waits for."""
        return self.rollout.compiled

    @property
    def obs_space(self) -> Space:
        """The environment's."""
        return self.rollout.obs_space

    @property
    def action_space(self) -> Space:
        """The environment's."""
        return self.rollout.action_space

    @property
    def num_envs(self) -> int:
        """How many there are."""
        return self.rollout.num_envs

    @property
    def length(self) -> int:
        """Steps of a rollout."""
        return self.rollout.length

    @property
    def to_env(self) -> Callable[..., Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The way of an action to the environment."""
        return self.rollout.to_env

    def init(self, policy: AbstractPolicy, key: PRNGKeyArray) -> Collected | Collecting:
        """New episodes everywhere, and the first rollout of them begun."""
        return self._first(self.rollout.init(policy, key), policy, key)

    def collect(self, policy: AbstractPolicy, state: Any, key: PRNGKeyArray) -> tuple[Trajectory, Any]:
        if isinstance(state, Collected):
            return state.trajectory, Collected(*self.rollout.collect(policy, state.state, key))
        came = state.wait()
        return came.trajectory, Collecting(self.rollout, policy, came.state, key, state.worker)

    def example(self, policy: AbstractPolicy, state: Any) -> Trajectory:
        return self.rollout.example(policy, state.state)

    def stored(self, state: Any) -> Any:
        """With what was collected, where environments can be stored."""
        if state is None or (inner := self.rollout.stored(state.state)) is None:
            return None
        return Collected(state.trajectory, inner)

    def resumed(self, stored: Any, policy: AbstractPolicy, key: PRNGKeyArray) -> tuple[Any, bool]:
        if stored is None:
            state, anew = self.rollout.resumed(stored, policy, key)
            return self._first(state, policy, key), anew
        state, anew = self.rollout.resumed(stored.state, policy, key)
        return Collected(stored.trajectory, state), anew

    def incidents(self, state: Any) -> list[str]:
        return self.rollout.incidents(state.state)

    def check_alive(self, state: Any, seconds: float) -> None:
        self.rollout.check_alive(state.state, seconds)

    def abandon(self, state: Any) -> None:
        self.rollout.abandon(state.state)

    def close(self, state: Any) -> None:
        """What is under way is given up: nobody would learn from it. Raises `EnvironmentFault` for one that hangs."""
        self.rollout.abandon(state.state)
        if isinstance(state, Collecting) and not state.worker.finish(PATIENCE):
            raise EnvironmentFault(f"a step was still waited for after {PATIENCE:.0f} s, and they are left as they are")
        self.rollout.close(state.state)

    def _first(self, state: Any, policy: AbstractPolicy, key: PRNGKeyArray) -> Collected | Collecting:
        key = jax.random.fold_in(key, _FIRST)
        if self.compiled:
            return Collected(*self.rollout.collect(policy, state, key))
        return Collecting(self.rollout, policy, state, key, _Worker())
