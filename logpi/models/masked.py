"""Policies that never choose what is forbidden now."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..distributions import masked
from ..errors import InputError
from ..spaces.kinds import Space
from ..spaces.masks import flags, MASK, without_mask
from .base import AbstractActorCritic, Memory, Output


class Masked(AbstractActorCritic):
    """A model whose choices are masked by the part `action_mask` of an observation: see `logpi.spaces.masks`.

    The mask is part of the policy, so what acts, what is differentiated and what is evaluated is one distribution. The
    model sees the rest of the observation; with `whole`, all of it.
    """

    model: AbstractActorCritic
    action_space: Space = eqx.field(static=True)
    whole: bool = eqx.field(static=True, default=False)

    def initial_memory(self) -> Memory:
        return self.model.initial_memory()

    def evaluate(self, obs: PyTree[Array], memory: Memory) -> tuple[Output, Memory]:
        if not isinstance(obs, dict) or MASK not in obs:
            raise InputError(f"the model was made for observations with an {MASK}: act where there is one.")
        output, memory = self.model.evaluate(self.seen(obs), memory)
        allowed = flags(self.action_space, obs[MASK], jnp)
        return Output(masked(output.policy, allowed), output.value), memory

    def seen(self, obs: PyTree[Array]) -> PyTree[Array]:
        """What the model sees of observations."""
        return obs if self.whole else without_mask(obs)
