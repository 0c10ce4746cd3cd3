"""Demonstrations: what somebody did where, as rows that a policy may begin from."""

from .rows import Demonstrations as Demonstrations
from .rows import fitting as fitting
from .warm import as_warm_start as as_warm_start
from .warm import WarmStart as WarmStart
