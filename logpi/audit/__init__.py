"""Audits: whether a policy gradient is the policy gradient. Nothing else in logpi imports them."""

from .alignment import align as align
from .alignment import Alignment as Alignment
from .policy import policy as policy
from .program import program as program
from .report import Check as Check
from .report import Report as Report
