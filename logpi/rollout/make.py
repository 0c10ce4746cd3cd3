"""From where environments come to a rollout in them."""

from collections.abc import Callable
from typing import Any

from ..envs import CompiledSource, EnvSource
from ..envs.admission import admitted
from .base import AbstractRollout
from .compiled import CompiledRollout
from .host import HostRollout
from .memory import check_rollout
from .overlapping import Overlapping


def make_rollout(
    source: EnvSource,
    num_envs: int,
    length: int,
    to_env: Callable[..., Any],
    *,
    overlap: bool = False,
    anew: bool = False,
) -> AbstractRollout:
    """The rollout in `num_envs` environments of a source, `length` steps at a time.

    With `overlap` it is one ahead; with `anew` each begins with new episodes.

    `to_env(action_space, action)` is the way of an action to them: `spaces.clip_to` or `spaces.rescale_to`.
    Raises `InputError` where a rollout cannot fit into memory, and where a compiled environment does not show what it
    announces.
    """
    check_rollout(num_envs, length, source.obs_space, source.action_space, not source.compiled, 1 + overlap)
    # pyright counts the abstract variables of `AbstractRollout` as arguments; Equinox does not.
    if isinstance(source, CompiledSource):
        rollout = CompiledRollout(admitted(source.env), num_envs, length, to_env, anew)  # pyright: ignore[reportCallIssue]
    else:
        rollout = HostRollout(source.obs_space, source.action_space, source.make, num_envs, length, to_env, anew)  # pyright: ignore[reportArgumentType]
    return Overlapping(rollout) if overlap else rollout  # pyright: ignore[reportCallIssue]
