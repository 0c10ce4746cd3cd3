"""Policies that explore: what acts while an algorithm learns something else."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ..distributions import AbstractDistribution, nearest_uniform, Product
from ..distributions.normal import ClippedNormal
from .base import AbstractPolicy, Memory


class WarmingUp(AbstractPolicy):
    """A policy that tries everything while `uniform`: its distribution is then the nearest to uniform of its kind.

    It stays within its masks, and what it draws has the log-probability that is stored with it.
    """

    policy: AbstractPolicy
    uniform: Bool[Array, ""]

    def initial_memory(self) -> Memory:
        return self.policy.initial_memory()

    def __call__(self, obs: PyTree[Array], memory: Memory) -> tuple[AbstractDistribution, Memory]:
        own, memory = self.policy(obs, memory)
        (arrays, static), (even, _) = (eqx.partition(d, eqx.is_array) for d in (own, nearest_uniform(own)))
        return eqx.combine(jax.tree.map(lambda a, b: jnp.where(self.uniform, a, b), even, arrays), static), memory


class Noisy(AbstractPolicy):
    """The mode of another policy's actions, with Gaussian noise, all put onto -1 to 1."""

    policy: AbstractPolicy
    std: Float[Array, ""]

    def initial_memory(self) -> Memory:
        return self.policy.initial_memory()

    def __call__(self, obs: PyTree[Array], memory: Memory) -> tuple[AbstractDistribution, Memory]:
        own, memory = self.policy(obs, memory)
        modes, structure = jax.tree.flatten(own.mode())
        noisy = [ClippedNormal(mode, jnp.full_like(mode, jnp.log(self.std))) for mode in modes]
        return noisy[0] if jax.tree_util.treedef_is_leaf(structure) else Product(structure.unflatten(noisy)), memory
