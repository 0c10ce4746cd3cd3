"""4,096 samples through an 8-64-64-4 softmax policy: ours, and the two ways in which it is written by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

SIZES = ((8, 64), (64, 64), (64, 4))
REPLICATES, EACH = 32, 128
SAMPLES = REPLICATES * EACH


def parameters():
    """Weights and biases, 4,996 numbers."""
    rng = np.random.default_rng(0)
    return [(jnp.asarray(rng.normal(size=s) / s[0] ** 0.5, jnp.float32), jnp.zeros(s[1], jnp.float32)) for s in SIZES]


def logits_of(layers, obs):
    """The network, for one observation or many."""
    for weights, bias in layers[:-1]:
        hidden = obs @ weights
        obs = jnp.tanh(hidden + jnp.broadcast_to(bias, hidden.shape))
    weights, bias = layers[-1]
    out = obs @ weights
    return out + jnp.broadcast_to(bias, out.shape)


def log_prob_of(logits, action):
    """Of one action. By a one-hot: for all contenders faster than an index."""
    return jnp.sum(jnp.where(jnp.arange(4) == action, jax.nn.log_softmax(logits), 0.0))


class Policy(eqx.Module):
    """An observation and the action on it, as a distribution over both."""

    layers: list

    def sample(self, key, shape):
        """Observations and actions."""
        obs_key, action_key = jax.random.split(key)
        obs = jax.random.normal(obs_key, (*shape, 8))
        return obs, jax.random.categorical(action_key, logits_of(self.layers, obs))

    def log_prob(self, event):
        """Of the action: that of the observation has no parameters."""
        obs, action = event
        return log_prob_of(logits_of(self.layers, obs), action)


def cost(event):
    """What the policy is scored by."""
    obs, action = event
    return jnp.sum(obs[:2]) * action


@jax.jit
def plain(layers, key):
    """The mean gradient alone: no value, no baseline, no errors, one pass of the network for draw and score."""
    obs_key, action_key = jax.random.split(key)
    obs = jax.random.normal(obs_key, (SAMPLES, 8))

    def surrogate(layers):
        logits = logits_of(layers, obs)
        action = jax.random.categorical(action_key, jax.lax.stop_gradient(logits))
        return jnp.mean(jax.vmap(cost)((obs, action)) * jax.vmap(log_prob_of)(logits, action))

    return jax.grad(surrogate)(layers)


def _per_sample(layers, events):
    weigh = jax.grad(lambda layers, event: cost(event) * Policy(layers).log_prob(event))
    return jax.vmap(lambda event: weigh(layers, event))(events)


@jax.jit
def vmap_grad(layers, key):
    """A gradient for each sample, then mean and error of each parameter."""
    events = Policy(layers).sample(key, (SAMPLES,))
    gradients, costs = _per_sample(layers, events), jax.vmap(cost)(events)
    return jax.tree.map(lambda x: (jnp.mean(x, axis=0), jnp.std(x, axis=0) / SAMPLES**0.5), (costs, gradients))


@jax.jit
def vmap_grad_chunked(layers, key):
    """The same in chunks of 64 samples, with sums of squares: what somebody writes who knows what memory costs."""
    events = Policy(layers).sample(key, (SAMPLES,))
    chunks = jax.tree.map(lambda x: x.reshape(-1, 64, *x.shape[1:]), events)

    def add(sums, chunk):
        rows = (jax.vmap(cost)(chunk), _per_sample(layers, chunk))
        new = jax.tree.map(lambda x: (jnp.sum(x, axis=0), jnp.sum(x**2, axis=0)), rows)
        return jax.tree.map(jnp.add, sums, new), None

    zeros = jax.tree.map(lambda x: (jnp.zeros_like(x), jnp.zeros_like(x)), (jnp.zeros(()), layers))
    sums, _ = jax.lax.scan(add, zeros, chunks)
    return sums
