"""What a compiled environment shows, looked at before anything is compiled: shapes and types, against its spaces."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from ..errors import InputError, said
from ..spaces.kinds import Box, Dict, Space, Tuple
from ..spaces.membership import mapped, shape_of
from .base import AbstractEnv, Timestep

_TYPES = {"reward": "float32", "terminated": "bool", "truncated": "bool"}


class Cast(AbstractEnv):
    """An environment whose numbers are brought to the types that a rollout computes with."""

    env: AbstractEnv
    obs_space: Space = eqx.field(static=True)
    action_space: Space = eqx.field(static=True)
    dtypes: tuple[str, ...] = eqx.field(static=True)  # of the observation's arrays

    def reset(self, key: PRNGKeyArray) -> tuple[PyTree[Array], Timestep]:
        return self._cast(*self.env.reset(key))

    def step(self, key: PRNGKeyArray, state: PyTree[Array], action: PyTree[Array]) -> tuple[PyTree[Array], Timestep]:
        return self._cast(*self.env.step(key, state, action))

    def _cast(self, state: PyTree[Array], timestep: Timestep) -> tuple[PyTree[Array], Timestep]:
        leaves, structure = jax.tree.flatten(timestep.obs)
        obs = [jnp.asarray(leaf, dtype) for leaf, dtype in zip(leaves, self.dtypes, strict=True)]
        ends = (jnp.asarray(flag) != 0 for flag in (timestep.terminated, timestep.truncated))
        return state, Timestep(jax.tree.unflatten(structure, obs), jnp.asarray(timestep.reward, jnp.float32), *ends)


def admitted(env: AbstractEnv) -> AbstractEnv:
    """The environment itself, or cast where it shows other types than a rollout computes with, and no number is lost.

    Raises `InputError` where a reset or a step breaks down, where an observation is not of its space's shape, where a
    reward or an end is no number, and where state or observation are others after a step than after a reset.
    """
    name, key = type(env).__name__, jax.eval_shape(lambda: jax.random.key(0))
    action = mapped(env.action_space, lambda part: jax.ShapeDtypeStruct(shape_of(part), _drawn_type(part)))
    state, first = _traced(f"{name}.reset", env.reset, key)
    after, then = _traced(f"{name}.step", env.step, key, state, action)
    _check_state(name, state, after)
    pairs = _parts(name, env.obs_space, first.obs, then.obs)
    dtypes = tuple(_common_type(where, space, *pair) for where, space, *pair in pairs)
    for what in _TYPES:
        number = getattr(then, what)
        if number.shape != () or not (jnp.issubdtype(number.dtype, jnp.floating) or number.dtype.kind in "iub"):
            shown = f"of type {number.dtype} and shape {number.shape}"
            raise InputError(f"{name}.step gives {what} {shown}, but it must be one number: give it as .squeeze().")
    right = all(str(getattr(then, what).dtype) == dtype for what, dtype in _TYPES.items())
    if right and all(str(x.dtype) == d for (*_, a, b), d in zip(pairs, dtypes, strict=True) for x in (a, b)):
        return env
    return Cast(env=env, obs_space=env.obs_space, action_space=env.action_space, dtypes=dtypes)


def _drawn_type(space: Space) -> str:
    return "float32" if _is_box(space) else "int32"


def _is_box(space: Space) -> bool:
    return isinstance(space, Box)


def _traced(name: str, function: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    """Shapes and types of a state and a timestep."""
    try:
        state, timestep = jax.eval_shape(function, *arguments)
    except InputError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {said(error, 300)}"
        raise InputError(f"{name} breaks down as JAX traces it ({what}): mend it.") from error
    if not isinstance(timestep, Timestep):
        raise InputError(f"{name} gives a {type(timestep).__name__} beside the state: give a logpi.envs.Timestep.")
    return state, timestep


def _check_state(name: str, state: Any, after: Any) -> None:
    """Raises `InputError` unless a state after a step is as one after a reset: a loop goes on from either."""
    if jax.tree.structure(state) != jax.tree.structure(after):
        raise InputError(
            f"{name}.step gives a state {jax.tree.structure(after)}, but {name}.reset {jax.tree.structure(state)}: "
            "give both the same parts."
        )
    leaves = jax.tree_util.tree_leaves_with_path(state)
    for (path, one), other in zip(leaves, jax.tree.leaves(after), strict=True):
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            raise InputError(
                f"{name} has the state{jax.tree_util.keystr(path)} of type {one.dtype} and shape {one.shape} after a "
                f"reset, but {other.dtype} and {other.shape} after a step: give both as .astype(...) of one type."
            )


def _parts(where: str, space: Space, one: Any, other: Any) -> list[tuple[str, Space, Any, Any]]:
    """Every part of an observation, named, after a reset and after a step; in the order of its arrays."""
    if not isinstance(space, Dict | Tuple):
        return [(f"{where}'s observation", space, one, other)]
    named = space.parts if isinstance(space, Dict) else tuple(enumerate(space.parts))
    names = {name for name, _ in named}
    for given in (one, other):
        there = set(given) if isinstance(given, dict) else set(range(len(given))) if isinstance(given, tuple) else set()
        if there != names or isinstance(given, dict) != isinstance(space, Dict):
            what = f"{type(given).__name__} with {sorted(there)}"
            raise InputError(f"{where} shows a {what}, but its space has the parts {sorted(names)}: mend either.")
    return [found for name, part in named for found in _parts(f"{where}[{name!r}]", part, one[name], other[name])]


def _common_type(where: str, space: Space, one: Any, other: Any) -> str:
    """The type of a part of an observation, after a reset and after a step. Raises `InputError` where none is both."""
    for given in (one, other):
        if not isinstance(given, jax.ShapeDtypeStruct):
            raise InputError(f"{where} is a {type(given).__name__}, but its space is {space}: mend either.")
        if given.shape != shape_of(space):
            raise InputError(
                f"{where} has the shape {given.shape}, but its space {space} has {shape_of(space)}: mend either."
            )
    both = jnp.result_type(one.dtype, other.dtype)
    if one.dtype != other.dtype and not (_is_box(space) and jnp.issubdtype(both, jnp.floating)):
        raise InputError(
            f"{where} has the type {one.dtype} after a reset and {other.dtype} after a step, but its space {space} is "
            "of one type: give both as .astype(...) of it."
        )
    return str(both)
