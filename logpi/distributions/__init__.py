"""Distributions over one event: no batch axis anywhere, `jax.vmap` adds it."""

from .base import AbstractDistribution as AbstractDistribution
from .bernoulli import Bernoulli as Bernoulli
from .categorical import Categorical as Categorical
from .forbidden import masked as masked
from .foreign import as_distribution as as_distribution
from .foreign import Foreign as Foreign
from .joint import Joint as Joint
from .joint import Product as Product
from .normal import Normal as Normal
from .normal import TanhNormal as TanhNormal
from .numpyro.adapter import FromNumpyro as FromNumpyro
from .point import Point as Point
from .support import expected as expected
from .traits import nearest_uniform as nearest_uniform
