"""gymnax (1.0 and later): environments in JAX, from classic control to MinAtar."""

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from ...errors import InputError, said
from ...spaces.kinds import Box, Dict, Discrete, Space, Tuple
from ..base import AbstractEnv, first_timestep, Timestep


@dataclasses.dataclass(frozen=True, eq=False)
class Definition:
    """An environment of gymnax's and its parameters, compared by identity: some parameters are arrays."""

    env: Any
    params: Any


class Gymnax(AbstractEnv):
    """An environment of gymnax's, through its raw step: gymnax's own autoreset would hide the last observation.

    The state is gymnax's. Made by `gymnax_env`.
    """

    definition: Definition = eqx.field(static=True)
    obs_space: Space = eqx.field(static=True)
    action_space: Space = eqx.field(static=True)

    def __init__(self, definition: Definition):
        env, params = definition.env, definition.params
        self.definition = definition
        self.obs_space = from_gymnax(env.observation_space(params))
        self.action_space = from_gymnax(env.action_space(params))

    def reset(self, key: PRNGKeyArray) -> tuple[PyTree[Array], Timestep]:
        obs, state = self.definition.env.reset_env(key, self.definition.params)
        return _arrays(state), first_timestep(_member(self.obs_space, obs))

    def step(self, key: PRNGKeyArray, state: PyTree[Array], action: PyTree[Array]) -> tuple[PyTree[Array], Timestep]:
        """One step; `truncated` at gymnax's time limit."""
        env, params = self.definition.env, self.definition.params
        obs, state, reward, terminated, _ = env.step_env(key, state, action, params)
        truncated = jnp.asarray(env.is_truncated(state, params), bool)
        timestep = Timestep(
            _member(self.obs_space, obs), jnp.asarray(reward, jnp.float32), jnp.asarray(terminated, bool), truncated
        )
        return _arrays(state), timestep


def gymnax_env(id: str, **options: Any) -> Gymnax:
    """An environment of gymnax's by its name; `options` are fields of its parameters, or go to its constructor.

    The same call gives the same object, so the same compiled program.

    Raises `InputError` where gymnax is missing, has no such environment, or cannot make it: MNISTBandit-bsuite
    downloads its data first.
    """
    try:
        return _gymnax_env(id, tuple(sorted(options.items())))
    except TypeError as error:  # an option that cannot be hashed
        raise InputError(f"An option of gymnax's {id} does not serve: {said(error)}.") from None


def gymnax_ids() -> list[str]:
    """The names that gymnax has. Importing it takes about two seconds."""
    import gymnax

    return list(gymnax.registered_envs)


@functools.lru_cache(maxsize=64)
def _gymnax_env(id: str, options: tuple[tuple[str, Any], ...]) -> Gymnax:
    try:
        import gymnax
    except ImportError as error:
        raise InputError(f'gymnax:{id} needs gymnax ({said(error)}): pip install "logpi[gymnax]".') from None
    if id not in gymnax.registered_envs:
        raise InputError(f"gymnax has no environment {id!r}; it has: {', '.join(sorted(gymnax.registered_envs))}.")
    try:
        fields = _param_fields(gymnax, id)
        env, params = gymnax.make(id, **{name: value for name, value in options if name not in fields})
        params = params.replace(**{name: value for name, value in options if name in fields})
    except Exception as error:
        known = f" with {dict(options)}" if options else ""
        raise InputError(
            f"gymnax cannot make {id}{known} ({type(error).__name__}: {said(error)}): choose other options, or another "
            "environment."
        ) from None
    return Gymnax(Definition(env, params))


def _param_fields(gymnax: Any, id: str) -> set[str]:
    return {field.name for field in dataclasses.fields(gymnax.make(id)[1])}


def from_gymnax(space: Any) -> Space:
    """The counterpart of a space of gymnax's; its largest float stands for no bound.

    Raises `InputError` for a kind of space that has none.
    """
    from gymnax.environments import spaces as gx

    match space:
        case gx.Discrete():
            return Discrete(int(space.n))
        case gx.Box():
            dtype = "uint8" if np.dtype(space.dtype) == np.uint8 else "float32"
            return Box(tuple(space.shape), _bound(space.low), _bound(space.high), dtype)
        case gx.Dict():
            return Dict(tuple((name, from_gymnax(part)) for name, part in sorted(space.spaces.items())))
        case gx.Tuple():
            return Tuple(tuple(from_gymnax(part) for part in space.spaces))
        case _:
            raise InputError(
                f"The space {space} of gymnax is of a kind that logpi does not know: Box, Discrete, Dict, Tuple."
            )


def _bound(values: Any) -> float | tuple[float, ...]:
    flat = np.asarray(values, np.float64).ravel()
    limit = float(np.finfo(np.float32).max)
    flat = np.where(np.abs(flat) >= limit, np.copysign(np.inf, flat), flat).tolist()
    return flat[0] if len(set(flat)) == 1 else tuple(flat)


def _member(space: Space, obs: PyTree[Array]) -> PyTree[Array]:
    """The observation in the types that the space announces: some of gymnax's own differ."""
    match space:
        case Dict():
            return {name: _member(part, obs[name]) for name, part in space.parts}
        case Tuple():
            return tuple(_member(part, obs[i]) for i, part in enumerate(space.parts))
        case Box():
            return jnp.asarray(obs, space.dtype)
        case _:
            return jnp.asarray(obs, jnp.int32)


def _arrays(state: PyTree[Any]) -> PyTree[Array]:
    """Python numbers as arrays, and weak types made firm: a loop needs the same types after a step as before it."""
    return jax.tree.map(lambda x: jnp.asarray(x).astype(jnp.result_type(x)), state)
