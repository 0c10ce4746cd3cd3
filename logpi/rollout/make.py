"""From where environments come to a rollout in them."""

from collections.abc import Callable
from typing import Any

from ..envs import CompiledSource, EnvSource
from ..envs.admission import admitted
from .base import AbstractRollout
from .compiled import CompiledRollout
from .host import HostRollout
from .memory import check_rollout


def make_rollout(source: EnvSource, num_envs: int, length: int, to_env: Callable[..., Any]) -> AbstractRollout:
    """The rollout in `num_envs` environments of a source, `length` steps at a time.

    `to_env(action_space, action)` is the way of an action to them: `spaces.clip_to` or `spaces.rescale_to`.
    Raises `InputError` where a rollout cannot fit into memory, and where a compiled environment does not show what it
    announces.
    """
    check_rollout(num_envs, length, source.obs_space, source.action_space, not source.compiled)
    # pyright counts the abstract variables of `AbstractRollout` as arguments; Equinox does not.
    if isinstance(source, CompiledSource):
        return CompiledRollout(admitted(source.env), num_envs, length, to_env)  # pyright: ignore[reportCallIssue]
    return HostRollout(source.obs_space, source.action_space, source.make, num_envs, length, to_env)  # pyright: ignore[reportArgumentType]
