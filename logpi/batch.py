"""From a trajectory to what on-policy algorithms learn from: credit under the model that learns, in segments."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from .advantages import AbstractAdvantages
from .credit import AbstractCredit, assign
from .errors import InputError
from .models import AbstractActorCritic, log_probs, refresh, unroll
from .surrogates import weighted_mean
from .trajectory import at_time, segments, Trajectory


class Segments(eqx.Module):
    """Contiguous pieces of a trajectory. One row each for a model without memory."""

    obs: PyTree[Array]  # (segments, time, ...)
    start: Bool[Array, "segments time"]
    action: PyTree[Array]  # (segments, time, ...)
    log_prob: Float[Array, "segments time"]  # under the policy that acted
    value: Float[Array, "segments time"]  # of the critic at that time
    advantage: Float[Array, "segments time"]
    target: Float[Array, "segments time"]  # for the value
    weight: Float[Array, "segments time"]  # 0 for the rows that only reset
    memory: PyTree[Array]  # (segments, ...), before the first step of each


def prepare(
    model: AbstractActorCritic, trajectory: Trajectory, credit: AbstractCredit, segment_length: int | None
) -> Segments:
    """Values along the trajectory, credit along each stream, and all of it cut into segments.

    `segment_length` is how many steps backpropagation goes back through time in a model with memory; without memory
    every row is a segment, and `None` is the whole trajectory. Raises `InputError` if the trajectory does not split.
    """
    t = trajectory
    time = t.start.shape[1]
    length = 1 if not jax.tree.leaves(t.memory) else segment_length or time
    if time % length:
        raise InputError(
            f"segment_length is {length}, but a rollout of {time} steps does not split into such segments: "
            "give a divisor of the rollout's length."
        )
    output, memory = unroll(model, t.obs, t.start, t.memory)

    def last_value(obs, start, memory):
        return model.evaluate(obs, refresh(model, start, memory))[0].value

    last = jax.vmap(last_value)(t.last_obs, t.last_start, at_time(memory, -1))
    value = jnp.concatenate([output.value, last[:, None]], axis=1)
    log_ratio = log_probs(output.policy, t.action) - t.log_prob
    given = jax.vmap(functools.partial(assign, credit))(t.reward, t.terminated, t.truncated, value, log_ratio)
    weight = t.valid.astype(value.dtype)
    rows = (t.obs, t.start, t.action, t.log_prob, output.value, given.advantage, given.target, weight)
    before = at_time(segments(at_time(memory, slice(-1)), length), 0)
    return Segments(*segments(rows, length), memory=before)


def with_advantages(batch: Segments, advantages: AbstractAdvantages) -> Segments:
    """The batch with its advantages as an update takes them."""
    return eqx.tree_at(lambda b: b.advantage, batch, advantages(batch.advantage, batch.weight))


def explained_variance(batch: Segments) -> Float[Array, ""]:
    """Which share of the targets' variance the critic explains: 1 all of it, 0 none, below 0 worse than their mean."""
    mean = weighted_mean(batch.target, batch.weight)
    spread = weighted_mean((batch.target - mean) ** 2, batch.weight)
    error = batch.target - batch.value
    left = weighted_mean((error - weighted_mean(error, batch.weight)) ** 2, batch.weight)
    return jnp.where(spread > 1e-12, 1 - left / jnp.maximum(spread, 1e-12), 0.0)
