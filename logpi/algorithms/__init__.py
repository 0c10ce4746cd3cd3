"""Algorithms: each an assembly of parts, with no question about action kind, memory or environment kind."""

from .a2c import A2C as A2C
from .base import AbstractAlgorithm as AbstractAlgorithm
from .base import AbstractOnPolicy as AbstractOnPolicy
from .base import AbstractSingleStep as AbstractSingleStep
from .base import Climbed as Climbed
from .base import Spec as Spec
from .evolution import ARS as ARS
from .evolution import ES as ES
from .evolution import PGPE as PGPE
from .impala import IMPALA as IMPALA
from .natural_gradient import AbstractNaturalGradient as AbstractNaturalGradient
from .npg import NPG as NPG
from .off_policy import AbstractOffPolicy as AbstractOffPolicy
from .ppo import PPO as PPO
from .reinforce import REINFORCE as REINFORCE
from .sac import SAC as SAC
from .td3 import DDPG as DDPG
from .td3 import TD3 as TD3
from .trpo import TRPO as TRPO
