"""Trust region policy optimisation, Schulman et al. 2015 (arXiv:1502.05477)."""

from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Bool, Float

from ..advantages import AbstractAdvantages, Standardised
from ..credit import AbstractCredit, GAE
from ..errors import check_fields, check_whole
from ..learners.optimisers import AbstractOptimiser, Adam
from ..measurements import Measurement
from .natural_gradient import AbstractNaturalGradient, STEP

SLACK = 1.5  # a full step's KL is the radius only to second order: many would be turned down for a third too much


class TRPO(AbstractNaturalGradient):
    """The natural gradient, as far as the KL of the policy may go, and shortened until the surrogate has risen.

    Both are looked at over the whole rollout: a step is taken where its KL is at most 1.5 times the radius.

    - `optimiser`: what fits the critic.
    - `credit`: how rewards become advantages and value targets.
    - `advantages`: what a rollout makes of its advantages.
    - `radius`: how far a step is to move the policy, by its KL in nats.
    - `damping`: what is added to the diagonal of the Fisher matrix.
    - `iterations`: of the conjugate gradients, each two passes through the network.
    - `backtracks`: how often a step is shortened before none is taken.
    - `num_epochs`, `num_minibatches`: passes of the critic over each rollout, and steps in each.
    - `segment_length`: steps that backpropagation goes back in a model with memory; `None` for the whole rollout.
    """

    measurements: ClassVar[tuple[Measurement, ...]] = (*AbstractNaturalGradient.measurements, STEP)
    optimiser: AbstractOptimiser = Adam(1e-3, max_grad_norm=float("inf"), epsilon=1e-8)
    credit: AbstractCredit = GAE()
    advantages: AbstractAdvantages = Standardised()
    radius: float = 0.01
    damping: float = 0.1
    iterations: int = eqx.field(static=True, default=15)
    backtracks: int = eqx.field(static=True, default=10)
    num_epochs: int = eqx.field(static=True, default=20)
    num_minibatches: int = eqx.field(static=True, default=4)
    segment_length: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_fields(self, check_whole, "backtracks", low=0)

    def accepts(self, gain: Float[Array, ""], kl: Float[Array, ""]) -> Bool[Array, ""]:
        """A gain, and no more KL than 1.5 times the radius."""
        return (gain > 0) & (kl <= SLACK * self.radius)
