"""Interaction with environments that run on the host: Gymnasium's, EnvPool's, a user's own."""

import collections
import contextlib
import dataclasses
import functools
import math
import threading
from collections.abc import Callable
from time import monotonic as now
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PRNGKeyArray, PyTree

from ..envs.guard import shown_action
from ..envs.vector import AbstractVectorEnv
from ..errors import EnvironmentFault, said
from ..jaxprs.compilation import compiler_options
from ..jaxprs.hoisting import hoist_keys
from ..models import AbstractPolicy, initial_memories, Memory
from ..spaces.actions import clip_to
from ..spaces.kinds import Space
from ..trajectory import Trajectory
from .base import AbstractRollout, act

LARGE = 2**20  # bytes
ALIGNED = 64  # bytes, to which JAX aligns its arrays


class _Abandoned(Exception):
    """Ends a rollout that nobody waits for."""


@dataclasses.dataclass
class Watch:
    """What others may see and say of environments while they step."""

    # Since when a step is waited for, which it is, and on which actions; a reset is of no step.
    asked: tuple[float, int | None, PyTree[np.ndarray]] | None = None
    incidents: collections.deque[str] = dataclasses.field(default_factory=collections.deque)  # that did not stop it
    abandoned: bool = False  # nobody waits for the rollout any more


@dataclasses.dataclass(frozen=True, eq=False)
class HostState:
    """Where the environments stand between two rollouts. `env` itself moves on: a state can be gone on from once."""

    env: AbstractVectorEnv
    obs: PyTree[np.ndarray]  # (num_envs, ...)
    start: Bool[np.ndarray, " num_envs"]  # `obs` is the first of an episode
    resetting: Bool[np.ndarray, " num_envs"]  # the episode is over: the next step resets
    memory: Memory
    watch: Watch = dataclasses.field(default_factory=Watch)


class HostRollout(AbstractRollout):
    """`num_envs` host environments in lockstep, `length` steps a rollout; the trajectory is the compiled one's.

    `make(num_envs, seed)` makes the environments. `to_env(action_space, action)` is the way of an action to them:
    `spaces.clip_to` or `spaces.rescale_to`.
    """

    compiled: ClassVar[bool] = False
    obs_space: Space = eqx.field(static=True)
    action_space: Space = eqx.field(static=True)
    make: Callable[[int, int], AbstractVectorEnv] = eqx.field(static=True)
    num_envs: int = eqx.field(static=True)
    length: int = eqx.field(static=True)
    to_env: Callable[[Space, PyTree[Array]], PyTree[Array]] = eqx.field(static=True, default=clip_to)
    anew: bool = eqx.field(static=True, default=False)  # each rollout begins with new episodes

    def init(self, policy: AbstractPolicy, key: PRNGKeyArray) -> HostState:
        """New environments, seeded by the key, and new episodes in all of them. Compiles what `collect` runs.

        `close` the last state when done. Raises `EnvironmentFault` where they cannot be reset; then they are closed.
        """
        # The bits of the key are the seed, as drawing one would cost a compilation. Environment i adds i.
        bits = int(np.bitwise_xor.reduce(np.asarray(jax.random.key_data(key)), axis=None))
        env = self.make(self.num_envs, bits % (2**31 - self.num_envs))
        try:
            state = self._begun(env, policy)
            with _COMPILING:  # several runs in threads of one process compile one program, once
                arrays, programs = self._programs(policy, state)
                noise = programs.noise(key)
                jax.block_until_ready(programs.act(arrays, state.obs, state.start, state.memory, noise, np.int32(0)))
        except BaseException:  # nobody else knows of them yet
            with contextlib.suppress(Exception):
                env.close()
            raise
        return state

    def _begun(self, env: AbstractVectorEnv, policy: AbstractPolicy) -> HostState:
        """New episodes in all environments."""
        try:
            obs = env.reset()
        except EnvironmentFault:
            raise
        except Exception as error:
            raise _environment_raised(env, "as it was reset", error) from error
        everywhere = np.ones(self.num_envs, bool)
        return HostState(env, obs, everywhere, ~everywhere, initial_memories(policy, self.num_envs))

    def collect(self, policy: AbstractPolicy, state: HostState, key: PRNGKeyArray) -> tuple[Trajectory, HostState]:
        """Raises `EnvironmentFault` where an environment raises, naming it, the step and the action."""
        if self.anew:
            state.watch.asked = now(), None, None
            try:
                state = dataclasses.replace(self._begun(state.env, policy), watch=state.watch)
            finally:
                state.watch.asked = None
        arrays, programs = self._programs(policy, state)
        noise = programs.noise(key)
        env, obs, start, resetting, memory = state.env, state.obs, state.start, state.resetting, state.memory
        before, after = _Rows(self.num_envs, self.length), _Rows(self.num_envs, self.length)
        for time in range(self.length):
            if state.watch.abandoned:
                raise _Abandoned
            action, log_prob, for_env, memory = programs.act(arrays, obs, start, memory, noise, np.int32(time))
            for_env = _as_numpy(for_env)
            state.watch.asked = now(), time, for_env
            try:
                env.send(for_env)
                before.write(time, (obs, action, log_prob, start, ~resetting))  # while the environments step
                obs, *outcome = env.receive()
            except EnvironmentFault:
                raise
            except Exception as error:
                when = f"at step {time} of a rollout, on the actions {shown_action(for_env)}"
                raise _environment_raised(env, when, error) from error
            finally:
                state.watch.asked = None
            after.write(time, tuple(outcome))
            start, resetting = resetting, outcome[1] | outcome[2]
            if env.restarted:
                start = _broken_off(env, time, before, after, start)
                state.watch.incidents.extend(env.restarted.values())
        columns = before.columns(), after.columns()
        (seen, outcomes), last_obs, last_start = jax.device_put((columns, obs, start))
        trajectory = Trajectory(
            *seen[:3], *outcomes, *seen[3:], last_obs=last_obs, last_start=last_start, memory=state.memory
        )
        return trajectory, HostState(env, obs, start, resetting, memory, state.watch)

    def example(self, policy: AbstractPolicy, state: HostState) -> Trajectory:
        keys = jax.ShapeDtypeStruct((self.num_envs,), jax.random.key(0).dtype)

        def one_step(policy, obs, start, memory, keys):
            action, log_prob, _ = act(policy, obs, start, memory, keys)
            row = obs, action, log_prob, log_prob, *[start] * 4
            rows = jax.tree.map(lambda x: jnp.repeat(x[:, None], self.length, axis=1), row)
            return Trajectory(*rows, last_obs=obs, last_start=start, memory=memory)

        return eqx.filter_eval_shape(one_step, policy, state.obs, state.start, state.memory, keys)

    def stored(self, state: HostState | None) -> None:
        """Nothing: what environments on the host remember cannot be had."""

    def resumed(self, stored: None, policy: AbstractPolicy, key: PRNGKeyArray) -> tuple[HostState, bool]:
        """New environments: their episodes begin anew."""
        return self.init(policy, key), True

    def incidents(self, state: HostState) -> list[str]:
        """Which environments broke down and were made anew."""
        waiting = state.watch.incidents
        return [waiting.popleft() for _ in range(len(waiting))]

    def check_alive(self, state: HostState, seconds: float) -> None:
        """Raises `EnvironmentFault` if the environments have not answered for so long."""
        asked = state.watch.asked
        if asked is not None and now() - asked[0] > seconds:
            when = f"at step {asked[1]} of a rollout, on the actions {shown_action(asked[2])}"
            when = "as it was reset" if asked[1] is None else when
            raise EnvironmentFault(
                f"The environment {state.env.name} has not answered for {now() - asked[0]:.0f} s, {when}: mend it, or "
                "allow more (--step-timeout)."
            )

    def abandon(self, state: HostState) -> None:
        state.watch.abandoned = True

    def close(self, state: HostState) -> None:
        state.env.close()

    def _programs(self, policy: AbstractPolicy, state: HostState) -> "tuple[list[Array], _Programs]":
        """The arrays of the policy, and the programs for a policy of its structure."""
        leaves, structure = jax.tree.flatten(policy)
        arrays = [leaf for leaf in leaves if _is_array(leaf)]
        constants = tuple(None if _is_array(leaf) else leaf for leaf in leaves)
        examples, inputs = jax.tree.flatten((arrays, state.obs, state.start, state.memory))
        shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in examples)
        layout = _Layout(structure, constants, inputs, shapes)
        return arrays, _make_programs(layout, self.num_envs, self.length, self.action_space, self.to_env)


def _as_numpy(action: PyTree[Array]) -> PyTree[np.ndarray]:
    """Of one array without `jax.tree.map`, which takes three times as long: it is done in every step."""
    return np.asarray(action) if isinstance(action, jax.Array) else jax.tree.map(np.asarray, action)


def _broken_off(env: AbstractVectorEnv, time: int, before: "_Rows", after: "_Rows", start: np.ndarray) -> np.ndarray:
    """Where an environment was made anew: the row before is its last and is cut, this one counts for nothing.

    In the first row of a rollout, the row before is not there any more; the value after it was estimated anyhow.
    Returns where the next observation is the first of an episode.
    """
    which = np.isin(np.arange(env.num_envs), list(env.restarted))
    before.set_last(time, which, False)  # valid
    if time:
        after.set_last(time - 1, which, True)  # truncated
    return start | which


class _Layout(NamedTuple):
    """All that a compiled program depends on: hashable, so that each is made once."""

    structure: Any  # of the policy
    constants: tuple[Any, ...]  # its leaves that are no arrays; None where there is one
    inputs: Any  # the structure of what `shapes` are the shapes of
    shapes: tuple[jax.ShapeDtypeStruct, ...]

    def policy(self, arrays: list[Any]) -> AbstractPolicy:
        """The policy with these arrays."""
        rest = iter(arrays)
        leaves = [next(rest) if constant is None else constant for constant in self.constants]
        return jax.tree.unflatten(self.structure, leaves)


class _Programs(NamedTuple):
    """What is compiled for a rollout.

    `noise(key)` draws what is random in all its steps. `act(arrays, obs, start, memory, noise, time)` gives action,
    log-probability, the action as the environment gets it, and the next memory.
    """

    noise: Callable[..., Any]
    act: Callable[..., Any]


# Several runs in threads of one process compile one program, once.
_COMPILING = threading.Lock()


@functools.lru_cache(maxsize=32)
def _make_programs(layout: _Layout, num_envs: int, length: int, space: Space, to_env: Callable[..., Any]) -> _Programs:
    """A call from Python costs some 10 microseconds, so one step is one call, with flat arguments.

    Drawing the random numbers beforehand leaves a program that is one chain of operations; XLA runs those on the
    calling thread, where it would share the branches of another out among threads, which costs more than they do.
    """

    def step(keys, arrays, obs, start, memory):
        action, log_prob, memory = act(layout.policy(arrays), obs, start, memory, keys)
        return action, log_prob, jax.vmap(lambda one: to_env(space, one))(action), memory

    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), num_envs))
    draw, rest = hoist_keys(step, keys, *jax.tree.unflatten(layout.inputs, layout.shapes))

    def noise(key):
        # The keys that a compiled rollout acts with: in the same environments it would give the same trajectory.
        return jax.vmap(draw)(jax.random.split(key, (3, length, num_envs))[0])

    def act_at(arrays, obs, start, memory, noise, time):
        return rest([n[time] for n in noise], arrays, obs, start, memory)

    options = compiler_options(jax.make_jaxpr(step)(keys, *jax.tree.unflatten(layout.inputs, layout.shapes)))
    return _Programs(jax.jit(noise), jax.jit(act_at, compiler_options=options))


class _Rows:
    """The rows of a rollout, written one time after another into arrays of (streams, time, ...)."""

    def __init__(self, num_envs: int, length: int):
        self._shape = (num_envs, length)
        self._structure, self._columns = jax.tree.structure(None), []

    def write(self, time: int, row: PyTree[Any]) -> None:
        """The row at a time; the first says what the arrays are like."""
        if not self._columns:
            leaves, self._structure = jax.tree.flatten(row)
            self._columns = [_empty((*self._shape, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
        for column, leaf in zip(self._columns, self._structure.flatten_up_to(row), strict=True):
            column[:, time] = leaf

    def set_last(self, time: int, which: Bool[np.ndarray, " streams"], value: bool) -> None:
        """The last entry of a row, anew in some streams."""
        self._columns[-1][which, time] = value

    def columns(self) -> PyTree[np.ndarray]:
        """All rows, in the structure of one."""
        return jax.tree.unflatten(self._structure, self._columns)


def _empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of anything. JAX takes a large one as it is, where it would copy another of NumPy's."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    block = np.empty(size + ALIGNED, np.uint8)
    start = -block.ctypes.data % ALIGNED
    return block[start : start + size].view(dtype).reshape(shape)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


def _environment_raised(env: AbstractVectorEnv, when: str, error: Exception) -> EnvironmentFault:
    return EnvironmentFault(
        f"The environment {env.name} raised {type(error).__name__} ({said(error)}) {when}: mend the environment, or "
        "the action space it announces."
    )
