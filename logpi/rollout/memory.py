"""Whether a training can fit into the machine's memory, asked before any of it is taken."""

import itertools
import math
import os

from .. import spaces
from ..errors import InputError
from ..models import Network
from ..spaces.membership import flattened

HOST_ENV = 4096  # bytes of the smallest environment on the host
MOST_ENVS = 2**24
ROW = 12  # bytes of a row that is kept, beside its observation and action: two numbers and four truths


def check_rollout(
    num_envs: int, length: int, obs_space: spaces.Space, action_space: spaces.Space, host: bool, count: int = 1
) -> None:
    """Raises `InputError` where `count` rollouts cannot fit: observations, actions and five numbers a step alone."""
    step = stored_bytes(obs_space) + stored_bytes(action_space) + 20
    needed = num_envs * (count * length * step + (HOST_ENV if host else 0))
    if needed > total_bytes() or num_envs > MOST_ENVS:
        raise InputError(
            f"num_envs is {num_envs:,} and rollout_length {length:,}, which needs {_gigabytes(needed)}, but this "
            f"machine has {_gigabytes(total_bytes())} and at most {MOST_ENVS:,} environments are made: give fewer "
            "environments or shorter rollouts."
        )


def check_experience(capacity: int, obs_space: spaces.Space, action_space: spaces.Space, seeds: int) -> None:
    """Raises `InputError` where what all seeds keep of their experience cannot fit: each row as a rollout's."""
    row = stored_bytes(obs_space) + stored_bytes(action_space) + ROW
    needed = capacity * row * seeds
    if needed > total_bytes():
        raise InputError(
            f"capacity is {capacity:,}, which with {seeds} seeds and {row:,} bytes a row needs {_gigabytes(needed)}, "
            f"but this machine has {_gigabytes(total_bytes())}: give a smaller capacity, or fewer seeds."
        )


def check_network(network: Network, obs_space: spaces.Space, seeds: int, members: int = 0) -> None:
    """Raises `InputError` where the parameters of all seeds, with Adam's two moments and a gradient, cannot fit.

    Where an algorithm draws `members` around them, these have to fit too.
    """
    units = network.units(obs_space)
    flat = not spaces.is_image(obs_space)
    layers = sum(map(math.prod, itertools.pairwise((spaces.encoded_size(obs_space) if flat else 0, *units))))
    layers += 3 * units[-1] ** 2 if network.remembers else 0
    needed = (16 + 4 * members) * layers * seeds
    if needed > total_bytes():
        of_members, or_members = (f"of {members:,} members ", " or members") if members else ("", "")
        raise InputError(
            f"width is {', '.join(f'{n:,}' for n in dict.fromkeys(units))}, which in {len(units)} layers with {seeds} "
            f"seeds {of_members}needs {_gigabytes(needed)}, but this machine has "
            f"{_gigabytes(total_bytes())}: give a smaller width or depth, or fewer seeds{or_members}."
        )


def stored_bytes(space: spaces.Space) -> int:
    """Bytes of one member in a trajectory: integers and reals have four, bytes and truths one."""
    match space:
        case spaces.Discrete():
            return 4
        case spaces.MultiDiscrete():
            return 4 * len(space.sizes)
        case spaces.MultiBinary():
            return math.prod(space.shape)
        case spaces.Box():
            return math.prod(space.shape) * (1 if space.dtype == "uint8" else 4)
        case _:
            return sum(stored_bytes(part) for (part,) in flattened(space))


def total_bytes() -> int:
    """The memory of the machine, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.3g} GB" if count < 1e12 else f"{count / 1e9:.1e} GB"
