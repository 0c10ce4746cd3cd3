"""Random walks through an environment, under a watch: an exception or a hang ends the walk, not the audit."""

import contextlib
import copy
import dataclasses
import queue
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import PyTree

from ...errors import said
from ...spaces.masks import made_allowed
from ...spaces.membership import draw, same
from .players import AbstractPlayer

MAKING = 12  # times the limit of a step: making an environment and compiling it takes longer


class HungError(Exception):
    """A call did not return in time."""


class Watchdog:
    """Calls in a thread of their own, so that one that never returns can be left behind."""

    def __init__(self, timeout: float):
        self.timeout, self.stuck = timeout, False
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._serve, daemon=True, name="logpi.audit.env").start()

    def call(self, function: Callable[..., Any], *arguments: Any, patience: float = 1.0) -> Any:
        """The function's result. Raises what it raises, and `HungError` after `patience` times the limit."""
        if self.stuck:
            raise HungError("an earlier call has not come back")
        self._calls.put((function, arguments))
        try:
            result, error = self._results.get(timeout=patience * self.timeout)
        except queue.Empty:
            self.stuck = True
            raise HungError(f"no answer within {patience * self.timeout:g} s") from None
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Ends the thread, unless it hangs."""
        self._calls.put(None)

    def _serve(self) -> None:
        while (item := self._calls.get()) is not None:
            function, arguments = item
            try:
                self._results.put((function(*arguments), None))
            except BaseException as error:
                self._results.put((None, error))


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of a walk."""

    length: int  # of the episode, with this step
    before: PyTree  # the observation before it
    action: PyTree
    obs: PyTree
    reward: Any
    terminated: Any
    truncated: Any

    @property
    def ended(self) -> bool:
        """Whether a flag is set, of whatever type."""
        return bool(np.any(self.terminated)) or bool(np.any(self.truncated))


@dataclasses.dataclass
class Walk:
    """What an environment showed: all observations are copies."""

    seed: int
    starts: list[PyTree] = dataclasses.field(default_factory=list)
    steps: list[Step] = dataclasses.field(default_factory=list)
    malformed: list[str] = dataclasses.field(default_factory=list)  # results that have not the parts they must have
    changed: list[str] = dataclasses.field(default_factory=list)  # observations that a later step wrote over
    overrun: int = 0  # episodes that went on past the limit
    raised: str = ""
    hung: str = ""

    @property
    def broken(self) -> bool:
        """Whether it ended before it was done."""
        return bool(self.raised or self.hung)

    @property
    def ends(self) -> list[Step]:
        """The last steps of episodes."""
        return [step for step in self.steps if step.ended]


class Walker:
    """A player under a watch. Every walk starts with a reset to its seed, and draws the same actions again."""

    def __init__(self, player: AbstractPlayer, timeout: float):
        self.player, self.watchdog = player, Watchdog(timeout)
        self._stepped, self._mask = False, None

    def start(self) -> None:
        """Makes the environment anew. Raises what making it raises, and `HungError`."""
        self.watchdog.call(self.player.start, patience=MAKING)

    def walk(self, seed: int, steps: int, limit: int | None = None, actions: list[PyTree] | None = None) -> Walk:
        """Random steps, or the actions given; a new episode after each end, and one step past `limit`."""
        walk, rng = Walk(seed), np.random.default_rng(seed)
        obs, last, length = self._reset(walk, seed), None, 0
        for time in range(steps if actions is None else min(steps, len(actions))):
            if walk.broken:
                break
            action = self._allowed(draw(self.player.action_space, rng) if actions is None else actions[time])
            held, before = obs, copy.deepcopy(obs)
            last = self._step(walk, time, length, before, action)
            if last is None:
                break
            obs, length = last.obs, length + 1
            if not same(held, before):
                walk.changed.append(f"the observation before step {time} was another after it")
            walk.steps.append(dataclasses.replace(last, obs=copy.deepcopy(obs)))
            over = limit is not None and length > limit
            if last.ended or over:
                walk.overrun += over and not last.ended
                obs, length = self._reset(walk, None), 0
        return walk

    def starts(self, number: int) -> list[PyTree]:
        """First observations of so many episodes more."""
        walk = Walk(0)
        for _ in range(number):
            self._reset(walk, None)
        return walk.starts

    def beyond(self, walk: Walk) -> str:
        """What one more step after the first end of a walk gives, in words; empty where there was no end."""
        until = next((i for i, step in enumerate(walk.steps) if step.ended), None)
        if until is None:
            return ""
        again, last = Walk(walk.seed), None
        self._reset(again, walk.seed)
        for time, step in enumerate([*walk.steps[: until + 1], walk.steps[until]]):
            last = self._step(again, time, time, None, step.action)
            if last is None:
                return f"raises {again.raised or again.hung}" if time > until else ""
        return "" if last is None else "ends again" if last.ended else "goes on"

    def _reset(self, walk: Walk, seed: int | None) -> PyTree:
        where = f"in reset(seed={seed})" if seed is not None else f"in the reset after step {len(walk.steps) - 1}"
        patience = MAKING if self.player.patient else 1.0
        result = self._call(walk, f"{where}, seed {walk.seed}", patience, self.player.reset, seed)
        if walk.broken:
            return None
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
            walk.malformed.append(f"reset gave {_kind(result)}, but it must give (observation, info)")
            result = (result, {})
        self._mask = self.player.mask(*result)
        walk.starts.append(copy.deepcopy(result[0]))
        return result[0]

    def _step(self, walk: Walk, time: int, length: int, before: PyTree, action: PyTree) -> Step | None:
        where = f"at step {time} (of the episode: {length}), seed {walk.seed}, action {_short(action)}"
        patience = MAKING if self.player.patient and not self._stepped else 1.0
        result = self._call(walk, where, patience, self.player.step, action)
        if walk.broken:
            return None
        self._stepped = True
        if isinstance(result, tuple) and len(result) == 5:
            if not isinstance(result[4], dict):
                walk.malformed.append(f"step gave the info {_kind(result[4])}, but it must be a dictionary")
            self._mask = self.player.mask(result[0], result[4])
            return Step(length + 1, before, action, *result[:4])
        walk.malformed.append(
            f"step gave {_kind(result)}, but it must give (observation, reward, terminated, truncated, info)"
        )
        if isinstance(result, tuple) and len(result) == 4:  # the interface before Gymnasium 0.26
            return Step(length + 1, before, action, *result[:3], np.bool_(False))
        return None

    def _allowed(self, action: PyTree) -> PyTree:
        """The action, or one that a mask allows in its place; a mask that does not fit allows everything."""
        with contextlib.suppress(ValueError):
            return action if self._mask is None else made_allowed(self.player.action_space, action, self._mask)
        return action

    def _call(self, walk: Walk, where: str, patience: float, function: Callable[..., Any], argument: Any) -> Any:
        try:
            return self.watchdog.call(function, argument, patience=patience)
        except HungError as error:
            walk.hung = f"{error}, {where}"
        except Exception as error:
            walk.raised = f"{type(error).__name__} ({said(error, 200)}) {where}"
        return None

    def close(self) -> None:
        """Ends the thread; closes the environment where it answers."""
        with contextlib.suppress(Exception):  # what it raises at its end changes nothing that was found
            self.watchdog.call(self.player.close)
        self.watchdog.close()


def _kind(result: Any) -> str:
    return f"{len(result)} things" if isinstance(result, tuple) else f"a {type(result).__name__}"


def _short(action: PyTree) -> str:
    if isinstance(action, dict | tuple):
        return repr(action)[:120]
    return np.array2string(np.asarray(action), threshold=8, precision=6, separator=", ").replace("\n", "")
