"""A policy outside of any loop."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .. import spaces
from ..models import AbstractPolicy, Deterministic
from ..rollout import act
from ..spaces.actions import ACTION_MAPS


class Agent:
    """A policy outside of any loop: an observation in, an action for the environment out.

    A policy with memory remembers from call to call; `reset` starts a new episode.
    """

    def __init__(
        self,
        policy: AbstractPolicy,
        obs_space: spaces.Space,
        action_space: spaces.Space,
        actions: str = "clip",
        seed: int = 0,
    ):
        self.model = policy
        self._obs_space, self._action_space = obs_space, action_space
        self._to_env = ACTION_MAPS[actions]
        self._act = eqx.filter_jit(act)
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Forgets the episode so far; with `seed`, draws the same actions again."""
        if seed is not None:
            self._key = jax.random.key(seed)
        self._memory = jax.tree.map(lambda m: m[None], self.model.initial_memory())

    def __call__(self, obs: PyTree[Any], deterministic: bool = False) -> np.ndarray | np.generic:
        """An action for one observation (no batch axis), clipped or rescaled to the environment's space, in 32 bits.

        Drawn from the policy, or its mode where `deterministic`. Raises `InputError` for an observation of another
        shape than the policy knows.
        """
        self._key, key = jax.random.split(self._key)
        batch = jax.tree.map(lambda o: jnp.asarray(o)[None], spaces.as_member(self._obs_space, obs))
        continuing = jnp.zeros(1, bool)
        policy = Deterministic(self.model) if deterministic else self.model
        action, _, self._memory = self._act(policy, batch, continuing, self._memory, key[None])
        return self._to_env(self._action_space, np.asarray(action))[0]
