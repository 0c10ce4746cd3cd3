"""Evaluation rollouts: a policy plays fresh episodes, rollout by rollout."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Int, PRNGKeyArray

from ..models import AbstractPolicy
from ..rollout import AbstractRollout, close_or_warn
from ..trajectory import Trajectory
from .episodes import EpisodeRows, follow, no_episodes, OpenEpisodes


def _nothing(_: Any) -> None:
    return None


def rollouts(
    policy: AbstractPolicy,
    rollout: AbstractRollout,
    count: int,
    key: PRNGKeyArray,
    keep: Callable[[Trajectory], Any] = _nothing,
    opened: Callable[[Any], object] = _nothing,
) -> Generator[tuple[Any, EpisodeRows], None, None]:
    """Up to `count` rollouts, the first of new episodes: what `keep` makes of each, and where episodes ended in it.

    `keep` is compiled along: what it leaves out of the trajectory of a compiled rollout need not be stored. `opened`
    hears of the state that the environments begin with. They are closed at the end; whoever may stop before it puts
    `contextlib.closing` around.
    """
    first_key, key = jax.random.split(key)
    state, begun, following = rollout.begin(policy, first_key), no_episodes(rollout.num_envs), _Following(keep)
    opened(state)
    try:
        for chunk in range(count):
            (kept, rows, begun), state = rollout.run(policy, state, jax.random.fold_in(key, chunk), following, begun)
            yield kept, rows
    finally:
        close_or_warn(rollout, state)


class _Following(eqx.Module):
    """Keeps what is asked for of a trajectory, and follows the episodes in it. Equal ones share compiled programs."""

    keep: Callable[[Trajectory], Any] = eqx.field(static=True)

    def __call__(self, trajectory: Trajectory, begun: OpenEpisodes) -> tuple[Any, EpisodeRows, OpenEpisodes]:
        return self.keep(trajectory), *follow(trajectory, begun)


def shares(episodes: int, num_envs: int) -> Int[np.ndarray, " num_envs"]:
    """How many of the episodes each environment plays: whichever end came first would prefer short episodes."""
    return np.full(num_envs, episodes // num_envs) + (np.arange(num_envs) < episodes % num_envs)


def in_shares(found: Sequence[list[Any]], wanted: Int[np.ndarray, " num_envs"]) -> list[Any]:
    """The episodes that count, of those that each environment has played so far: no more than its share."""
    return [each for mine, share in zip(found, wanted, strict=True) for each in mine[:share]]
