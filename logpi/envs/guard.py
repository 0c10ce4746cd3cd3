"""Environments of Gymnasium's, watched: what goes wrong in it is told with its number, seed, step and action.

A module of its own, and without JAX, because a process that steps an environment imports little else of logpi.
"""

import contextlib
import functools
import operator
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import EnvironmentFault, InputError, said, shown
from ..spaces.gymnasium import from_gymnasium
from ..spaces.kinds import Box, Dict, Space, Tuple
from ..spaces.membership import Range, reader

RESTARTED = "logpi_restarted"  # the entry of `info` that says that the episode broke off, and why
MOST_IN_A_ROW = 10  # restarts without a good step between them: it will not get better


class Watched:
    """An environment from a function that makes one; whatever it lacks itself is the environment's.

    With `restart`, one that breaks down is made anew, and its step returns the first observation of a new episode, with
    the reason in `info`, which is empty otherwise: nobody reads the environment's own. Without it, or where that does
    not help either, `EnvironmentFault` is raised. An observation that `reader` does not take is a breakdown; a number
    beyond the bounds of a `Box` is seen as it is, as good environments have such bounds, and a `RuntimeWarning` tells
    of the first.
    """

    def __init__(self, make: Callable[[], Any], index: int, restart: bool, name: str):
        self.env = make()
        _check_own(self, name)
        self._make, self._index, self._restart, self._name = make, index, restart, name
        self._seed, self._episode, self._step, self._in_a_row = None, 0, 0, 0
        space = from_gymnasium(self.env.observation_space)
        self._read = reader(space)
        shape = self.env.action_space.shape
        self._bare = shape == () and self.env.action_space.dtype.kind == "f"  # an array without axes
        self._boxes = [(keys, box, Range(box)) for keys, box in _boxes(space)]
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
            _check_rest(0.0, info)
            return self._taken(obs, None), {}
        except (Exception, SystemExit) as error:
            return self._again(error, None)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """A step."""
        self._step += 1
        try:
            outcome = self.env.step(np.array(action) if self._bare else action)
            if len(outcome) != 5:
                raise ValueError(
                    f"step returned {len(outcome)} things where obs, reward, terminated, truncated, info go"
                )
            obs, (reward, *ends, info) = self._taken(outcome[0], action), outcome[1:]
            _check_rest(reward, info, *ends)
            self._in_a_row = 0
            return obs, float(reward), bool(ends[0]), bool(ends[1]), {}
        except (Exception, SystemExit) as error:
            obs, info = self._again(error, action)
            return obs, 0.0, False, False, info

    def close(self) -> None:
        """Gives the environment back."""
        _HELD.pop(id(self.env.unwrapped), None)
        self.env.close()

    def _taken(self, obs: Any, action: Any) -> Any:
        """An observation as a member of its space. Raises `ValueError` where it is none."""
        try:
            obs = self._read(obs)
        except ValueError as error:
            raise ValueError(f"it returned an observation {error}") from None
        if not self._told and (beyond := _beyond(self._boxes, obs)):
            self._told = True
            warnings.warn(
                f"{self._where(action)} gave an observation of {beyond}. It is seen as it is, and so are others from "
                "here on: mend the space or the observation if that is not meant.",
                RuntimeWarning,
                stacklevel=2,
            )
        return obs

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
            _check_rest(0.0, info)
            return self._taken(obs, None), {RESTARTED: sentence}
        except (Exception, SystemExit) as again:
            raise EnvironmentFault(f"{self._sentence(again, None)}, right after a restart: mend it.") from again

    def _sentence(self, error: BaseException, action: Any) -> str:
        return f"{self._where(action, 'broke down ')} ({type(error).__name__}: {said(error)})"

    def _where(self, action: Any, what: str = "") -> str:
        when = "as it was reset" if action is None else f"at step {self._step}, on the action {shown_action(action)}"
        seed = "" if self._seed is None else f" (seed {self._seed})"
        return f"Environment {self._index} of {self._name}{seed} {what}in episode {self._episode} {when}"


class Block:
    """Environments that one process steps in turn, as one of Gymnasium's whose rewards and flags are arrays of them."""

    def __init__(self, functions: Sequence[Callable[[], Any]]):
        from gymnasium.vector import AutoresetMode, SyncVectorEnv

        self.env: Any = SyncVectorEnv(functions, autoreset_mode=AutoresetMode.NEXT_STEP)
        self.observation_space, self.action_space = self.env.observation_space, self.env.action_space
        self.metadata, self.render_mode = dict(self.env.metadata), self.env.render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """New episodes everywhere; environment i of them gets `seed + i`."""
        return self.env.reset(seed=seed, options=options)[0], {}

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """A step of each. `info` has why each was restarted, empty for those that were not, or nothing."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        restarted = {RESTARTED: tuple(why or "" for why in info[RESTARTED])} if info else {}
        return obs, reward, terminated, truncated, restarted

    def get_wrapper_attr(self, name: str) -> Any:
        """What the process is asked for by a name."""
        return getattr(self.env, name)

    def close(self) -> None:
        """Gives them back."""
        self.env.close()


_HELD: weakref.WeakValueDictionary[int, Watched] = weakref.WeakValueDictionary()  # what is stepped, and by whom


def _check_own(holder: Watched, name: str) -> None:
    """Raises `InputError` for an environment that is stepped already: two would step in one, and both go wrong."""
    env = holder.env.unwrapped
    before = _HELD.get(id(env))
    if before is not None and before.env.unwrapped is env:
        del _HELD[id(env)]
        raise InputError(
            f"The function {name} handed out one and the same environment twice, but each is stepped on its own: make "
            "a new one in the function, at each call."
        )
    _HELD[id(env)] = holder


def _boxes(space: Space, keys: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Box]]:
    """Every `Box` of a space, and the way to it."""
    match space:
        case Dict():
            for name, part in space.parts:
                yield from _boxes(part, (*keys, name))
        case Tuple():
            for i, part in enumerate(space.parts):
                yield from _boxes(part, (*keys, i))
        case Box() if space.dtype != "uint8":  # of a picture any byte is one
            yield keys, space
        case _:
            pass


def _beyond(boxes: list[tuple[tuple[Any, ...], Box, Range]], obs: Any) -> str:
    """Which number of an observation is beyond the bounds of a `Box`, and which bounds; empty if none is.

    NaN is told elsewhere.
    """
    for keys, space, range in boxes:
        value = functools.reduce(operator.getitem, keys, obs)
        bad = range.strays(value)
        if bad.any() and (bad := bad & ~np.isnan(value)).any():
            return f"{float(value[bad].flat[0]):.6g}, which is not in {shown(space, 200)}"
    return ""


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
    if isinstance(action, dict):
        return f"{{{', '.join(f'{name}: {shown_action(part)}' for name, part in action.items())}}}"
    if isinstance(action, tuple):
        return f"({', '.join(map(shown_action, action))})"
    return np.array2string(np.asarray(action), threshold=8, precision=3, separator=", ").replace("\n", "")
