"""Policies and critics: from an observation (and a memory) to a distribution over actions and a value."""

from .base import AbstractActorCritic as AbstractActorCritic
from .base import AbstractPolicy as AbstractPolicy
from .base import Deterministic as Deterministic
from .base import entropies as entropies
from .base import initial_memories as initial_memories
from .base import log_probs as log_probs
from .base import Memory as Memory
from .base import Output as Output
from .base import refresh as refresh
from .base import unroll as unroll
from .base import WithoutCritic as WithoutCritic
from .build import as_actor_critic as as_actor_critic
from .build import make_actor_critic as make_actor_critic
from .build import Network as Network
from .encoders import AbstractEncoder as AbstractEncoder
from .encoders import FlatEncoder as FlatEncoder
from .encoders import ImageEncoder as ImageEncoder
from .encoders import make_encoder as make_encoder
from .feedforward import FeedForwardActorCritic as FeedForwardActorCritic
from .masked import Masked as Masked
from .normalizer import Normalized as Normalized
from .normalizer import Normalizer as Normalizer
from .normalizer import observe as observe
from .recurrent import RecurrentActorCritic as RecurrentActorCritic
