"""What only an environment in JAX can get wrong: compiled, mapped and looped, it must stay the same."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...envs import AbstractEnv
from ...errors import said
from ...spaces.membership import draw
from ..reports import Check
from .checks import count
from .players import as_jax

STEPS = 3  # compared step by step
ENVS = 4  # side by side
RELATIVE, ABSOLUTE = 1e-3, 1e-4  # XLA reorders sums; dynamics may make a little more of it


def compiled_checks(env: AbstractEnv, seed: int) -> list[Check]:
    """Whether the state keeps its types, and whether eager, compiled and mapped steps agree."""
    try:
        stable = _unstable(env)
        problems, mapped = ([], []) if stable else _disagreements(env, seed)
    except Exception as error:
        raised = f"{type(error).__name__} ({said(error, 200)})"
        return [count("no_exception_when_compiled", [raised], "use jax.numpy, and no Python branch on an array")]
    return [
        count(
            "state_keeps_types",
            stable,
            "cast with jnp.asarray(x, dtype): a scan needs the same types each step",
            name="state keeps its types",
        ),
        count("compiled_and_eager_agree", problems, "let step depend on its arguments alone", f"of {STEPS} steps"),
        count(
            "mapped_and_single_agree", mapped, "index no axis from the front: vmap adds one", f"of {ENVS} environments"
        ),
    ]


def _unstable(env: AbstractEnv) -> list[str]:
    """The leaves of the state, or of what is shown, that are of another type after a step than before it."""
    key = jax.random.key(0)
    action = as_jax(draw(env.action_space, np.random.default_rng(0)))
    before = eqx.filter_eval_shape(env.reset, key)
    after = eqx.filter_eval_shape(env.step, key, before[0], action)
    if jax.tree.structure(before) != jax.tree.structure(after):
        return ["the structure of state or timestep is another after a step than after reset"]
    names = [jax.tree_util.keystr(place) for place, _ in jax.tree_util.tree_leaves_with_path(before)]
    pairs = zip(names, jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return [
        f"{name} is {_kind(a)} after reset and {_kind(b)} after a step" for name, a, b in pairs if _kind(a) != _kind(b)
    ]


def _kind(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"


def _disagreements(env: AbstractEnv, seed: int) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    actions = [as_jax(draw(env.action_space, rng)) for _ in range(STEPS)]
    keys = jax.random.split(jax.random.key(seed), (ENVS, STEPS + 1))

    def play(keys, actions):
        state, timestep = env.reset(keys[0])
        shown = [timestep]
        for i in range(STEPS):
            state, timestep = env.step(keys[i + 1], state, jax.tree.map(lambda a, i=i: a[i], actions))
            shown.append(timestep)
        return shown

    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *actions)
    eager = play(keys[0], stacked)
    compiled = eqx.filter_jit(play)(keys[0], stacked)
    mapped = eqx.filter_jit(jax.vmap(play, (0, None)))(keys, stacked)
    first = jax.tree.map(lambda x: x[0], mapped)
    return _differences(eager, compiled), _differences(compiled, first)


def _differences(one: list[PyTree], other: list[PyTree]) -> list[str]:
    found = []
    for i, (a, b) in enumerate(zip(one, other, strict=True)):
        for (place, x), y in zip(jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True):
            x, y = np.asarray(x, float), np.asarray(y, float)
            if x.shape != y.shape or not np.allclose(x, y, RELATIVE, ABSOLUTE, equal_nan=True):
                found.append(f"{jax.tree_util.keystr(place)} differs at step {i}")
    return found
