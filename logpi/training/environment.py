"""From where environments come to a rollout in them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..envs import CompiledSource, EnvSource
from ..errors import InputError
from ..rollout import AbstractRollout, CompiledRollout, HostRollout
from ..spaces import bounds, Box, rescale_to, Space
from .memory import check_rollout


def make_rollout(source: EnvSource, num_envs: int, length: int, to_env: Callable[..., Any]) -> AbstractRollout:
    """The rollout in `num_envs` environments of a source, `length` steps at a time.

    `to_env(action_space, action)` is the way of an action to them: `spaces.clip_to` or `spaces.rescale_to`.
    Raises `InputError` where a rollout cannot fit into memory, or where a space without bounds would be rescaled to.
    """
    if to_env is rescale_to:
        _check_bounded(source.action_space)
    check_rollout(num_envs, length, source.obs_space, source.action_space, not source.compiled)
    # pyright counts the abstract variables of `AbstractRollout` as arguments; Equinox does not.
    if isinstance(source, CompiledSource):
        return CompiledRollout(source.env, num_envs, length, to_env)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return HostRollout(source.obs_space, source.action_space, source.make, num_envs, length, to_env)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _check_bounded(space: Space) -> None:
    """Raises `InputError` where the interval -1 to 1 cannot be stretched to a space: the actions would be NaN."""
    if isinstance(space, Box):
        low, high = (bound.astype(np.float64) for bound in bounds(space))
        if not (high - low < np.finfo(np.float32).max).all():
            raise InputError(
                f"actions is rescale, but the action space {space} is not bounded on both sides: take clip (--actions "
                "clip), or bound the space."
            )
