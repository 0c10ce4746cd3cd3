"""Every trajectory of the MDP of three states with its probability, and gradients from nothing else, in float64."""

import jax
import jax.numpy as jnp
import numpy as np

from logpi.audit.problems.defaults import END, FIRST, FOLLOW, REWARD
from logpi.audit.problems.episode_tree import every_episode
from tests.exactness.worlds import HORIZON


def trajectories() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """States and actions (trajectories, HORIZON), lengths, and the part of the probability that the policy has not."""
    tree = every_episode(END, FOLLOW, HORIZON, terminates=True)
    alive = np.arange(HORIZON) < tree.length[:, None]
    return np.where(alive, tree.states[:, :-1], 0), tree.actions, tree.length, FIRST[tree.states[:, 0]] * tree.chance


STATES, ACTIONS, LENGTHS, CHANCES = trajectories()
ALIVE = np.arange(HORIZON) < LENGTHS[:, None]
REWARDS = np.where(ALIVE, REWARD[STATES, ACTIONS], 0.0)


def log_probs(logits):
    """Of each action taken, under the softmax policy with these logits; 0 after the end."""
    return jnp.where(ALIVE, jax.nn.log_softmax(logits)[STATES, ACTIONS], 0.0)


def probabilities(logits):
    """Of the trajectories."""
    return CHANCES * jnp.exp(jnp.sum(log_probs(logits), axis=1))


def expected_return(logits, gamma: float):
    """The sum over all trajectories of probability times discounted return."""
    return jnp.sum(probabilities(logits) * (REWARDS @ gamma ** np.arange(HORIZON)))


def gradient_of_expected_return(logits, gamma: float) -> np.ndarray:
    """By differentiating that sum: no score, no estimator."""
    with jax.enable_x64(True):
        return np.asarray(jax.grad(expected_return)(jnp.asarray(logits), gamma))


def score_gradient(logits, gamma: float, *, discount_states: bool) -> np.ndarray:
    """The expectation of the sum over t of d log pi(a_t | s_t) times the discounted rewards from t on.

    With `discount_states` each term counts gamma^t, and this is the gradient of the expected discounted return; without
    it, as in every common implementation, only for gamma = 1 (Nota & Thomas 2020, arXiv:1906.07073).
    """
    later = np.tril(np.ones((HORIZON, HORIZON))) * gamma ** np.abs(np.subtract.outer(range(HORIZON), range(HORIZON)))
    to_come = REWARDS @ later
    weight = gamma ** np.arange(HORIZON) if discount_states else np.ones(HORIZON)
    with jax.enable_x64(True):
        logits = jnp.asarray(logits)
        factor = np.asarray(probabilities(logits))[:, None] * to_come * weight
        return np.asarray(jax.grad(lambda x: jnp.sum(factor * log_probs(x)))(logits))


def values(logits, gamma: float) -> np.ndarray:
    """The expected discounted rewards to come, of each state at each step: (states, HORIZON)."""
    policy = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    value = np.zeros((len(FIRST), HORIZON + 1))
    for t in reversed(range(HORIZON)):
        following = np.einsum("sa,sak,k->sa", 1 - END, FOLLOW, value[:, t + 1])
        value[:, t] = np.sum(policy * (REWARD + gamma * following), axis=1)
    return value[:, :HORIZON]
