"""Audits: whether a policy gradient is the policy gradient. Of logpi, only pages and commands import them."""

from . import gallery as gallery
from . import problems as problems
from .alignment import align as align
from .alignment import Alignment as Alignment
from .environments.audit import env as env
from .losses.audit import loss as loss
from .losses.sequences import Sequences as Sequences
from .objectives.audit import objective as objective
from .policies.audit import policy as policy
from .programs.audit import program as program
from .reports import Check as Check
from .reports import Report as Report
from .runs.audit import run as run
