"""The natural policy gradient, Kakade 2001 (Advances in Neural Information Processing Systems 14)."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..advantages import AbstractAdvantages, Standardised
from ..credit import AbstractCredit, GAE
from ..learners.optimisers import AbstractOptimiser, Adam
from .natural_gradient import AbstractNaturalGradient


class NPG(AbstractNaturalGradient):
    """The natural gradient, as far as the KL of the policy may go by its second order, without looking back: no search.

    The length is that of TRPO's full step, as in Rajeswaran et al. 2017 (arXiv:1703.02660).

    - `optimiser`: what fits the critic.
    - `credit`: how rewards become advantages and value targets.
    - `advantages`: what a rollout makes of its advantages.
    - `radius`: how far a step is to move the policy, by its KL in nats.
    - `damping`: what is added to the diagonal of the Fisher matrix.
    - `iterations`: of the conjugate gradients, each two passes through the network.
    - `num_epochs`, `num_minibatches`: passes of the critic over each rollout, and steps in each.
    - `segment_length`: steps that backpropagation goes back in a model with memory; `None` for the whole rollout.
    """

    backtracks: ClassVar[int] = 0
    optimiser: AbstractOptimiser = Adam(1e-3, max_grad_norm=float("inf"), epsilon=1e-8)
    credit: AbstractCredit = GAE()
    advantages: AbstractAdvantages = Standardised()
    radius: float = 0.01
    damping: float = 0.1
    iterations: int = eqx.field(static=True, default=15)
    num_epochs: int = eqx.field(static=True, default=20)
    num_minibatches: int = eqx.field(static=True, default=4)
    segment_length: int | None = eqx.field(static=True, default=None)

    def accepts(self, gain: Float[Array, ""], kl: Float[Array, ""]) -> Bool[Array, ""]:
        """Every step."""
        return jnp.ones((), bool)
