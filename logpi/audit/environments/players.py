"""One environment of any suite, made to be played by hand: reset with a seed, step with an action."""

import abc
import contextlib
import copy
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ...envs import AbstractEnv, AbstractVectorEnv, EnvSource, HostSource
from ...envs.sources import EnvPoolMaker, FunctionMaker, GivenVector, GymnasiumMaker
from ...envs.told_masks import mask_told
from ...errors import InputError
from ...spaces.gymnasium import from_gymnasium
from ...spaces.kinds import Space
from ...spaces.masks import MASK


class AbstractPlayer(abc.ABC):
    """One environment, played step by step. `start` makes it; the spaces are known after that."""

    obs_space: Space
    action_space: Space
    patient: bool  # whether `reset` makes or compiles it, so that the first calls take longer
    remakes: bool  # whether `start` makes a new one each time
    limit: int | None  # steps after which it says that it cuts an episode
    autoreset: str  # what happens at the step after an end
    faults: list[str]  # of the automatic reset
    shared: bool = False  # `start` was given the environment again that it had been given before

    @abc.abstractmethod
    def start(self) -> None:
        """Makes the environment."""

    @abc.abstractmethod
    def reset(self, seed: int | None) -> Any:
        """What `reset` gives: an observation and an info."""

    @abc.abstractmethod
    def step(self, action: Any) -> Any:
        """What `step` gives: observation, reward, terminated, truncated, info."""

    @abc.abstractmethod
    def mask(self, obs: Any, info: Any) -> Any:
        """Which choices are allowed, after what `reset` or `step` gave; `None` where all are."""

    @abc.abstractmethod
    def cut_at(self, limit: int) -> "AbstractPlayer | None":
        """The same environment with a shorter time limit; `None` where that cannot be asked for."""

    @abc.abstractmethod
    def close(self) -> None:
        """Closes what was made here."""


class GymnasiumPlayer(AbstractPlayer):
    """An environment of Gymnasium's interface: from a maker, or as it is given."""

    def __init__(self, make: Callable[[], Any] | None, given: Any = None):
        self._make, self._env = make, given
        self.patient, self.remakes, self.faults, self.limit = False, make is not None, [], None
        self.autoreset = "none: the caller resets"

    def start(self) -> None:
        """Makes the environment, unless it was given. Raises `InputError` for spaces that logpi does not know."""
        if self._make is not None:
            before, self._env = self._env, self._make()
            self.shared |= before is not None and before.unwrapped is self._env.unwrapped
        self.obs_space = from_gymnasium(self._env.observation_space)
        self.action_space = from_gymnasium(self._env.action_space)
        spec = getattr(self._env, "spec", None)
        self.limit = getattr(spec, "max_episode_steps", None)
        if self.limit is None:
            named = (getattr(self._env.unwrapped, name, None) for name in ("max_episode_steps", "_max_episode_steps"))
            self.limit = next((found for found in named if isinstance(found, int)), None)

    def reset(self, seed: int | None) -> Any:
        return self._env.reset() if seed is None else self._env.reset(seed=seed)

    def step(self, action: Any) -> Any:
        """The environment's. It gets a copy of the action."""
        return self._env.step(copy.deepcopy(action))

    def mask(self, obs: Any, info: Any) -> Any:
        """Shown in the observation, or told beside it."""
        shown = _shown_mask(obs)
        with contextlib.suppress(Exception):  # some have no answer after an end
            return mask_told(self._env, info) if shown is None else shown
        return None

    def cut_at(self, limit: int) -> AbstractPlayer | None:
        """Of an environment made by its name."""
        maker = getattr(self._make, "__self__", None)
        if not isinstance(maker, GymnasiumMaker):
            return None
        return GymnasiumPlayer(GymnasiumMaker(maker.id, maker.options | {"max_episode_steps": limit}).one)

    def close(self) -> None:
        if self._make is not None and self._env is not None:
            self._env.close()


class VectorPlayer(AbstractPlayer):
    """The first environment of a vector of them; the others do what it does."""

    def __init__(self, source: HostSource, num_envs: int = 1):
        self._source, self._num_envs = source, num_envs
        self._env: AbstractVectorEnv | None = None
        self.patient, self.faults, self.limit = True, [], None
        self.remakes = isinstance(source.make, EnvPoolMaker)
        self.obs_space, self.action_space = source.obs_space, source.action_space
        self.autoreset = "next step: the step after an end resets"

    def start(self) -> None:
        """Nothing: `reset` makes it, because a vector takes its seed when it is made."""

    def reset(self, seed: int | None) -> Any:
        """The first observation. After an end without a seed, by the step that resets, which is looked at."""
        if self._env is None or seed is not None:
            self.close()
            self._env, self._ended = self._source.make(self._num_envs, seed), False
        if not self._ended:
            return self._first(self._env.reset()), {}
        obs, reward, terminated, truncated = self._env.step(self._actions)
        self._ended = False
        if float(reward[0]) != 0 or terminated[0] or truncated[0]:
            self.faults.append(
                f"the step that resets gave the reward {reward[0]:g} and flags {terminated[0], truncated[0]}"
            )
        return self._first(obs), {}

    def step(self, action: Any) -> Any:
        if self._env is None:
            raise InputError("the vector has not been reset yet: call reset first.")
        self._actions = jax.tree.map(lambda a: np.broadcast_to(a, (self._num_envs, *np.shape(a))).copy(), action)
        obs, reward, terminated, truncated = self._env.step(self._actions)
        self._ended = bool(terminated[0] | truncated[0])
        return self._first(obs), reward[0], terminated[0], truncated[0], {}

    def mask(self, obs: Any, info: Any) -> Any:
        return _shown_mask(obs)

    def cut_at(self, limit: int) -> AbstractPlayer | None:
        """Of EnvPool's, which take a time limit as an option."""
        maker = self._source.make
        if not isinstance(maker, EnvPoolMaker):
            return None
        cut = EnvPoolMaker(maker.id, maker.options | {"max_episode_steps": limit})
        return VectorPlayer(HostSource(self._source.name, self.obs_space, self.action_space, cut), self._num_envs)

    def close(self) -> None:
        if self._env is not None and self.remakes:
            self._env.close()

    def _first(self, tree: Any) -> Any:
        return jax.tree.map(lambda x: np.asarray(x)[0], tree)


class CompiledPlayer(AbstractPlayer):
    """An environment in JAX, through its jitted functions."""

    def __init__(self, env: AbstractEnv):
        self.env = env
        self.patient, self.remakes, self.faults, self.limit = True, True, [], None
        self.obs_space, self.action_space = env.obs_space, env.action_space
        self.autoreset = "none: the rollout resets"
        self._reset, self._step = eqx.filter_jit(env.reset), eqx.filter_jit(env.step)
        self._key = jax.random.key(0)

    def start(self) -> None:
        pass

    def reset(self, seed: int | None) -> Any:
        if seed is not None:
            self._key = jax.random.key(seed)
        self._key, key = jax.random.split(self._key)
        self._state, timestep = self._reset(key)
        return jax.tree.map(np.asarray, timestep.obs), {}

    def step(self, action: Any) -> Any:
        self._key, key = jax.random.split(self._key)
        self._state, timestep = self._step(key, self._state, as_jax(action))
        obs, reward, terminated, truncated = jax.tree.map(
            np.asarray, (timestep.obs, timestep.reward, timestep.terminated, timestep.truncated)
        )
        return obs, reward, terminated[()], truncated[()], {}

    def mask(self, obs: Any, info: Any) -> Any:
        return _shown_mask(obs)

    def cut_at(self, limit: int) -> AbstractPlayer | None:
        """None: its time limit is its own."""

    def close(self) -> None:
        pass


def _shown_mask(obs: Any) -> Any:
    return obs.get(MASK) if isinstance(obs, dict) else None


def as_jax(action: Any) -> Any:
    """An action in the types that JAX computes with."""
    return jax.tree.map(
        lambda a: jax.numpy.asarray(a, np.float32 if np.asarray(a).dtype.kind == "f" else np.int32), action
    )


def player_of(source: EnvSource) -> AbstractPlayer:
    """The player for what `envs.resolve` found."""
    if not isinstance(source, HostSource):
        return CompiledPlayer(source.env)
    if isinstance(source.make, GymnasiumMaker):
        return GymnasiumPlayer(source.make.one)
    if isinstance(source.make, FunctionMaker):
        return GymnasiumPlayer(source.make.function)
    if isinstance(source.make, GivenVector):
        return VectorPlayer(source, source.make.env.num_envs)
    return VectorPlayer(source)
