"""Interaction between a policy and environments, compiled or on the host."""

from .base import AbstractRollout as AbstractRollout
from .base import act as act
from .base import close_or_warn as close_or_warn
from .compiled import CompiledRollout as CompiledRollout
from .host import HostRollout as HostRollout
from .host import HostState as HostState
from .make import make_rollout as make_rollout
from .overlapping import Overlapping as Overlapping
