"""Environments written in JAX: their interface, adapters to other suites, and probes with known answers."""

from .base import AbstractEnv as AbstractEnv
from .base import first_timestep as first_timestep
from .base import Timestep as Timestep
from .names import resolve as resolve
from .source import CompiledSource as CompiledSource
from .source import EnvSource as EnvSource
from .source import HostSource as HostSource
from .source import restarting as restarting
from .vector import AbstractVectorEnv as AbstractVectorEnv
