"""Advantage actor-critic, Mnih et al. 2016 (arXiv:1602.01783), with all environments in step."""

import equinox as eqx
from jaxtyping import Array, Float

from ..advantages import AbstractAdvantages, Unchanged
from ..batch import Segments
from ..credit import AbstractCredit, NStep
from ..errors import check_between, check_fields
from ..learners.optimisers import AbstractOptimiser, Adam
from ..models import AbstractActorCritic
from .base import AbstractSingleStep, MOST, Record, score_objective


class A2C(AbstractSingleStep):
    """One step up the policy gradient for each rollout, with a critic for a baseline and for what is not yet seen.

    - `optimiser`: what climbs.
    - `credit`: how rewards become advantages and value targets.
    - `advantages`: what a rollout makes of its advantages.
    - `value_coef`, `entropy_coef`: how much the critic's error and the entropy count beside the surrogate.
    - `segment_length`: steps that backpropagation goes back in a model with memory; `None` for the whole rollout.
    """

    optimiser: AbstractOptimiser = Adam(learning_rate=7e-4)
    credit: AbstractCredit = NStep()
    advantages: AbstractAdvantages = Unchanged()
    value_coef: float = 0.5
    entropy_coef: float = 0.01
    segment_length: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_fields(self, check_between, "entropy_coef", low=0, high=MOST)

    def objective(self, model: AbstractActorCritic, batch: Segments) -> tuple[Float[Array, "segments time"], Record]:
        """Of each row: the score surrogate, less the error of the critic, plus the entropy."""
        return score_objective(model, batch, value_coef=self.value_coef, entropy_coef=self.entropy_coef)
