"""What a policy is, and the one function that runs it along streams."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ..distributions import AbstractDistribution, Point
from ..trajectory import portions, rows

Memory = PyTree[Array]  # `()` for a model without memory


class Output(eqx.Module):
    """What an actor-critic says of an observation: how to act, and what the state is worth."""

    policy: AbstractDistribution
    value: Float[Array, "..."]  # a scalar; more axes once it has been run over several observations


class AbstractPolicy(eqx.Module):
    """From an observation, and what is remembered, to a distribution over actions: one step of one stream, no batch."""

    @abc.abstractmethod
    def initial_memory(self) -> Memory:
        """The memory at the first step of an episode; `()` if the policy has none."""

    @abc.abstractmethod
    def __call__(self, obs: PyTree[Array], memory: Memory) -> tuple[AbstractDistribution, Memory]:
        """The distribution of the action, and the memory for the next step."""


class AbstractActorCritic(AbstractPolicy):
    """A policy that also says what a state is worth."""

    @abc.abstractmethod
    def evaluate(self, obs: PyTree[Array], memory: Memory) -> tuple[Output, Memory]:
        """Policy and value, and the memory for the next step."""

    def __call__(self, obs: PyTree[Array], memory: Memory) -> tuple[AbstractDistribution, Memory]:
        """The policy's part of `evaluate`."""
        output, memory = self.evaluate(obs, memory)
        return output.policy, memory


class WithoutCritic(AbstractActorCritic):
    """A policy alone, for algorithms that ask for a value: it is 0 everywhere, so an advantage is the return itself."""

    policy: AbstractPolicy

    def initial_memory(self) -> Memory:
        return self.policy.initial_memory()

    def evaluate(self, obs: PyTree[Array], memory: Memory) -> tuple[Output, Memory]:
        """The policy, and 0."""
        distribution, memory = self.policy(obs, memory)
        return Output(distribution, jnp.zeros(())), memory


class Deterministic(AbstractPolicy):
    """A policy that always takes the mode of another's distribution."""

    policy: AbstractPolicy

    def initial_memory(self) -> Memory:
        return self.policy.initial_memory()

    def __call__(self, obs: PyTree[Array], memory: Memory) -> tuple[AbstractDistribution, Memory]:
        """All probability on the most probable action."""
        distribution, memory = self.policy(obs, memory)
        return Point(distribution.mode()), memory


def with_chance(policy: AbstractPolicy) -> AbstractPolicy:
    """The policy that gives events a probability: itself, or the one whose modes it takes."""
    return with_chance(policy.policy) if isinstance(policy, Deterministic) else policy


def refresh(policy: AbstractPolicy, start: Bool[Array, ""], memory: Memory) -> Memory:
    """The memory to act with: a new one where the observation is the first of an episode."""
    return jax.tree.map(lambda new, old: jnp.where(start, new, old), policy.initial_memory(), memory)


def initial_memories(policy: AbstractPolicy, num_envs: int) -> Memory:
    """The memory of `num_envs` streams at their first step: (num_envs, ...)."""
    return jax.tree.map(lambda m: jnp.broadcast_to(m, (num_envs, *m.shape)), policy.initial_memory())


def unroll(
    model: AbstractActorCritic, obs: PyTree[Array], start: Bool[Array, "streams time"], memory: Memory
) -> tuple[Output, Memory]:
    """The model along streams of observations (streams, time, ...), from the memories (streams, ...) before them.

    Returns its outputs (streams, time, ...), and its memory before each step and after the last:
    (streams, time + 1, ...). The only code that knows whether a model remembers.
    """
    if not jax.tree.leaves(memory):  # streams and time are one batch: twice as fast as a batch of batches
        evaluate = jax.vmap(model.evaluate, in_axes=(0, None))
        few = portions(rows(obs))
        if few is None:
            outputs, _ = evaluate(rows(obs), memory)
        else:
            outputs = rows(jax.lax.map(lambda obs: evaluate(obs, memory)[0], few))
        return jax.tree.map(lambda o: o.reshape(*start.shape, *o.shape[1:]), outputs), memory

    def one_stream(obs, start, memory):
        def step(memory, row):
            obs, start = row
            output, new_memory = model.evaluate(obs, refresh(model, start, memory))
            return new_memory, (output, memory)

        last, (outputs, memories) = jax.lax.scan(step, memory, (obs, start))
        return outputs, jax.tree.map(lambda before, m: jnp.concatenate([before, m[None]]), memories, last)

    return jax.vmap(one_stream)(obs, start, memory)


def log_probs(policies: AbstractDistribution, actions: PyTree[Array]) -> Float[Array, "streams time"]:
    """The log-probability of each action under the distribution of its row."""
    return jax.vmap(jax.vmap(lambda policy, action: policy.log_prob(action)))(policies, actions)


def entropies(policies: AbstractDistribution) -> Float[Array, "streams time"]:
    """The entropy of each row's distribution, in nats."""
    return jax.vmap(jax.vmap(lambda policy: policy.entropy()))(policies)
