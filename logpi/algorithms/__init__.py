"""Algorithms: each an assembly of parts, with no question about action kind, memory or environment kind."""

from .a2c import A2C as A2C
from .base import AbstractAlgorithm as AbstractAlgorithm
from .base import AbstractOnPolicy as AbstractOnPolicy
from .base import AbstractSingleStep as AbstractSingleStep
from .base import Spec as Spec
from .natural_gradient import AbstractNaturalGradient as AbstractNaturalGradient
from .npg import NPG as NPG
from .ppo import PPO as PPO
from .reinforce import REINFORCE as REINFORCE
from .trpo import TRPO as TRPO
