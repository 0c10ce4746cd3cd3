"""IMPALA, Espeholt et al. 2018 (arXiv:1802.01561): the policy gradient from what an older policy did."""

from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from ..advantages import AbstractAdvantages, Unchanged
from ..batch import Segments
from ..credit import AbstractCredit, AbstractOffPolicyCredit, VTrace
from ..errors import check_between, check_fields, check_kind
from ..learners.optimisers import AbstractOptimiser, Adam
from ..models import AbstractActorCritic
from .base import AbstractSingleStep, MOST, Record, score_objective


class IMPALA(AbstractSingleStep):
    """A2C with credit for a policy that is not the one that acted: so a rollout may be collected while one learns.

    - `optimiser`: what climbs.
    - `credit`: how rewards become advantages and value targets, given how likely both policies are to act so.
    - `advantages`: what a rollout makes of its advantages, which the cut ratio is part of.
    - `value_coef`, `entropy_coef`: how much the critic's error and the entropy count beside the surrogate.
    - `segment_length`: steps that backpropagation goes back in a model with memory; `None` for the whole rollout.
    """

    lag: ClassVar[int] = 1
    optimiser: AbstractOptimiser = Adam(learning_rate=7e-4)
    credit: AbstractCredit = VTrace()
    advantages: AbstractAdvantages = Unchanged()
    value_coef: float = 0.5
    entropy_coef: float = 0.01
    segment_length: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_kind("credit", self.credit, AbstractOffPolicyCredit, "logpi.VTrace()")
        check_fields(self, check_between, "entropy_coef", low=0, high=MOST)

    def objective(self, model: AbstractActorCritic, batch: Segments) -> tuple[Float[Array, "segments time"], Record]:
        """Of each row: the score surrogate, less the error of the critic, plus the entropy."""
        return score_objective(model, batch, value_coef=self.value_coef, entropy_coef=self.entropy_coef)
