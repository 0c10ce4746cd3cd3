"""Environments: their interface, adapters to other suites, and probes with known answers."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .base import AbstractEnv as AbstractEnv
    from .base import first_timestep as first_timestep
    from .base import Timestep as Timestep
    from .names import resolve as resolve
    from .sources import CompiledSource as CompiledSource
    from .sources import EnvSource as EnvSource
    from .sources import HostSource as HostSource
    from .sources import restarting as restarting
    from .vector import AbstractVectorEnv as AbstractVectorEnv

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "base": ("AbstractEnv", "first_timestep", "Timestep"),
        "names": ("resolve",),
        "sources": ("CompiledSource", "EnvSource", "HostSource", "restarting"),
        "vector": ("AbstractVectorEnv",),
    },
)
