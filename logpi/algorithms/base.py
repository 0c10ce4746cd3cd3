"""What every algorithm is: configuration in the object, all that it remembers in one state."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..batch import explained_variance, prepare, Segments
from ..credit import AbstractCredit
from ..models import AbstractActorCritic, AbstractPolicy, entropies, log_probs, observe, unroll
from ..steps import AbstractOptimiser, ascend, Learner, Objective
from ..surrogates import approximate_kl, Number, score, squared_error
from ..trajectory import Trajectory


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


def single_step(
    objective: Objective,
    state: Learner,
    trajectory: Trajectory,
    *,
    credit: AbstractCredit,
    optimiser: AbstractOptimiser,
    segment_length: int | None,
) -> tuple[Learner, UpdateInfo]:
    """Credit, and one step up the gradient of an objective over the whole rollout."""
    batch = prepare(state.model, trajectory, credit, segment_length)
    state, record, noise = ascend(objective, state, batch, optimiser)
    state = state.after_update(observe(state.model, trajectory.obs, trajectory.valid))
    return state, UpdateInfo(record, explained_variance(batch), noise.norm(), noise.signal_to_noise())


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
