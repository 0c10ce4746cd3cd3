"""The score-function gradient of whole returns, Williams 1992 (Machine Learning 8:229)."""

import equinox as eqx
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..batch import Segments
from ..credit import AbstractCredit, MonteCarlo
from ..errors import check_between
from ..models import AbstractActorCritic
from ..steps import AbstractOptimiser, Adam, init_learner, Learner
from ..trajectory import Trajectory
from .base import AbstractAlgorithm, Record, score_objective, single_step, UpdateInfo


class REINFORCE(AbstractAlgorithm):
    """One step up the policy gradient for each rollout; the return to come, less the critic's value, weighs each score.

    Without a baseline: give a model `WithoutCritic(policy)`, whose value is 0. A rollout's last episodes are cut short;
    there the critic's value stands for the rest, so without a critic a rollout should hold several episodes.


    - `optimiser`: what climbs.
    - `credit`: how rewards become advantages and value targets.
    - `value_coef`: how much the critic's error counts beside the surrogate.
    - `segment_length`: steps that backpropagation goes back in a model with memory; `None` for the whole rollout.
    """

    optimiser: AbstractOptimiser = Adam(learning_rate=3e-3)
    credit: AbstractCredit = MonteCarlo()
    value_coef: float = 0.5
    segment_length: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_between("value_coef", self.value_coef, 0)
        check_between("segment_length", self.segment_length, 1)

    def init(self, model: AbstractActorCritic, num_updates: int | Int[Array, ""], key: PRNGKeyArray) -> Learner:
        """The model with a fresh optimiser."""
        return init_learner(model, self.optimiser, num_updates)

    def policy(self, state: Learner) -> AbstractActorCritic:
        """The model."""
        return state.model

    def update(self, state: Learner, trajectory: Trajectory, key: PRNGKeyArray) -> tuple[Learner, UpdateInfo]:
        """Credit, and one step up the gradient over the whole rollout."""
        return single_step(
            self.objective,
            state,
            trajectory,
            credit=self.credit,
            optimiser=self.optimiser,
            segment_length=self.segment_length,
        )

    def objective(self, model: AbstractActorCritic, batch: Segments) -> tuple[Float[Array, "segments time"], Record]:
        """Of each row: the score surrogate, less the error of the critic."""
        return score_objective(model, batch, value_coef=self.value_coef, entropy_coef=0.0)
