"""Policies that explore: what acts while an algorithm learns something else."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ..distributions import AbstractDistribution, nearest_uniform, Product
from ..distributions.normal import ClippedNormal
from ..errors import InputError
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


class Population(AbstractPolicy):
    """Policies of one structure, one for each stream: what they differ in, (streams, ...), and what they share."""

    members: PyTree
    shared: PyTree

    def initial_memory(self) -> Memory:
        """Every member's."""
        return self.member(0).initial_memory()

    def member(self, index: int) -> AbstractPolicy:
        """The policy of one stream."""
        return eqx.combine(jax.tree.map(lambda x: x[index], self.members), self.shared)

    def __call__(self, obs: PyTree[Array], memory: Memory) -> tuple[AbstractDistribution, Memory]:
        """Raises `InputError`: it would have to be known whose."""
        raise InputError("a population has a policy for each stream: take one, as population.member(0).")


def each_stream(function: Callable[..., Any], policy: AbstractPolicy, *streams: PyTree[Array]) -> Any:
    """`function(policy, *one)` of each stream, with its own member where the policy is a population."""
    if isinstance(policy, Population):
        shared = policy.shared
        return jax.vmap(lambda own, *one: function(eqx.combine(own, shared), *one))(policy.members, *streams)
    return jax.vmap(lambda *one: function(policy, *one))(*streams)


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
