"""Proximal policy optimisation, Schulman et al. 2017 (arXiv:1707.06347)."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..advantages import AbstractAdvantages, Standardised
from ..batch import prepare, Segments, with_advantages
from ..credit import AbstractCredit, AbstractOffPolicyCredit, GAE
from ..errors import check_between, check_fields, check_whole, InputError
from ..learners import AbstractOptimiser, Adam, epochs, gradient_step, Learner
from ..measurements import Measurement
from ..models import AbstractActorCritic, entropies, log_probs, observe, unroll
from ..surrogates import approximate_kl, clipped_ratio, clipped_squared_error
from ..trajectory import Trajectory
from .base import AbstractOnPolicy, ENTROPY, KL, MOST, ON_POLICY, Record, Shown, shown, SURROGATE, VALUE_ERROR

CLIPPED = Measurement(
    "clipped", "share of rows", "Rows whose ratio of probabilities left its interval.", "Clipped rows",
    tags=(("losses/clipfrac", 1.0), ("train/clip_fraction", 1.0)),
)  # fmt: skip


class PPO(AbstractOnPolicy):
    """Several passes over each rollout, with a surrogate that stops pulling once the policy has moved far enough.

    - `optimiser`: what climbs.
    - `credit`: how rewards become advantages and value targets.
    - `advantages`: what each minibatch makes of its advantages.
    - `clip`: how far the ratio of new to old probability may move before its gradient is cut (the paper's epsilon).
    - `value_clip`: how far a value may move likewise, in units of return; infinite is no limit.
    - `value_coef`, `entropy_coef`: how much the critic's error and the entropy count beside the surrogate.
    - `target_kl`: no further pass over the rollout once the policy has moved so far, in nats.
    - `num_epochs`, `num_minibatches`: passes over each rollout, and steps in each.
    - `segment_length`: steps that backpropagation goes back in a model with memory; `None` for the whole rollout.
    """

    measurements: ClassVar[tuple[Measurement, ...]] = (*ON_POLICY, CLIPPED)
    lag: ClassVar[int] = 1  # its ratio is to the policy that acted
    optimiser: AbstractOptimiser = Adam()
    credit: AbstractCredit = GAE()
    advantages: AbstractAdvantages = Standardised()
    clip: float = 0.2
    value_clip: float = float("inf")
    value_coef: float = 0.5
    entropy_coef: float = 0.0
    target_kl: float = float("inf")
    num_epochs: int = eqx.field(static=True, default=4)
    num_minibatches: int = eqx.field(static=True, default=4)
    segment_length: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_fields(self, check_between, "clip", "value_clip", "target_kl", low=0)
        check_fields(self, check_between, "value_coef", "entropy_coef", low=0, high=MOST)
        check_fields(self, check_whole, "num_epochs", "num_minibatches", low=1)
        if isinstance(self.credit, AbstractOffPolicyCredit):
            raise InputError(
                f"credit is {self.credit}, which weighs by the ratio of probabilities, but PPO's surrogate does "
                "that already: take GAE(), or IMPALA."
            )

    def update(self, state: Learner, view: Trajectory, key: PRNGKeyArray) -> tuple[Learner, Shown]:
        """Credit once, then `num_epochs` passes over the rollout in shuffled minibatches."""
        batch = prepare(state.model, view, self.credit, self.segment_length)

        def step(learner: Learner, minibatch: Segments):
            return gradient_step(self.objective, learner, with_advantages(minibatch, self.advantages), self.optimiser)

        state, info = epochs(
            step,
            state,
            batch,
            num_epochs=self.num_epochs,
            num_minibatches=self.num_minibatches,
            stop=lambda record: record[KL.name] > self.target_kl,
            key=key,
        )
        state = state.after_update(observe(state.model, view.obs, view.valid))
        return state, shown(info.record, batch, info.gradient_norm, info.signal_to_noise)

    def objective(self, model: AbstractActorCritic, batch: Segments) -> tuple[Float[Array, "segments time"], Record]:
        """Of each row: the clipped surrogate, less the error of the critic, plus the entropy."""
        output, _ = unroll(model, batch.obs, batch.start, batch.memory)
        log_prob, entropy = log_probs(output.policy, batch.action), entropies(output.policy)
        surrogate = clipped_ratio(log_prob, batch.log_prob, batch.advantage, self.clip)
        value_error = clipped_squared_error(output.value, batch.value, batch.target, self.value_clip)
        outside = jnp.abs(jnp.expm1(log_prob - batch.log_prob)) > self.clip
        record = {
            ENTROPY.name: entropy,
            KL.name: approximate_kl(log_prob, batch.log_prob),
            SURROGATE.name: surrogate,
            VALUE_ERROR.name: value_error,
            CLIPPED.name: outside.astype(jnp.float32),
        }
        return surrogate - self.value_coef * value_error + self.entropy_coef * entropy, record
