"""What a compiled environment is."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree, Shaped

from ..spaces.kinds import Space


class Timestep(eqx.Module):
    """What one step shows: the observation that the action led to, the reward, and whether the episode is over.

    The last three are one number each, float32 and bool or what can be cast to them; `admitted` looks at that.
    """

    obs: PyTree[Array]
    reward: Shaped[Array, "..."]
    terminated: Shaped[Array, "..."]
    truncated: Shaped[Array, "..."]


class AbstractEnv(eqx.Module):
    """One environment in JAX: no batch axis and no autoreset. Both are the rollout's, so no environment needs them."""

    obs_space: eqx.AbstractVar[Space]
    action_space: eqx.AbstractVar[Space]

    @abc.abstractmethod
    def reset(self, key: PRNGKeyArray) -> tuple[PyTree[Array], Timestep]:
        """A new episode: the state, and a `first_timestep` of its observation."""

    @abc.abstractmethod
    def step(self, key: PRNGKeyArray, state: PyTree[Array], action: PyTree[Array]) -> tuple[PyTree[Array], Timestep]:
        """The state that an action leads to, and what it shows. `action` lies within the bounds of `action_space`.

        A time limit sets `truncated`, an end that belongs to the task `terminated`; both may be set.
        """


def first_timestep(obs: PyTree[Array]) -> Timestep:
    """The step at which an episode starts: an observation, no reward, no end."""
    return Timestep(obs, jnp.zeros((), jnp.float32), jnp.zeros((), bool), jnp.zeros((), bool))
