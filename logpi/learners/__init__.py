"""Learners: from an objective to a better model."""

from .natural import trust_region as trust_region
from .optimisers import AbstractOptimiser as AbstractOptimiser
from .optimisers import Adam as Adam
from .optimisers import Optax as Optax
from .optimisers import SGD as SGD
from .steps import accumulated_step as accumulated_step
from .steps import apply_gradient as apply_gradient
from .steps import epochs as epochs
from .steps import EpochsInfo as EpochsInfo
from .steps import gradient as gradient
from .steps import gradient_step as gradient_step
from .steps import GradientNoise as GradientNoise
from .steps import init_learner as init_learner
from .steps import Learner as Learner
from .steps import no_noise as no_noise
from .steps import random_order as random_order
from .steps import reached_by as reached_by
from .steps import towards as towards
