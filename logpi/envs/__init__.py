"""Environments written in JAX: their interface, adapters to other suites, and probes with known answers."""

from .base import AbstractEnv as AbstractEnv
from .base import first_timestep as first_timestep
from .base import Timestep as Timestep
