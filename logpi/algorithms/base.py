"""What every algorithm is: configuration in the object, all that it remembers in one state."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..batch import explained_variance, prepare, Segments
from ..credit import AbstractCredit
from ..errors import check_between, check_part, check_whole
from ..learners.optimisers import AbstractOptimiser
from ..learners.steps import ascend, init_learner, Learner
from ..models import AbstractActorCritic, AbstractPolicy, entropies, log_probs, observe, unroll
from ..surrogates import approximate_kl, Number, score, squared_error
from ..trajectory import Trajectory

MOST = 1e6  # of a coefficient: finite, and far more than anything is trained with


class Record(eqx.Module):
    """What an on-policy objective says of its rows; averaged over them, of an update. In nats where not said."""

    surrogate: Float[Array, "..."]  # only its gradient means anything
    value_error: Float[Array, "..."]  # half the squared error of the critic, in squared units of return
    entropy: Float[Array, "..."]
    kl: Float[Array, "..."]  # from the policy that acted to the one now
    clipped: Float[Array, "..."]  # 1 where the ratio of probabilities has left its interval


class UpdateInfo(eqx.Module):
    """What an update showed, in scalars."""

    record: Record
    explained_variance: Float[Array, ""]  # of the value targets by the critic, before the update: at most 1
    gradient_norm: Float[Array, ""]
    signal_to_noise: Float[Array, ""]  # squared norm of the gradient over the variance of its estimate


class AbstractAlgorithm(eqx.Module):
    """A state, and a function from a trajectory to the next state. The state is what a checkpoint is."""

    @abc.abstractmethod
    def init(self, model: AbstractActorCritic, num_updates: int | Int[Array, ""], key: PRNGKeyArray) -> Any:
        """The state before the first of `num_updates` updates (schedules run over them)."""

    @abc.abstractmethod
    def policy(self, state: Any) -> AbstractPolicy:
        """What collects the next trajectory, and what to keep in the end."""

    @abc.abstractmethod
    def update(self, state: Any, trajectory: Trajectory, key: PRNGKeyArray) -> tuple[Any, UpdateInfo]:
        """The state after learning from a trajectory that `policy(state)` collected."""


class AbstractOnPolicy(AbstractAlgorithm):
    """A model and an optimiser that learn from what the model itself has just done; how is left open."""

    optimiser: eqx.AbstractVar[AbstractOptimiser]
    credit: eqx.AbstractVar[AbstractCredit]
    value_coef: eqx.AbstractVar[float]
    segment_length: eqx.AbstractVar[int | None]

    def __check_init__(self):
        check_part("optimiser", self.optimiser, "Adam()")
        check_part("credit", self.credit, "GAE()")
        check_between("value_coef", self.value_coef, 0, MOST)
        check_whole("segment_length", self.segment_length, 1, 2**31 - 1, optional=True)

    def init(self, model: AbstractActorCritic, num_updates: int | Int[Array, ""], key: PRNGKeyArray) -> Learner:
        """The model with a fresh optimiser."""
        return init_learner(model, self.optimiser, num_updates)

    def policy(self, state: Learner) -> AbstractActorCritic:
        """The model."""
        return state.model


class AbstractSingleStep(AbstractOnPolicy):
    """One step up the gradient of an `objective` for each rollout; what is to be climbed is left open."""

    def update(self, state: Learner, trajectory: Trajectory, key: PRNGKeyArray) -> tuple[Learner, UpdateInfo]:
        """Credit, and one step up the gradient over the whole rollout."""
        batch = prepare(state.model, trajectory, self.credit, self.segment_length)
        state, record, noise = ascend(self.objective, state, batch, self.optimiser)
        state = state.after_update(observe(state.model, trajectory.obs, trajectory.valid))
        return state, UpdateInfo(record, explained_variance(batch), noise.norm(), noise.signal_to_noise())

    @abc.abstractmethod
    def objective(self, model: AbstractActorCritic, batch: Segments) -> tuple[Float[Array, "segments time"], Record]:
        """Of each row: what the step climbs, and what it says of itself."""


def score_objective(
    model: AbstractActorCritic, batch: Segments, *, value_coef: Number, entropy_coef: Number
) -> tuple[Float[Array, "segments time"], Record]:
    """Of each row: the score surrogate, less the error of the critic, plus the entropy.

    The gradient of the first is the policy gradient: Sutton et al. 2000, theorem 1, without the discount of the states.
    """
    output, _ = unroll(model, batch.obs, batch.start, batch.memory)
    log_prob, entropy = log_probs(output.policy, batch.action), entropies(output.policy)
    surrogate = score(log_prob, batch.advantage)
    value_error = squared_error(output.value, batch.target)
    kl = approximate_kl(log_prob, batch.log_prob)
    record = Record(surrogate, value_error, entropy, kl, jnp.zeros_like(kl))
    return surrogate - value_coef * value_error + entropy_coef * entropy, record
