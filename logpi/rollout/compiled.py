"""Interaction with environments written in JAX, inside one compiled program."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray, PyTree

from ..envs import AbstractEnv, first_timestep
from ..errors import EnvironmentFault
from ..jaxprs.hoisting import hoist_keys
from ..models import AbstractPolicy, initial_memories, Memory
from ..spaces.actions import clip_to
from ..spaces.kinds import Space
from ..spaces.membership import no_choice
from ..trajectory import Trajectory
from .base import AbstractRollout, act

_BEGINNING = 0xBE61  # sets the key of new episodes apart from those of steps


class CompiledState(eqx.Module):
    """Where the environments stand between two rollouts; every leaf is (num_envs, ...)."""

    env_state: PyTree[Array]
    obs: PyTree[Array]
    start: Bool[Array, " num_envs"]  # `obs` is the first of an episode
    resetting: Bool[Array, " num_envs"]  # the episode is over: the next step resets
    memory: Memory


class CompiledRollout(AbstractRollout):
    """`num_envs` copies of an environment in lockstep, `length` steps a rollout.

    `to_env(action_space, action)` is the way of an action to the environment: `spaces.clip_to` or `spaces.rescale_to`.
    """

    compiled: ClassVar[bool] = True
    env: AbstractEnv
    num_envs: int = eqx.field(static=True)
    length: int = eqx.field(static=True)
    to_env: Callable[[Space, PyTree[Array]], PyTree[Array]] = eqx.field(static=True, default=clip_to)
    anew: bool = eqx.field(static=True, default=False)  # each rollout begins with new episodes

    @property
    def obs_space(self) -> Space:
        """The environment's."""
        return self.env.obs_space

    @property
    def action_space(self) -> Space:
        """The environment's."""
        return self.env.action_space

    def init(self, policy: AbstractPolicy, key: PRNGKeyArray) -> CompiledState:
        env_state, timestep = jax.vmap(self.env.reset)(jax.random.split(key, self.num_envs))
        everywhere = jnp.ones(self.num_envs, bool)
        memory = initial_memories(policy, self.num_envs)
        return CompiledState(env_state, timestep.obs, everywhere, ~everywhere, memory)

    def collect(
        self, policy: AbstractPolicy, state: CompiledState, key: PRNGKeyArray
    ) -> tuple[Trajectory, CompiledState]:
        if self.anew:
            state = self.init(policy, jax.random.fold_in(key, _BEGINNING))
        # All keys at once, and all that the policy draws: inside the scan it costs as much as the environment.
        act_keys, step_keys, reset_keys = jax.random.split(key, (3, self.length, self.num_envs))

        def act_with(keys, obs, start, memory):
            return act(policy, obs, start, memory, keys)

        draw, act_on = hoist_keys(act_with, act_keys[0], state.obs, state.start, state.memory)

        def step(state: CompiledState, row):
            noise, step_keys, reset_keys = row
            action, log_prob, memory = act_on(noise, state.obs, state.start, state.memory)
            given = self.to_env(self.action_space, action)
            env_state, timestep = jax.vmap(self.env.step)(step_keys, state.env_state, given)
            # Most steps reset nothing: with few environments, resetting all of them anyway is half of the work.
            env_state, timestep = jax.lax.cond(
                jnp.any(state.resetting),
                lambda: self._reset(state.resetting, reset_keys, env_state, timestep),
                lambda: (env_state, timestep),
            )
            row = (state.obs, action, log_prob, timestep.reward, timestep.terminated, timestep.truncated)
            after = CompiledState(
                env_state, timestep.obs, state.resetting, timestep.terminated | timestep.truncated, memory
            )
            return after, (*row, state.start, ~state.resetting)

        after, rows = jax.lax.scan(step, state, (jax.vmap(draw)(act_keys), step_keys, reset_keys))
        rows = jax.tree.map(lambda x: x.swapaxes(0, 1), rows)
        return Trajectory(*rows, last_obs=after.obs, last_start=after.start, memory=state.memory), after

    def example(self, policy: AbstractPolicy, state: CompiledState) -> Trajectory:
        return eqx.filter_eval_shape(self.collect, policy, state, jax.random.key(0))[0]

    def stored(self, state: CompiledState) -> CompiledState:
        """All of it."""
        return state

    def resumed(self, stored: CompiledState, policy: AbstractPolicy, key: PRNGKeyArray) -> tuple[CompiledState, bool]:
        return stored, False

    def incidents(self, state: CompiledState) -> list[str]:
        """None. Raises `EnvironmentFault` where an environment stands at a choice that its space has not."""
        if wrong := no_choice(self.obs_space, state.obs, "an observation"):
            raise EnvironmentFault(f"In the environment {wrong}: mend it, or announce another obs_space.")
        return []

    def check_alive(self, state: CompiledState, seconds: float) -> None:
        """Nothing: nobody waits for compiled environments."""

    def abandon(self, state: CompiledState) -> None:
        """Nothing: no thread steps them."""

    def close(self, state: CompiledState) -> None:
        """Nothing: compiled environments hold nothing."""

    def _reset(self, resetting, keys, env_state, timestep):
        """New episodes where they are due."""
        fresh_state, fresh = jax.vmap(self.env.reset)(keys)
        # Only the observation of a reset counts: its reward and its end are none.
        fresh = jax.vmap(first_timestep)(fresh.obs)

        def choose(new, old):
            return jnp.where(resetting.reshape(-1, *(1,) * (old.ndim - 1)), new, old)

        return jax.tree.map(choose, (fresh_state, fresh), (env_state, timestep))
