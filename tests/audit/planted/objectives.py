"""Objectives and loops of advantages with one thing wrong, and the right ones."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from logpi.models import entropies, log_probs, unroll
from logpi.surrogates import standardise

GAMMA, LAM = 0.8, 0.95
ENTROPY = 0.05


def outputs(model, batch):
    """The model on the rows."""
    return unroll(model, batch.obs, batch.start, batch.memory)[0]


def log_prob(model, batch):
    """Of the actions."""
    return log_probs(outputs(model, batch).policy, batch.action)


def right(model, batch):
    """The policy gradient."""
    return log_prob(model, batch) * batch.advantage, {"anything": "goes"}


def a_loss(model, batch):
    """What should be minimised."""
    return -log_prob(model, batch) * batch.advantage


def own_sample(model, batch):
    """A baseline that holds the row's own advantage."""
    return log_prob(model, batch) * (batch.advantage - jnp.mean(batch.advantage))


def broadcast(model, batch):
    """(n,) times (n, 1)."""
    return log_prob(model, batch).reshape(-1) * batch.advantage


def of_the_clipped_action(model, batch):
    """The action is clipped before its log-probability is taken."""
    action = jnp.clip(batch.action, -1.0, 1.0) if batch.action.dtype == float else batch.action
    return log_probs(outputs(model, batch).policy, action) * batch.advantage


def double_weight(model, batch):
    """The importance weight twice."""
    ratio = jnp.exp(log_prob(model, batch) - batch.log_prob)
    return ratio * jax.lax.stop_gradient(ratio) * batch.advantage


def no_log_std(model, batch):
    """The scale of the policy is left out of what is differentiated."""
    policy = model.policy
    if "log_std" in {field.name for field in dataclasses.fields(policy)}:
        policy = dataclasses.replace(policy, log_std=jax.lax.stop_gradient(policy.log_std))
    return log_prob(dataclasses.replace(model, policy=policy), batch) * batch.advantage


def sampled_entropy(model, batch):
    """The entropy bonus as the mean of -log_prob, whose gradient is 0."""
    now = log_prob(model, batch)
    return now * batch.advantage + ENTROPY * -now


def half_of_the_entropy(model, batch):
    """Half the bonus that is meant."""
    return log_prob(model, batch) * batch.advantage + 0.5 * ENTROPY * entropies(outputs(model, batch).policy)


def whole_entropy(model, batch):
    """The entropy bonus in closed form."""
    return log_prob(model, batch) * batch.advantage + ENTROPY * entropies(outputs(model, batch).policy)


def not_a_number(model, batch):
    """0 / 0 in each row."""
    return log_prob(model, batch) * batch.advantage / (batch.weight - batch.weight)


def standardised(model, batch):
    """Standardised in the objective, over the rows that it sees."""
    return log_prob(model, batch) * standardise(batch.advantage, batch.weight)


def with_rows_that_reset(model, batch):
    """Divided by the deviation of all rows, of weight 0 too."""
    return log_prob(model, batch) * batch.advantage / jnp.std(batch.advantage)


def numpy_gae(reward, terminated, truncated, value, *, ends=None, keep=None, last=True, late=0, discount=GAMMA):
    """GAE as a loop; `ends`: where nothing follows, `keep`: where the sum goes on, `last`: pays the final reward.

    `late` takes the reward of a later row; `discount` is that of the value that follows.
    """
    ends = terminated if ends is None else ends(terminated, truncated)
    keep = ~(terminated | truncated) if keep is None else keep(terminated, truncated)
    reward = np.append(reward, np.zeros(late))[late:]
    advantage, following = np.zeros(len(reward)), 0.0
    for t in reversed(range(len(reward))):
        paid = reward[t] if last or not terminated[t] else 0.0
        delta = paid + discount * value[t + 1] * (not ends[t]) - value[t]
        following = delta + GAMMA * LAM * keep[t] * following
        advantage[t] = following
    return advantage, advantage + value[:-1]
