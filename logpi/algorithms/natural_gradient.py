"""What is common to algorithms that step along the natural gradient."""

import abc
from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ..batch import explained_variance, Segments
from ..errors import check_between, check_fields, check_whole
from ..learners import epochs, gradient_step, Learner, reached_by, trust_region
from ..measurements import Measurement
from ..models import AbstractActorCritic, entropies, log_probs, observe, unroll
from ..surrogates import ratio, squared_error, weighted_mean
from ..trajectory import Trajectory
from .base import (
    AbstractOnPolicy,
    ENTROPY,
    EXPLAINED_VARIANCE,
    GRADIENT_NORM,
    KL,
    MOST,
    Record,
    Shown,
    SURROGATE,
    VALUE_ERROR,
)

RESIDUAL = Measurement(
    "residual", "share of |g|", "|F x - g| of the direction x that conjugate gradients found.",
    "Residual of conjugate gradients", log=True,
)  # fmt: skip
STEP = Measurement(
    "step", "share", "Of the full natural step, which the line search took; 0 where it took none.",
    "Length of the step", "step",
)  # fmt: skip


class AbstractNaturalGradient(AbstractOnPolicy):
    """A step of the policy, as long as its KL may be, and passes of the critic; what is accepted is left open."""

    measurements: ClassVar[tuple[Measurement, ...]] = (
        ENTROPY, KL, SURROGATE, VALUE_ERROR, EXPLAINED_VARIANCE, GRADIENT_NORM, RESIDUAL,
    )  # fmt: skip
    radius: eqx.AbstractVar[float]
    damping: eqx.AbstractVar[float]
    iterations: eqx.AbstractVar[int]
    backtracks: eqx.AbstractVar[int]
    num_epochs: eqx.AbstractVar[int]
    num_minibatches: eqx.AbstractVar[int]

    def __check_init__(self):
        check_fields(self, check_between, "radius", "damping", low=0, high=MOST)
        check_fields(self, check_whole, "iterations", "num_epochs", "num_minibatches", low=1)

    @abc.abstractmethod
    def accepts(self, gain: Float[Array, ""], kl: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether a step is taken that changes the surrogate and moves the policy by so much, over all rows."""

    def update(self, state: Learner, view: Trajectory, key: PRNGKeyArray) -> tuple[Learner, Shown]:
        """Credit, a step of the policy, and `num_epochs` passes of the critic, which leave the policy where it is."""
        batch = self.batch(state.model, view)

        def policies(model):
            return unroll(model, batch.obs, batch.start, batch.memory)[0].policy

        def surrogate(policies):
            return ratio(log_probs(policies, batch.action), batch.log_prob, batch.advantage)

        model, step = trust_region(
            surrogate, policies, state.model, batch.weight, radius=self.radius, damping=self.damping,
            iterations=self.iterations, backtracks=self.backtracks, accepts=self.accepts,
        )  # fmt: skip
        kept = reached_by(policies, model)

        def error(model, rows):
            error = self.objective(eqx.combine(kept, model), rows)[1][VALUE_ERROR.name]
            return -error, {VALUE_ERROR.name: error}

        state, fit = epochs(
            lambda learner, rows: gradient_step(error, learner, rows, self.optimiser),
            eqx.tree_at(lambda s: s.model, state, model),
            batch,
            num_epochs=self.num_epochs,
            num_minibatches=self.num_minibatches,
            key=key,
        )
        model = eqx.combine(kept, state.model)
        found = fit.record | {
            ENTROPY.name: weighted_mean(entropies(policies(model)), batch.weight),
            KL.name: step.kl,
            SURROGATE.name: step.gain,
            EXPLAINED_VARIANCE.name: explained_variance(batch),
            GRADIENT_NORM.name: step.gradient_norm,
            RESIDUAL.name: step.residual,
            STEP.name: step.share,
        }
        state = state.after_update(observe(model, view.obs, view.valid))
        return state, {measurement.name: found[measurement.name] for measurement in self.measurements}

    def objective(self, model: AbstractActorCritic, batch: Segments) -> tuple[Float[Array, "segments time"], Record]:
        """Of each row: the surrogate, whose gradient the step is made of, less the error of the critic."""
        output, _ = unroll(model, batch.obs, batch.start, batch.memory)
        surrogate = ratio(log_probs(output.policy, batch.action), batch.log_prob, batch.advantage)
        error = squared_error(output.value, batch.target)
        return surrogate - error, {SURROGATE.name: surrogate, VALUE_ERROR.name: error}
