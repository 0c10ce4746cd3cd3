"""Audits: whether a policy gradient is the policy gradient. Nothing else in logpi imports them."""

from . import gallery as gallery
from . import problems as problems
from .alignment import align as align
from .alignment import Alignment as Alignment
from .env import env as env
from .loss import loss as loss
from .objective import objective as objective
from .policy import policy as policy
from .program import program as program
from .report import Check as Check
from .report import Report as Report
from .run import run as run
from .sequences import Sequences as Sequences
from .tables import loss_tables as loss_tables
from .tables import objective_tables as objective_tables
from .tables import tables as tables
