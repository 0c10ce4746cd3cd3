"""Many host environments stepped together, with one meaning of the end of an episode, whatever they come from."""

import abc
import ast
import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, PyTree

from ..errors import EnvironmentFault, InputError
from ..spaces.actions import typed_for
from ..spaces.gymnasium import from_gymnasium
from ..spaces.kinds import Space
from ..spaces.masks import with_mask
from ..spaces.membership import caster, reader
from .guard import Block, RESTARTED, shown_action, Watched
from .told_masks import masks_told, space_with_mask

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
    def send(self, action: PyTree[np.ndarray]) -> None:
        """Starts a step with actions (num_envs, ...); what has threads or processes returns before it is done."""

    @abc.abstractmethod
    def receive(self) -> tuple[PyTree[np.ndarray], Rewards, Flags, Flags]:
        """What the step led to: observations, rewards (float32), whether terminated and whether truncated."""

    def step(self, action: PyTree[np.ndarray]) -> tuple[PyTree[np.ndarray], Rewards, Flags, Flags]:
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

    `ours` says whether it was made here, of environments that are watched, or by somebody who also closes it; `masked`,
    whether its infos have masks of actions that are to be part of the observations. Raises
    `InputError` for the other modes: they show the first observation of the next episode in place of the observation
    that the last action led to.
    """

    def __init__(
        self, env: Any, seed: int | None = None, name: str | None = None, *, ours: bool = True, masked: bool = False
    ):
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
        self._masked, spaces = masked, (env.single_observation_space, env.single_action_space)
        self.obs_space = from_gymnasium(space_with_mask(*spaces) if masked else spaces[0])
        self.action_space = from_gymnasium(spaces[1])
        self._env, self._seed, self._ours = env, seed, ours
        self._cut_off = False  # a process of one has ended by itself
        self._as_member = typed_for(self.action_space)
        self._cast = caster(self.obs_space)
        self._read = None if ours else reader(self.obs_space, (self.num_envs,))
        self._over = np.zeros(self.num_envs, bool)  # where the next step resets

    def reset(self) -> PyTree[np.ndarray]:
        """New episodes everywhere; the first call seeds environment i with `seed + i`.

        Raises `EnvironmentFault` where the process of one has ended by itself.
        """
        with self._answering("as it was reset"):
            obs, info = self._env.reset(seed=self._seed)
        self._seed, self._over = None, np.zeros(self.num_envs, bool)
        return self._taken(obs, info)

    def send(self, action: PyTree[np.ndarray]) -> None:
        """Keeps the actions: only some of Gymnasium's vector environments can step without being waited for.

        Each environment gets arrays of its own, which it may change.
        """
        self._action = self._as_member(action)

    def receive(self):
        """One step of all environments. Raises `EnvironmentFault` where the process of one has ended by itself."""
        with self._answering(f"on the actions {shown_action(self._action)}"):
            obs, reward, terminated, truncated, info = self._env.step(self._action)
        if self._ours:
            self.restarted = {int(i): info[RESTARTED][i] for i in np.flatnonzero(info.get(f"_{RESTARTED}", ()))}
        else:  # a wrapper may have made something of the step that resets
            reward, terminated, truncated = (
                np.where(self._over, 0, x).astype(dtype)
                for x, dtype in ((reward, np.float64), (terminated, bool), (truncated, bool))
            )
            self._over = terminated | truncated
        return self._taken(obs, info), reward.astype(np.float32), terminated, truncated

    def _taken(self, obs: PyTree[Any], info: Any) -> PyTree[np.ndarray]:
        """Observations as members of their space. Each of ours has been looked at already."""
        if self._read is None:
            return self._cast(obs)
        if self._masked:
            with self._returning(""):
                obs = with_mask(obs, masks_told(self.action_space, info, self._over))
        with self._returning("an observation "):
            return self._cast(self._read(obs))

    @contextlib.contextmanager
    def _returning(self, what: str) -> Generator[None]:
        """Says whose the fault is, where something is no member of its space."""
        try:
            yield
        except ValueError as error:
            raise EnvironmentFault(f"The vector environment {self.name} returned {what}{error}.") from None

    def render(self) -> np.ndarray:
        if self._env.render_mode != "rgb_array":
            raise InputError(f"{self.name} shows nothing: make it with render_mode='rgb_array'.")
        return np.stack(self._env.render())

    def close(self) -> None:
        """Closes the environments, if they are ours."""
        if self._ours and self._cut_off:
            _end(self._env.blocks if isinstance(self._env, BlockVector) else self._env)
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
    processes: bool | int = False,
    restart: bool = False,
    name: str | None = None,
    shared: bool = True,
) -> GymnasiumVector:
    """`num_envs` environments of Gymnasium's from a function that makes one; in processes of their own if asked.

    `processes` is how many share the environments, each as many as the others, so perhaps fewer than asked for; True is
    one for each. They pay where a step takes longer than about a millisecond. `shared` says whether observations can
    lie in memory that processes share. With `restart`, an environment that breaks down is made anew. Raises
    `InputError` where the function hands out one environment twice.
    """
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    called = name or getattr(make_one, "__name__", "the environment")
    functions: list[Any] = [functools.partial(Watched, make_one, i, restart, called) for i in range(num_envs)]
    workers = shared_by(processes, num_envs) if processes else 0
    if not workers:
        env: Any = SyncVectorEnv(functions, autoreset_mode=AutoresetMode.NEXT_STEP)
    elif workers == num_envs:  # blocks of one would take half as long again for a step
        env = _in_processes(functions, shared, AutoresetMode.NEXT_STEP)
    else:
        env = BlockVector(functions, workers, shared)
    return GymnasiumVector(env, seed, called if processes else name)


def shared_by(processes: bool | int, num_envs: int) -> int:
    """How many processes share the environments, equally, where so many at most are asked for; True is one for each."""
    most = num_envs if processes is True else min(processes, num_envs)
    return next(count for count in range(most, 0, -1) if num_envs % count == 0)


def _in_processes(functions: Sequence[Callable[[], Any]], shared: bool, mode: Any) -> Any:
    """A vector environment of Gymnasium's with a process for what each function makes."""
    from gymnasium.vector import AsyncVectorEnv

    # Not by fork: a copy of a process that runs JAX's threads may hang.
    check_main()
    return AsyncVectorEnv(functions, shared_memory=shared, autoreset_mode=mode, context="forkserver")


def _end(env: Any) -> None:
    """Ends the processes of which one was lost: `close` would wait for answers given already."""
    for process in env.processes:
        process.terminate()
        process.join()
    for pipe in env.parent_pipes:
        if pipe is not None:
            pipe.close()
    env.closed = True


class BlockVector:
    """Environments in processes, a block in each, behind what a vector environment of Gymnasium's shows.

    Gymnasium starts a process for each of its environments, and takes a block for one. It is told not to reset them: a
    block resets its own.
    """

    def __init__(self, functions: Sequence[Callable[[], Any]], processes: int, shared: bool):
        from gymnasium.vector import AutoresetMode

        self.num_envs, self._size = len(functions), len(functions) // processes
        self._starts = range(0, self.num_envs, self._size)
        blocks: list[Any] = [functools.partial(Block, functions[i : i + self._size]) for i in self._starts]
        self.blocks = _in_processes(blocks, shared, AutoresetMode.DISABLED)
        self.metadata = self.blocks.metadata | {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.render_mode = self.blocks.render_mode
        for name in ("single_observation_space", "single_action_space"):
            setattr(self, name, self.blocks.get_attr(name)[0])

    def reset(self, *, seed: int | None = None) -> tuple[PyTree[np.ndarray], dict[str, Any]]:
        """New episodes everywhere; environment i gets `seed + i`."""
        obs, _ = self.blocks.reset(seed=None if seed is None else [seed + start for start in self._starts])
        return self._flat(obs), {}

    def step(self, action: PyTree[np.ndarray]) -> tuple[Any, ...]:
        """A step of all."""
        of_blocks = jax.tree.map(lambda x: x.reshape(-1, self._size, *x.shape[1:]), action)
        *outcome, info = self.blocks.step(of_blocks)
        told = info.get(RESTARTED, [])
        why = np.array([text for block in told for text in block or [""] * self._size], object)
        return *self._flat(outcome), {RESTARTED: why, f"_{RESTARTED}": why.astype(bool)}

    def render(self) -> list[np.ndarray]:
        """A picture of each."""
        return [frame for block in self.blocks.render() for frame in block]

    def close(self) -> None:
        """Ends the processes, once they have closed their environments."""
        self.blocks.close()

    def _flat(self, arrays: PyTree[np.ndarray]) -> PyTree[np.ndarray]:
        """Arrays (processes, environments of each, ...) as (num_envs, ...)."""
        return jax.tree.map(lambda x: x.reshape(self.num_envs, *x.shape[2:]), arrays)


def check_main() -> None:
    """Raises `InputError` where new processes would come to the very call that starts them, and break down there.

    Each imports the main script first, and does what is not under `if __name__ == "__main__":` in it.
    """
    main = sys.modules.get("__main__")
    path, frame = getattr(main, "__file__", None), inspect.currentframe()
    while frame is not None and not (frame.f_code.co_name == "<module>" and frame.f_globals is vars(main)):
        frame = frame.f_back
    if path is None or frame is None:  # a notebook, or a thread
        return
    try:
        statements = ast.parse(Path(path).read_bytes()).body
    except (OSError, SyntaxError, ValueError):  # no script of Python's
        return
    running = next((s for s in statements if s.lineno <= frame.f_lineno <= (s.end_lineno or 0)), None)
    if running is not None and not (isinstance(running, ast.If) and "__name__" in ast.unparse(running.test)):
        raise InputError(
            f"Environments in processes of their own are asked for in line {frame.f_lineno} of {path}, which each of "
            "the processes would run again: put what the script does under `if __name__ == '__main__':`."
        )
