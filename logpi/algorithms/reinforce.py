"""The score-function gradient of whole returns, Williams 1992 (Machine Learning 8:229)."""

import equinox as eqx
from jaxtyping import Array, Float

from ..advantages import AbstractAdvantages, Unchanged
from ..batch import Segments
from ..credit import AbstractCredit, MonteCarlo
from ..learners.optimisers import AbstractOptimiser, Adam
from ..models import AbstractActorCritic
from .base import AbstractSingleStep, Record, score_objective


class REINFORCE(AbstractSingleStep):
    """One step up the policy gradient for each rollout; the return to come, less the critic's value, weighs each score.

    Without a baseline: give a model `WithoutCritic(policy)`, whose value is 0. A rollout's last episodes are cut short;
    there the critic's value stands for the rest, so without a critic a rollout should hold several episodes.

    - `optimiser`: what climbs.
    - `credit`: how rewards become advantages and value targets.
    - `advantages`: what a rollout makes of its advantages.
    - `value_coef`: how much the critic's error counts beside the surrogate.
    - `segment_length`: steps that backpropagation goes back in a model with memory; `None` for the whole rollout.
    """

    optimiser: AbstractOptimiser = Adam(learning_rate=3e-3)
    credit: AbstractCredit = MonteCarlo()
    advantages: AbstractAdvantages = Unchanged()
    value_coef: float = 0.5
    segment_length: int | None = eqx.field(static=True, default=None)

    def objective(self, model: AbstractActorCritic, batch: Segments) -> tuple[Float[Array, "segments time"], Record]:
        """Of each row: the score surrogate, less the error of the critic."""
        return score_objective(model, batch, value_coef=self.value_coef, entropy_coef=0.0)
