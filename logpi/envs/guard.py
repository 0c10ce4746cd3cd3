"""One environment of Gymnasium's, watched: what goes wrong in it is told with its number, seed, step and action.

A module of its own, and without JAX, because a process that steps an environment imports little else of logpi.
"""

import contextlib
import functools
import operator
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..errors import EnvironmentFault, said, shown
from ..spaces.gymnasium import from_gymnasium
from ..spaces.membership import Range

RESTARTED = "logpi_restarted"  # the entry of `info` that says that the episode broke off, and why
KINDS = ("Dict", "Tuple", "Box", "Discrete", "MultiDiscrete", "MultiBinary")  # of Gymnasium's spaces
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
        self._parts = list(_parts(space))
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
            _check_rest(0.0, info)
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
            _check_rest(outcome[1], outcome[4], *outcome[2:4])
            self._in_a_row = 0
            return outcome
        except (Exception, SystemExit) as error:
            obs, info = self._again(error, action)
            return obs, 0.0, False, False, info

    def _check(self, obs: Any, action: Any) -> None:
        if self._shape is not None and np.shape(obs) != self._shape:
            raise ValueError(f"it returned an observation of shape {np.shape(obs)}, but its space has {self._shape}")
        if beyond := _strays(self._parts, obs, boxes=not self._told):
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
        with contextlib.suppress(Exception, SystemExit):
            self.env.close()
        self._episode, self._step = self._episode + 1, 0
        seed = None if self._seed is None else (self._seed + 1_000_003 * self._episode) % 2**31  # not the episode again
        try:
            self.env = self._make()
            obs, info = self.env.reset(seed=seed)
            self._check(obs, None)
            _check_rest(0.0, info)
        except (Exception, SystemExit) as again:
            raise EnvironmentFault(f"{self._sentence(again, None)}, right after a restart: mend it.") from again
        return obs, {**info, RESTARTED: sentence}

    def _sentence(self, error: BaseException, action: Any) -> str:
        return f"{self._where(action, 'broke down ')} ({type(error).__name__}: {said(error)})"

    def _where(self, action: Any, what: str = "") -> str:
        when = "as it was reset" if action is None else f"at step {self._step}, on the action {shown_action(action)}"
        seed = "" if self._seed is None else f" (seed {self._seed})"
        return f"Environment {self._index} of {self._name}{seed} {what}in episode {self._episode} {when}"


def _parts(space: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any, Range]]:
    """Every part of a space of Gymnasium's whose numbers are looked at: the way to it, itself, and its numbers."""
    # By name: Gymnasium is not imported for this.
    kind = next((kind.__name__ for kind in type(space).__mro__ if kind.__name__ in KINDS), "")
    if kind in ("Dict", "Tuple"):
        for name, part in space.spaces.items() if kind == "Dict" else enumerate(space.spaces):
            yield from _parts(part, (*keys, name))
    elif kind and not (kind == "Box" and space.dtype == np.uint8):  # of a picture any byte is one
        yield keys, space, Range(from_gymnasium(space))


def _strays(parts: list[tuple[tuple[Any, ...], Any, Range]], obs: Any, boxes: bool) -> str:
    """Which number of an observation is beyond the bounds of a `Box`, and which bounds; empty if none is.

    Raises `ValueError` for what is none of the choices of a discrete space: an encoding would show nothing of it. Boxes
    are left out unless `boxes`; NaN in one is told elsewhere.
    """
    first = ""
    for keys, space, range in parts:  # all of them, whatever the first gives
        if not (range.whole or boxes):
            continue
        value = np.asarray(functools.reduce(operator.getitem, keys, obs))
        bad = range.strays(value)
        if not bad.any() or not (range.whole or (bad := bad & ~np.isnan(value)).any()):
            continue
        sentence = f"{float(value[bad].flat[0]):.6g}, which is not in {' '.join(shown(space, 200).split())}"
        if range.whole:
            raise ValueError(f"it returned an observation of {sentence}")
        first = first or sentence
    return first


def _check_rest(reward: Any, info: Any, *flags: Any) -> None:
    """Raises `ValueError` for what Gymnasium cannot put beside that of other environments."""
    if not _is_number(reward):
        was = f"of shape {np.shape(reward)}" if np.shape(reward) else f"{reward!r:.80}"
        raise ValueError(f"it returned the reward {was}, but a reward is one number: return float(reward)")
    if any(np.shape(flag) for flag in flags):
        raise ValueError("it returned terminated or truncated as an array, but each is True or False: return bool(...)")
    if not isinstance(info, dict):
        raise ValueError(f"it returned the info {info!r:.80}, but an info is a dictionary: return {{}} for none")


def _is_number(value: Any) -> bool:
    try:
        if np.shape(value) != () or isinstance(value, str | bytes):
            return False
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def shown_action(action: Any) -> str:
    """An action in a line; of a long one its ends."""
    return np.array2string(np.asarray(action), threshold=8, precision=3, separator=", ").replace("\n", "")
