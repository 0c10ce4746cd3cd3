"""A policy plays fresh episodes, rollout by rollout."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Int, PRNGKeyArray

from ..models import AbstractPolicy
from ..rollout import AbstractRollout, close_or_warn
from ..trajectory import Trajectory
from .episodes import EpisodeRows, follow, no_episodes


def rollouts(
    policy: AbstractPolicy,
    rollout: AbstractRollout,
    count: int,
    key: PRNGKeyArray,
    keep: Callable[[Trajectory], Any] = lambda trajectory: None,
) -> Generator[tuple[Any, EpisodeRows], None, None]:
    """Up to `count` rollouts, the first of new episodes: what `keep` makes of each, and where episodes ended in it.

    `keep` is compiled along: what it leaves out of the trajectory of a compiled rollout need not be stored. The
    environments are closed at the end; whoever may stop before it puts `contextlib.closing` around.
    """
    first_key, key = jax.random.split(key)
    init, collect = (_compiled_init, _compiled_rollout) if rollout.compiled else (_init, _host_rollout)
    state, begun = init(rollout, policy, first_key), no_episodes(rollout.num_envs)
    try:
        for chunk in range(count):
            arguments = rollout, policy, state, begun, jax.random.fold_in(key, chunk)
            kept, rows, begun, state = collect(*arguments, keep)
            yield kept, rows
    finally:
        close_or_warn(rollout, state)


def shares(episodes: int, num_envs: int) -> Int[np.ndarray, " num_envs"]:
    """How many of the episodes each environment plays: whichever end came first would prefer short episodes."""
    return np.full(num_envs, episodes // num_envs) + (np.arange(num_envs) < episodes % num_envs)


def in_shares(found: Sequence[list[Any]], wanted: Int[np.ndarray, " num_envs"]) -> list[Any]:
    """The episodes that count, of those that each environment has played so far: no more than its share."""
    return [each for mine, share in zip(found, wanted, strict=True) for each in mine[:share]]


def _init(rollout, policy, key):
    return rollout.init(policy, key)


_compiled_init = eqx.filter_jit(_init)


@eqx.filter_jit
def _compiled_rollout(rollout, policy, state, begun, key, keep):
    trajectory, state = rollout.collect(policy, state, key)
    return keep(trajectory), *follow(trajectory, begun), state


_follow = eqx.filter_jit(follow)


def _host_rollout(rollout, policy, state, begun, key, keep):
    trajectory, state = rollout.collect(policy, state, key)
    return keep(trajectory), *_follow(trajectory, begun), state
