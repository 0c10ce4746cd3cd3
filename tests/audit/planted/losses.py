"""Losses of arrays with one thing wrong."""

import jax.numpy as jnp

from logpi.audit.gallery import losses


def uphill(log_prob, advantage):
    """Minimised, it goes the wrong way."""
    return jnp.sum(advantage * log_prob)


def unweighted(log_prob, mask):
    """The mean of log_prob alone."""
    return -jnp.mean(jnp.sum(jnp.where(mask, log_prob, 0), axis=1))


def zero_over_zero(log_prob, advantage):
    """Divided by an advantage that may be 0."""
    return -jnp.sum(jnp.sqrt(jnp.abs(advantage)) ** 2 * log_prob / advantage)


def padding_counts(log_prob, advantage, mask):
    """What is outside of the mask is not left out."""
    return jnp.sum(0.1 * log_prob**2 - advantage * log_prob) + 0.0 * jnp.sum(mask)


def nan_outside(log_prob, advantage, mask):
    """NaN in the padding spoils the sum."""
    return -jnp.sum(jnp.exp(log_prob) * advantage) + 0.0 * jnp.sum(mask)


def by_place(log_prob, advantage):
    """Later rows weigh more."""
    return -jnp.sum(jnp.arange(len(log_prob))[:, None] * advantage * log_prob)


def nan_alone(log_prob, reward, mask):
    """A group of one has no others."""
    return losses.token_sum(-(reward - (reward.sum() - reward) / (len(reward) - 1))[:, None] * log_prob, mask)


def deviation_of_one(log_prob, reward, group, mask):
    """Standardised by the deviation with n - 1, which one row does not have."""
    same = (group[:, None] == group[None, :]).astype(log_prob.dtype)
    count = same.sum(1)
    mean = same @ reward / count
    variance = (same * (reward[None, :] - mean[:, None]) ** 2).sum(1) / (count - 1)
    return losses.token_sum(-((reward - mean) / (jnp.sqrt(variance) + 1e-4))[:, None] * log_prob, mask)


def broadcast(log_prob, advantage):
    """(n,) times (n, 1): every row is weighed by the sum of all advantages."""
    return -jnp.mean(log_prob * advantage[:, None])


def inverse_ratio(log_prob, behaviour_log_prob, advantage):
    """Off policy, the sign turns."""
    return -jnp.sum(jnp.where(jnp.abs(log_prob - behaviour_log_prob) < 1e-9, 1, -1) * advantage * log_prob)
