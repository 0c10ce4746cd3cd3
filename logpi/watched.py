"""One environment of Gymnasium's, watched: what goes wrong in it is told with its number, seed, step and action.

A module of its own, and without JAX, because a process that steps an environment imports nothing else of logpi.
"""

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import EnvironmentFault

RESTARTED = "logpi_restarted"  # the entry of `info` that says that the episode broke off, and why
MOST_IN_A_ROW = 10  # restarts without a good step between them: it will not get better


class Watched:
    """An environment from a function that makes one; whatever it lacks itself is the environment's.

    With `restart`, one that breaks down is made anew, and its step returns the first observation of a new episode, with
    the reason in `info`. Without it, or where that does not help either, `EnvironmentFault` is raised. An observation
    that is none of its space's choices is a breakdown; a number beyond the bounds of a `Box` is seen as it is, as good
    environments have such bounds, and a `RuntimeWarning` tells of the first.
    """

    def __init__(self, make: Callable[[], Any], index: int, restart: bool, name: str):
        self.env = make()
        self._make, self._index, self._restart, self._name = make, index, restart, name
        self._seed, self._episode, self._step, self._in_a_row = None, 0, 0, 0
        space = self.env.observation_space
        self._shape = space.shape if space.dtype is not None else None  # of several parts: it has none
        self._told = False  # of a number beyond its bounds

    def __getattr__(self, name: str) -> Any:
        if name == "env":  # not yet made, as when a copy is built
            raise AttributeError(name)
        return getattr(self.env, name)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """A new episode."""
        self._seed = self._seed if seed is None else seed
        self._episode, self._step = self._episode + 1, 0
        try:
            obs, info = self.env.reset(seed=seed, options=options)
            self._check(obs, None)
        except (Exception, SystemExit) as error:
            return self._again(error, None)
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """A step."""
        self._step += 1
        try:
            outcome = self.env.step(action)
            if len(outcome) != 5:
                raise ValueError(
                    f"step returned {len(outcome)} things where obs, reward, terminated, truncated, info go"
                )
            self._check(outcome[0], action)
            _check_rest(outcome[1], outcome[4])
            self._in_a_row = 0
            return outcome
        except (Exception, SystemExit) as error:
            obs, info = self._again(error, action)
            return obs, 0.0, False, False, info

    def _check(self, obs: Any, action: Any) -> None:
        if self._shape is not None and np.shape(obs) != self._shape:
            raise ValueError(f"it returned an observation of shape {np.shape(obs)}, but its space has {self._shape}")
        beyond = _strays(self.env.observation_space, obs)
        if beyond and not self._told:
            self._told = True
            warnings.warn(
                f"{self._where(action)} gave an observation of {beyond}. It is seen as it is, and so are others from "
                "here on: mend the space or the observation if that is not meant.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _again(self, error: BaseException, action: Any) -> tuple[Any, dict[str, Any]]:
        """A new environment in place of the one that broke down. Raises `EnvironmentFault` where that is of no use."""
        sentence = self._sentence(error, action)
        self._in_a_row += 1
        if not self._restart or self._in_a_row > MOST_IN_A_ROW:
            raise EnvironmentFault(f"{sentence}: mend it, or have it restarted (--on-env-error restart).") from error
        with contextlib.suppress(Exception):
            self.env.close()
        self.env = self._make()
        self._episode, self._step = self._episode + 1, 0
        seed = None if self._seed is None else (self._seed + 1_000_003 * self._episode) % 2**31  # not the episode again
        try:
            obs, info = self.env.reset(seed=seed)
            self._check(obs, None)
        except (Exception, SystemExit) as again:
            raise EnvironmentFault(f"{self._sentence(again, None)}, right after a restart: mend it.") from again
        return obs, {**info, RESTARTED: sentence}

    def _sentence(self, error: BaseException, action: Any) -> str:
        return f"{self._where(action, 'broke down ')} ({type(error).__name__}: {error})"

    def _where(self, action: Any, what: str = "") -> str:
        when = "as it was reset" if action is None else f"at step {self._step}, on the action {shown_action(action)}"
        seed = "" if self._seed is None else f" (seed {self._seed})"
        return f"Environment {self._index} of {self._name}{seed} {what}in episode {self._episode} {when}"


def _strays(space: Any, obs: Any) -> str:
    """Which number of an observation is beyond the bounds of a `Box`, and which bounds; empty if none is.

    Raises `ValueError` for what is none of the choices of a discrete space: an encoding would show nothing of it.
    """
    kind = type(space).__name__  # of Gymnasium's, which is not imported for this
    match kind:
        case "Dict":
            return next(filter(None, (_strays(part, obs[name]) for name, part in space.spaces.items())), "")
        case "Tuple":
            return next(filter(None, map(_strays, space.spaces, obs)), "")
        case "Discrete":
            low, high = space.start, space.start + space.n - 1
        case "MultiDiscrete":
            low, high = space.start, space.start + space.nvec - 1
        case "MultiBinary":
            low, high = 0, 1
        case "Box" if space.dtype != np.uint8:  # of a picture any byte is one
            low, high = space.low, space.high
        case _:
            return ""
    value = np.asarray(obs)
    slack = 1e-5 * np.maximum(1, np.abs(value)) if kind == "Box" else 0  # of rounding
    outside = (value < low - slack) | (value > high + slack)
    if not np.any(outside):
        return ""
    shown = f"{value[outside].flat[0]:.6g}, which is not in {space}"
    if kind == "Box":
        return shown
    raise ValueError(f"it returned an observation of {shown}")


def _check_rest(reward: Any, info: Any) -> None:
    """Raises `ValueError` for what Gymnasium cannot put beside that of other environments."""
    if reward is None or np.ndim(reward):
        was = reward if reward is None else f"of shape {np.shape(reward)}"
        raise ValueError(f"it returned the reward {was}, but a reward is one number: return float(reward)")
    if not isinstance(info, dict):
        raise ValueError(f"it returned the info {info!r:.80}, but an info is a dictionary: return {{}} for none")


def shown_action(action: Any) -> str:
    """An action in a line; of a long one its ends."""
    return np.array2string(np.asarray(action), threshold=8, precision=3, separator=", ").replace("\n", "")
