"""Many host environments stepped together, with one meaning of the end of an episode, whatever they come from."""

import abc
import contextlib
import functools
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, PyTree

from ..errors import EnvironmentFault, InputError
from ..spaces.gymnasium import from_gymnasium
from ..spaces.kinds import Box, Dict, Space, Tuple
from .guard import RESTARTED, shown_action, Watched

Rewards = Float[np.ndarray, " num_envs"]
Flags = Bool[np.ndarray, " num_envs"]


class AbstractVectorEnv(abc.ABC):
    """`num_envs` environments in lockstep; arrays are NumPy's, with the environments first.

    The step after the end of an episode resets: whatever the action, its reward is 0, no flag is set, and its
    observation is the first of the new episode. So an observation always is what the last action led to.
    Observations are float32, int32, bool or, for images, uint8.
    """

    name: str
    num_envs: int
    obs_space: Space
    action_space: Space
    restarted: Mapping[int, str] = MappingProxyType({})
    """Which environments broke down in the last step and were made anew, and why: their step counts for nothing, and
    its observation is the first of a new episode."""

    @abc.abstractmethod
    def reset(self) -> PyTree[np.ndarray]:
        """New episodes everywhere, and their first observations (num_envs, ...)."""

    @abc.abstractmethod
    def send(self, action: np.ndarray) -> None:
        """Starts a step with actions (num_envs, ...); what has threads or processes returns before it is done."""

    @abc.abstractmethod
    def receive(self) -> tuple[PyTree[np.ndarray], Rewards, Flags, Flags]:
        """What the step led to: observations, rewards (float32), whether terminated and whether truncated."""

    def step(self, action: np.ndarray) -> tuple[PyTree[np.ndarray], Rewards, Flags, Flags]:
        """`send` and `receive`."""
        self.send(action)
        return self.receive()

    @abc.abstractmethod
    def render(self) -> np.ndarray:
        """What the environments look like: (num_envs, height, width, 3), uint8.

        Raises `InputError` if they were not made for it, or show nothing.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Gives back what the environments hold: threads, processes, windows."""


class GymnasiumVector(AbstractVectorEnv):
    """A vector environment of Gymnasium's in next-step autoreset mode.

    `ours` says whether it is closed here, or by whoever made it. Raises `InputError` for the other modes: they show the
    first observation of the next episode in place of the observation that the last action led to.
    """

    def __init__(self, env: Any, seed: int | None = None, name: str | None = None, *, ours: bool = True):
        from gymnasium.vector import AutoresetMode

        self.name = name or (env.spec.id if env.spec else type(env.unwrapped).__name__)
        mode = (env.metadata or {}).get("autoreset_mode")
        if mode not in (AutoresetMode.NEXT_STEP, AutoresetMode.NEXT_STEP.value):
            called = mode.value if isinstance(mode, AutoresetMode) else mode
            raise InputError(
                f"The vector environment {self.name} resets itself in mode {called!r}, which hides the observation "
                "after the last action: make it with autoreset_mode=gymnasium.vector.AutoresetMode.NEXT_STEP, or "
                "give the function that makes one environment."
            )
        self.num_envs = env.num_envs
        self.obs_space = from_gymnasium(env.single_observation_space)
        self.action_space = from_gymnasium(env.single_action_space)
        self._env, self._seed, self._ours = env, seed, ours
        self._cut_off = False  # a process of one has ended by itself
        self._as_member = member_caster(env.single_action_space)
        self._cast = caster(self.obs_space)

    def reset(self) -> PyTree[np.ndarray]:
        """New episodes everywhere; the first call seeds environment i with `seed + i`.

        Raises `EnvironmentFault` where the process of one has ended by itself.
        """
        with self._answering("as it was reset"):
            obs, _ = self._env.reset(seed=self._seed)
        self._seed = None
        return self._cast(obs)

    def send(self, action: np.ndarray) -> None:
        """Keeps the actions: only some of Gymnasium's vector environments can step without being waited for."""
        self._action = self._as_member(np.asarray(action))

    def receive(self):
        """One step of all environments. Raises `EnvironmentFault` where the process of one has ended by itself."""
        with self._answering(f"on the actions {shown_action(self._action)}"):
            obs, reward, terminated, truncated, info = self._env.step(self._action)
        self.restarted = {int(i): info[RESTARTED][i] for i in np.flatnonzero(info.get(f"_{RESTARTED}", ()))}
        return self._cast(obs), reward.astype(np.float32), terminated, truncated

    def render(self) -> np.ndarray:
        if self._env.render_mode != "rgb_array":
            raise InputError(f"{self.name} shows nothing: make it with render_mode='rgb_array'.")
        return np.stack(self._env.render())

    def close(self) -> None:
        """Closes the environments, if they are ours."""
        if self._ours and self._cut_off:
            _end(self._env)
        elif self._ours:
            self._env.close()

    @contextlib.contextmanager
    def _answering(self, when: str) -> Generator[None]:
        """Says it in words where the process of an environment is not there any more to answer."""
        try:
            yield
        except (EOFError, ConnectionError) as error:
            self._cut_off = True
            raise EnvironmentFault(
                f"A process of the environments {self.name} ended by itself ({type(error).__name__}), {when}: it was "
                "killed, or it crashed; see whether memory ran out."
            ) from error


def vectorize(
    make_one: Callable[[], Any],
    num_envs: int,
    seed: int | None = None,
    *,
    processes: bool = False,
    restart: bool = False,
    name: str | None = None,
) -> GymnasiumVector:
    """`num_envs` environments of Gymnasium's from a function that makes one; each in a process of its own if asked.

    A process pays where a step takes longer than about a millisecond. With `restart`, an environment that breaks down
    is made anew.
    """
    from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

    called = name or getattr(make_one, "__name__", "the environment")
    functions: list[Any] = [functools.partial(Watched, make_one, i, restart, called) for i in range(num_envs)]
    if processes:
        # Not by fork: a copy of a process that runs JAX's threads may hang.
        env = AsyncVectorEnv(functions, autoreset_mode=AutoresetMode.NEXT_STEP, context="forkserver")
    else:
        env = SyncVectorEnv(functions, autoreset_mode=AutoresetMode.NEXT_STEP)
    return GymnasiumVector(env, seed, name)


def _end(env: Any) -> None:
    """Ends the processes of an `AsyncVectorEnv` that lost one: its own `close` would wait for answers given already."""
    from gymnasium.vector import AsyncVectorEnv

    if not isinstance(env, AsyncVectorEnv):
        env.close()
        return
    for process in env.processes:
        process.terminate()
        process.join()
    for pipe in env.parent_pipes:
        if pipe is not None:
            pipe.close()
    env.closed = True


def member_caster(space: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A function that brings actions in 32 bits to the type of a space of Gymnasium's.

    Between its bounds, where 32 bits cannot write these: rounded to 32 bits, 0.1 is more than it is in 64.
    """
    from gymnasium import spaces

    if not isinstance(space, spaces.Box) or np.can_cast(space.dtype, np.float32):
        return lambda action: np.asarray(action, space.dtype)
    low, high = _inside(space.low, np.inf), _inside(space.high, -np.inf)
    return lambda action: np.asarray(action, np.float64).clip(low, high).astype(space.dtype, copy=False)


def _inside(bound: np.ndarray, inwards: float) -> np.ndarray:
    """A bound as float64, never beyond it: 2**63 - 1 would be rounded to 2**63, which the cast takes for -2**63."""
    rounded = np.asarray(bound, np.float64)
    compare = np.less if inwards > 0 else np.greater
    beyond = compare(rounded.astype(object), bound.astype(object))  # Python's numbers are compared exactly
    return np.where(beyond, np.nextafter(rounded, inwards), rounded)


def caster(space: Space) -> Callable[[PyTree[np.ndarray]], PyTree[np.ndarray]]:
    """A function that brings observations of a space to the types that JAX computes with."""
    match space:
        case Dict():
            casters = {name: caster(part) for name, part in space.parts}
            return lambda obs: {name: cast(obs[name]) for name, cast in casters.items()}
        case Tuple():
            parts = tuple(caster(part) for part in space.parts)
            return lambda obs: tuple(cast(obs[i]) for i, cast in enumerate(parts))
        case Box(dtype="int64" | "uint32" | "uint64"):
            return lambda obs: np.asarray(obs, np.float32)  # int32 would take its greatest numbers for negative ones
        case _:
            return _cast_array


def _cast_array(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, _computed_dtype(array.dtype))


@functools.cache
def _computed_dtype(dtype: np.dtype) -> np.dtype:
    if np.issubdtype(dtype, np.floating):
        return np.dtype(np.float32)
    return dtype if dtype in (np.dtype(np.uint8), np.dtype(np.bool_)) else np.dtype(np.int32)
