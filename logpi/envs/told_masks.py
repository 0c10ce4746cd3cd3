"""Masks that environments of Gymnasium's tell beside their observations, brought into these.

Without JAX, as `guard` is. An environment tells in `info["action_mask"]`, as Gymnasium's own do, or by a method
`action_masks()`, as those for sb3-contrib do.
"""

import contextlib
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from ..errors import InputError
from ..spaces.gymnasium import from_gymnasium
from ..spaces.kinds import Space
from ..spaces.masks import CURE, MASK, num_flags, OBSERVATION, read_mask, with_mask

METHOD = "action_masks"
_ABSENT = object()


class MaskShown:
    """An environment, from a function that makes it, whose observations show its mask; the rest is the environment's.

    Its steps raise `ValueError` for a mask that does not fit, and where there is none before the end of an episode.
    """

    def __init__(self, make: Callable[[], Any]):
        self.env = make()
        self.observation_space = space_with_mask(self.env.observation_space, self.env.action_space)
        self._actions = from_gymnasium(self.env.action_space)

    def __getattr__(self, name: str) -> Any:
        if name == "env":  # not yet made, as when a copy is built
            raise AttributeError(name)
        return getattr(self.env, name)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """A new episode."""
        obs, info = self.env.reset(seed=seed, options=options)
        return self._seen(obs, info), info

    def step(self, action: Any) -> tuple[Any, ...]:
        """A step."""
        outcome = self.env.step(action)
        if len(outcome) != 5:  # whoever looks at it says so
            return outcome
        obs, _, terminated, truncated, info = outcome
        return self._seen(obs, info, bool(np.any(terminated) or np.any(truncated))), *outcome[1:]

    def _seen(self, obs: Any, info: Any, over: bool = False) -> Any:
        # Nothing is done after the end, so that nobody has to say what may be.
        mask = None if over else mask_told(self.env, info, _ABSENT)
        if mask is _ABSENT:
            raise ValueError(f"its info has no {MASK}, as it had at first: give one until the episode ends")
        return with_mask(obs, read_mask(self._actions, mask))


def mask_told(env: Any, info: Any, default: Any = None) -> Any:
    """The mask that an environment tells with this info; `default` where it tells none."""
    if isinstance(info, Mapping) and MASK in info:
        return info[MASK]
    method = _method(env)
    return default if method is None else method()


def masks_told(action_space: Space, info: Any, over: Bool[np.ndarray, " num_envs"]) -> Any:
    """The masks that a vector environment tells with this info: (num_envs, flags). Where it is `over`, all is allowed.

    Raises `ValueError` where one is missing, or does not fit.
    """
    told = over & False if MASK not in info else np.asarray(info.get(f"_{MASK}", ~over | True))
    if not (told | over).all():
        raise ValueError(f"an info without {MASK} for environment {int(np.argmin(told | over))}: give one for each")
    return np.stack([read_mask(action_space, _of_one(info[MASK], i) if told[i] else None) for i in range(len(over))])


def _of_one(told: Any, i: int) -> Any:
    """What is told of environment i: in a dictionary, those parts that it told."""
    if not isinstance(told, Mapping):
        return told[i]
    parts: dict[str, Any] = dict(told)
    return {name: _of_one(part, i) for name, part in parts.items() if f"_{name}" in parts and parts[f"_{name}"][i]}


def _method(env: Any) -> Callable[[], Any] | None:
    with contextlib.suppress(Exception):  # none, in any of its wrappers
        found = env.get_wrapper_attr(METHOD)
        return found if callable(found) else None
    return None


def tells_masks(env: Any) -> bool:
    """Whether an environment of Gymnasium's tells masks beside its observations; it may be reset to see.

    Raises `InputError` for a mask that does not fit its actions.
    """
    action_space = from_gymnasium(env.action_space)
    if not _may_tell(env.observation_space, action_space):
        return False
    try:
        mask = mask_told(env, env.reset()[1])
    except Exception:  # whoever plays in it says so
        return False
    try:
        read_mask(action_space, mask)
    except ValueError as error:
        raise InputError(f"{env} tells {error}, one for each choice: {CURE}.") from None
    return mask is not None


def _may_tell(obs_space: Any, action_space: Space) -> bool:
    """Whether masks make sense beside what is observed, before anything is asked."""
    return MASK not in (getattr(obs_space, "spaces", None) or ()) and num_flags(action_space) > 0


def vector_tells_masks(env: Any) -> bool:
    """Whether the infos of a vector environment of Gymnasium's have masks; it may be reset to see, the first time."""
    if env not in _TELLS:
        _TELLS[env] = _vector_tells(env)
    return _TELLS[env]


_TELLS: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()  # another time somebody may be playing in it


def _vector_tells(env: Any) -> bool:
    if not _may_tell(env.single_observation_space, from_gymnasium(env.single_action_space)):
        return False
    try:
        return MASK in env.reset()[1]
    except Exception:  # whoever plays in it says so
        return False


def space_with_mask(obs_space: Any, action_space: Any) -> Any:
    """What observations are with a mask beside them, as a space of Gymnasium's."""
    from gymnasium import spaces

    parts = dict(obs_space.spaces) if isinstance(obs_space, spaces.Dict) else {OBSERVATION: obs_space}
    return spaces.Dict({**parts, MASK: spaces.MultiBinary(num_flags(from_gymnasium(action_space)))})
