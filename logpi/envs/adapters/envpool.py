"""EnvPool: environments in C++ threads."""

# pyright: reportPrivateUsage=false
# What EnvPool calls private is the only way to its arrays, and to what a specification says.

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import PyTree

from ...errors import InputError, said
from ...spaces.actions import typed_for
from ...spaces.encoding import picture_axes
from ...spaces.gymnasium import from_gymnasium
from ...spaces.kinds import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from ...spaces.masks import mask_space, num_flags
from ...spaces.membership import caster, Range
from ..vector import AbstractVectorEnv


class EnvPoolVector(AbstractVectorEnv):
    """Environments of EnvPool's; `id` is EnvPool's name, `options` go to `envpool.make_gymnasium`.

    Environment i runs on `seed + i`. At a time limit EnvPool sets `truncated` alone, also where the same step ends the
    task. Images that come with their channels first are brought to (height, width, channels), and whole numbers to act
    with are choices.

    Raises `InputError` for environments of several players, for actions of several parts, and for what EnvPool cannot
    make.
    """

    def __init__(self, id: str, num_envs: int, seed: int | None = None, **options: Any):
        import envpool

        self.name, self.num_envs = id, num_envs
        self.obs_space, self.action_space, self._channels_first, self._combinations = spaces(id, options)
        seeded = {} if seed is None else {"seed": seed}  # EnvPool takes its seed here, and `reset` takes none
        try:
            self._env = envpool.make_gymnasium(id, num_envs=num_envs, **seeded, **options)
        except RuntimeError as error:  # a file that it does not carry
            raise InputError(f"EnvPool cannot make {id} ({said(error)}): choose another environment.") from None
        self._as_member = typed_for(self.action_space)
        _ = self._env.observation_space  # made on first sight, with a warning that the caller keeps quiet here
        self._cast = caster(self.obs_space)
        # `env.recv` builds two dictionaries at each call; reading its arrays by their position does not.
        self._position = {key: i for i, key in enumerate(self._env._state_keys)}
        self._ids = np.arange(num_envs, dtype=np.int32)

    def reset(self) -> PyTree[np.ndarray]:
        return self._observation(self._env.reset()[0])

    def send(self, action: np.ndarray) -> None:
        """Sets the threads to work."""
        action = self._as_member(action)
        if self._combinations is not None:
            action = self._combinations.entries(action)
        self._env._send([self._ids, self._ids, action])  # it takes no array that JAX owns

    def receive(self):
        """Waits for all environments."""
        if "obs" not in self._position:  # an observation of several parts
            obs, reward, terminated, truncated, _ = self._env.recv()
            return self._cast(obs), reward, terminated, truncated
        values, position = self._env._recv(), self._position
        truncated = values[position["trunc"]]
        terminated = values[position["done"]] & ~truncated
        return self._observation(values[position["obs"]]), values[position["reward"]], terminated, truncated

    def _observation(self, obs):
        return self._cast(np.moveaxis(obs, 1, -1) if self._channels_first else obs)

    def render(self) -> np.ndarray:
        """Raises `InputError`: without a display, EnvPool ends the whole process."""
        raise InputError(
            f"EnvPool's {self.name} shows no pictures here: gymnasium:{self.name} does, where Gymnasium has it."
        )

    def close(self) -> None:
        self._env.close()


def option_names(id: str) -> set[str]:
    """The options that EnvPool takes for an environment."""
    import envpool

    return set(envpool.make_spec(id)._config_keys)


class Combinations(NamedTuple):
    """Whole numbers that are chosen at once, as their mask is of combinations."""

    sizes: tuple[int, ...]
    starts: tuple[int, ...]
    dtype: str

    def entries(self, chosen: np.ndarray) -> np.ndarray:
        """The numbers (num_envs, entries) of combinations (num_envs,), which count with the last entry the fastest."""
        return (np.stack(np.unravel_index(chosen, self.sizes), -1) + self.starts).astype(self.dtype)


def _choices(space: Space, obs_space: Space) -> tuple[Space, Combinations | None]:
    """The space of actions, with bounded whole numbers as choices: EnvPool has no other word for these.

    Each entry is one, or where a mask has a flag for each combination, all are one together.
    """
    if not isinstance(space, Box) or not space.whole:
        return space, None
    low, high = Range(space).low.ravel(), Range(space).high.ravel()
    sizes, starts = tuple((high - low + 1).astype(int).tolist()), tuple(low.astype(int).tolist())
    choices, mask = MultiDiscrete(sizes, starts, space.shape, space.dtype), mask_space(obs_space)
    if isinstance(mask, MultiBinary) and mask.shape == sizes and math.prod(sizes) != num_flags(choices):
        return Discrete(math.prod(sizes)), Combinations(sizes, starts, space.dtype)
    return choices, None


def spaces(id: str, options: dict[str, Any]) -> tuple[Space, Space, bool, Combinations | None]:
    """The spaces of an environment, of observations and of actions, and what is between them and EnvPool's.

    That is whether channels are to be moved last, and which numbers an action is a choice of, where that is several.

    Raises `InputError` for environments of several players, for actions of several parts, and for options that EnvPool
    refuses.
    """
    import envpool

    try:
        spec = envpool.make_spec(id, **options)
    except Exception as error:
        raise InputError(f"EnvPool cannot make {id} with {options} ({said(error)}): choose other options.") from None
    players = dict(zip(spec._config_keys, spec._config_values, strict=True)).get("max_num_players", 1)
    if players > 1 or len(spec._action_keys) != 3:  # the two others number the environments
        raise InputError(
            f"{id} of EnvPool has several players or an action of several parts, but logpi acts for one player in one "
            "space: choose another environment."
        )
    obs_space = _mended(from_gymnasium(spec.gymnasium_observation_space))
    channels_first = picture_axes(obs_space) == (1, 2, 0)
    if isinstance(obs_space, Box) and channels_first:
        channels, height, width = obs_space.shape
        obs_space = dataclasses.replace(obs_space, shape=(height, width, channels))
    action_space, combinations = _choices(_mended(from_gymnasium(spec.gymnasium_action_space)), obs_space)
    return obs_space, action_space, channels_first, combinations


def _mended(space: Space) -> Space:
    """A `Box` from the smallest positive number to the largest is how EnvPool writes "without bounds"."""
    match space:
        case Box() if space.dtype.startswith("float") and space.low == float(np.finfo(space.dtype).tiny):
            return Box(space.shape, dtype=space.dtype)
        case Dict():
            return Dict(tuple((name, _mended(part)) for name, part in space.parts))
        case Tuple():
            return Tuple(tuple(_mended(part) for part in space.parts))
        case _:
            return space
