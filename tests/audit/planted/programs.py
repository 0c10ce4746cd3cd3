"""Programs with one thing wrong, at the mean `m` of a Gaussian of width 1, and a right one with two sites."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

import logpi

PARAMS = {"m": 0.7}


def exact(p):
    """E[(x - 3)^2] under N(m, 1)."""
    return (p["m"] - 3.0) ** 2 + 1.0


def draws(p, key, n=8):
    """Events, their costs and their log-probabilities."""
    x = jax.lax.stop_gradient(p["m"] + jax.random.normal(key, (n,)))
    return x, (x - 3.0) ** 2, jax.vmap(dist.Normal(p["m"], 1.0).log_prob)(x)


def own_baseline(p, key):
    """The mean of the batch, its own draw included: off by 1 / n."""
    _, costs, log_probs = draws(p, key)
    return jnp.mean(logpi.cost(costs, log_probs, jnp.mean(costs)))


def standardised(p, key):
    """Advantages divided by their spread: the scale is lost."""
    _, costs, log_probs = draws(p, key)
    advantage = (costs - jnp.mean(costs)) / jnp.std(costs)
    pushed = logpi.cost(advantage, log_probs)
    return jnp.mean(costs + pushed - jax.lax.stop_gradient(pushed))


def surrogate(p, key):
    """log pi times cost: right as a gradient, meaningless as a value."""
    _, costs, log_probs = draws(p, key)
    return jnp.mean(log_probs * costs)


def no_score(p, key):
    """The cost alone: its derivative is 0."""
    return jnp.mean(draws(p, key)[1]) + 0.0 * p["m"]


def fixed_key(p, key):
    """Draws the same for ever."""
    _, costs, log_probs = draws(p, jax.random.key(3))
    return jnp.mean(logpi.cost(costs, log_probs))


def half_of_the_score(p, key):
    """Half the weight."""
    _, costs, log_probs = draws(p, key)
    return jnp.mean(logpi.cost(costs, 0.5 * log_probs))


def broadcast(p, key):
    """(n,) costs times (n, 1) log-probabilities: every cost pushes every event."""
    _, costs, log_probs = draws(p, key)
    pushed = jax.lax.stop_gradient(costs - 10.0)[None, :] * (log_probs - jax.lax.stop_gradient(log_probs))[:, None]
    return jnp.mean(costs) + jnp.mean(pushed)


def clipped(p, key):
    """Costs cut at 9."""
    _, costs, log_probs = draws(p, key)
    return jnp.mean(logpi.cost(jnp.minimum(costs, 9.0), log_probs))


def dropped_dependence(p, key):
    """f depends on the parameters, and that derivative is thrown away: E[m x] has gradient 2 m."""
    x, _, log_probs = draws(p, key)
    return jnp.mean(logpi.cost(jax.lax.stop_gradient(p["m"]) * x, log_probs))


def kl(p):
    """KL(N(m, 1) || N(0, 1))."""
    return 0.5 * p["m"] ** 2


def k1_through_samples(p, key):
    """The mean log-ratio of drawn events, differentiated as it stands: right value, gradient 0."""
    x, _, log_probs = draws(p, key)
    return jnp.mean(log_probs - dist.Normal(0.0, 1.0).log_prob(x))


def kl_of_rates(p):
    """KL(Exponential(m) || Exponential(1))."""
    return jnp.log(p["m"]) - 1 + 1 / p["m"]


def k3_through_samples(p, key):
    """exp(r) - 1 - r of exponential draws: right value, and the gradient of the KL the other way round."""
    x = jax.lax.stop_gradient(jax.random.exponential(key, (8,)) / p["m"])
    log_ratio = jax.vmap(dist.Exponential(1.0).log_prob)(x) - jax.vmap(dist.Exponential(p["m"]).log_prob)(x)
    return jnp.mean(jnp.expm1(log_ratio) - log_ratio)


def entropy_through_samples(p, key):
    """The mean of -log p of exponential draws of rate m: right value 1 - log m, gradient 0 where it is -1 / m."""
    x = jax.lax.stop_gradient(jax.random.exponential(key, (8,)) / p["m"])
    return -jnp.mean(jax.vmap(dist.Exponential(p["m"]).log_prob)(x))


def one_key_for_two(p, key):
    """Two sites, x and y, that are meant to be independent: E[(x + y)^2] = 4 m^2 + 2."""
    x, first = logpi.sample(dist.Normal(p["m"], 1.0), key)
    y, second = logpi.sample(dist.Normal(p["m"], 1.0), key)
    return logpi.cost((x + y) ** 2, first + second)


def two_keys_for_two(p, key):
    """The same, done right."""
    x_key, y_key = jax.random.split(key)
    x, first = logpi.sample(dist.Normal(p["m"], 1.0), x_key)
    y, second = logpi.sample(dist.Normal(p["m"], 1.0), y_key)
    return logpi.cost((x + y) ** 2, first + second)


def second_site_alone(p, key):
    """The cost is told of its last site only."""
    x_key, y_key = jax.random.split(key)
    x, _ = logpi.sample(dist.Normal(p["m"], 1.0), x_key)
    y, second = logpi.sample(dist.Normal(p["m"], 1.0), y_key)
    return logpi.cost((x + y) ** 2, second)


def both(p):
    """E[(x + y)^2]."""
    return 4 * p["m"] ** 2 + 2
