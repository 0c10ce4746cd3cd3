"""Gymnasium's own environments in JAX (`gymnasium.experimental.functional`): CartPole and Pendulum come with it."""

import functools
import importlib.util
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from ...errors import InputError, said
from ...spaces.gymnasium import from_gymnasium
from ...spaces.kinds import Space
from ..base import AbstractEnv, first_timestep, Timestep

# The environments of Gymnasium's that it also brings in JAX.
TWINS = ("CartPole-v0", "CartPole-v1", "Pendulum-v1")


class GymnasiumFunctional(AbstractEnv):
    """A `FuncEnv` of Gymnasium's under a time limit of `max_steps` (None: no limit).

    The state is the function environment's and the number of steps so far. `functional` is compared by identity: pass
    the same object where the same compiled program should serve, as `phys2d` does.

    Raises `InputError` if `params` cannot be hashed, or if a space is of a kind that logpi does not know.
    """

    functional: Any = eqx.field(static=True)
    params: Any = eqx.field(static=True)
    max_steps: int | None = eqx.field(static=True)
    obs_space: Space = eqx.field(static=True)
    action_space: Space = eqx.field(static=True)

    def __init__(self, functional: Any, params: Any = None, max_steps: int | None = None):
        try:
            hash(params)
        except TypeError as error:
            raise InputError(
                f"params of {type(functional).__name__} cannot be hashed ({said(error)}), but the program is compiled "
                "for their values: give numbers and tuples, in a frozen dataclass."
            ) from None
        self.functional, self.params, self.max_steps = functional, params, max_steps
        self.obs_space = from_gymnasium(functional.observation_space)
        self.action_space = from_gymnasium(functional.action_space)

    def reset(self, key: PRNGKeyArray) -> tuple[tuple[PyTree[Array], Int[Array, ""]], Timestep]:
        state_key, obs_key = jax.random.split(key)
        state = self.functional.initial(state_key, self.params)
        obs = self.functional.observation(state, obs_key, self.params)
        return (state, jnp.zeros((), jnp.int32)), first_timestep(obs)

    def step(
        self, key: PRNGKeyArray, state: tuple[PyTree[Array], Int[Array, ""]], action: PyTree[Array]
    ) -> tuple[tuple[PyTree[Array], Int[Array, ""]], Timestep]:
        """One step; `truncated` at the time limit."""
        before, steps = state
        move_key, obs_key, reward_key, end_key = jax.random.split(key, 4)
        after, steps = self.functional.transition(before, action, move_key, self.params), steps + 1
        # Where JAX's 64 bits are on, some begin in 64 and go on in 32.
        after = jax.tree.map(lambda new, old: jnp.asarray(new, jnp.result_type(old)), after, before)
        obs = self.functional.observation(after, obs_key, self.params)
        reward = self.functional.reward(before, action, after, reward_key, self.params)
        terminated = self.functional.terminal(after, end_key, self.params)
        truncated = jnp.zeros((), bool) if self.max_steps is None else steps >= self.max_steps
        # Some return a Python number or truth value.
        timestep = Timestep(obs, jnp.asarray(reward, jnp.float32), jnp.asarray(terminated, bool), truncated)
        return (after, steps), timestep


def phys2d(id: str, **options: float) -> GymnasiumFunctional:
    """Gymnasium's twin of one of its environments, by the name of the original, with the original's time limit.

    `options` are fields of the twin's parameters. The same call gives the same object, so the same compiled program.

    Raises `InputError` for a name or an option that there is not, and where flax, which Gymnasium wrote them with, is
    missing.
    """
    if id not in TWINS:
        raise InputError(f"Gymnasium has no twin in JAX of {id!r}; it has: {', '.join(TWINS)}.")
    if importlib.util.find_spec("flax") is None:
        raise InputError(f"Gymnasium's twin of {id} needs flax: pip install flax.")
    return _phys2d(id, tuple(sorted(options.items())))


@functools.lru_cache(maxsize=64)
def _phys2d(id: str, options: tuple[tuple[str, float], ...]) -> GymnasiumFunctional:
    import gymnasium

    functional = _functional(id)
    params = functional.get_default_params()
    unknown = [option for option, _ in options if option not in params.__dataclass_fields__]
    if unknown:
        known = ", ".join(params.__dataclass_fields__)
        raise InputError(f"{unknown[0]} is no option of Gymnasium's twin of {id}; its options are {known}.")
    params = params.replace(**dict(options))
    if id.startswith("CartPole"):
        # Gymnasium 1.3 adds where its CartPole-v1 multiplies, which makes another pole: 0.6 in place of 0.05.
        derived = {"polemass_length": params.masspole * params.length, "total_mass": params.masspole + params.masscart}
        params = params.replace(**(derived | dict(options)))
    return GymnasiumFunctional(functional, params, gymnasium.spec(id).max_episode_steps)


@functools.lru_cache(maxsize=64)
def _functional(id: str) -> Any:
    if id.startswith("CartPole"):
        from gymnasium.envs.phys2d.cartpole import CartPoleFunctional

        return CartPoleFunctional()
    from gymnasium.envs.phys2d.pendulum import PendulumFunctional

    return PendulumFunctional()
