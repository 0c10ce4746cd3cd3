"""Optax 0.2.6, the last with `optax.monte_carlo`: its moving-average baseline as a control variate, run as installed.

`control_variates_jacobians` updates the moving average with the samples of the step before it takes it off from these
same samples, so that the baseline holds each sample's own cost.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import peers

peers.need("optax", "optax==0.2.6", first=True)  # logpi's own version has no monte_carlo any more

import optax  # noqa: E402

from logpi import audit  # noqa: E402

LOGITS = jnp.array([0.3, -0.5])
SAMPLES = 4
STEPS = (0, 10, 1000)  # updates that the moving average has behind it


class Coins:
    """A distribution as optax wants one: its own module has the Gaussian only."""

    def __init__(self, logits):
        self.logits = logits

    def sample(self, shape, key):
        """Coins, of a leading shape."""
        return jax.random.bernoulli(key, jax.nn.sigmoid(self.logits), (*shape, 2)).astype(jnp.float32)

    def log_prob(self, event):
        """Of both coins together."""
        return jnp.sum(jax.nn.log_sigmoid(jnp.where(event == 1, self.logits, -self.logits)))


def cost(coins):
    """What is averaged."""
    return 3.0 + coins[0] + 2.0 * coins[0] * coins[1]


def mean_cost(logits):
    """J, by summing over the four pairs."""
    p, q = jax.nn.sigmoid(logits)
    return 3.0 + p + 2.0 * p * q


def program(steps, average):
    """A program with the mean cost as its value and optax's estimate, after `steps` updates, as its derivative."""

    def of(function):
        return optax.monte_carlo.moving_avg_baseline(function)

    def moving_average(logits, key):
        start = (jnp.asarray(average), jnp.asarray(steps))
        jacobians, _ = optax.monte_carlo.control_variates_jacobians(
            cost, of, optax.monte_carlo.score_function_jacobians, [jax.lax.stop_gradient(logits)], Coins, key, SAMPLES,
            control_variate_state=start,
        )  # fmt: skip
        found = jax.lax.stop_gradient(jnp.mean(jacobians[0], axis=0))
        value = jnp.mean(jax.vmap(cost)(Coins(logits).sample((SAMPLES,), key)))
        return jax.lax.stop_gradient(value) + jnp.sum(found * (logits - jax.lax.stop_gradient(logits)))

    return moving_average


def own_weight(steps, decay=0.99):
    """The share of a step's own mean cost in the baseline, by the package's formula for the decay."""
    decay = min(decay, (1 + steps) / (10 + steps))
    return (1 - decay) / (1 - decay ** (steps + 1))


def reports():
    """After each number of updates, with the true mean cost as the average so far."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # it says at each call that it is deprecated
    average = float(mean_cost(LOGITS))
    return {
        f"Optax 0.2.6, moving average after {steps} updates": audit.program(
            program(steps, average), LOGITS, jax.random.key(0), mean_cost
        )
        for steps in STEPS
    }


def debiased(value, updates):
    """What the average of a cost that is always `value` is after so many updates, without the early decay."""
    _, _, update = optax.monte_carlo.moving_avg_baseline(
        lambda x: x[0], decay=0.99, use_decay_early_training_heuristic=False
    )
    state = (jnp.zeros(()), 0)
    for _ in range(updates):
        state = update(None, jnp.full((SAMPLES, 1), value), state)
    return float(state[0])


def main():
    """Prints what was found."""
    for steps, (name, report) in zip(STEPS, reports().items(), strict=True):
        print(f"== {name}\n{report}")
        print(f"by the formula the gradient is {1 - own_weight(steps) / SAMPLES:.3f} times the true one\n")
    averages = np.array([debiased(1.0, n) for n in (1, 2, 3)])
    print(f"== the average of a cost that is always 1, decay .99, after 1, 2, 3 updates: {averages.round(2)}")


if __name__ == "__main__":
    main()
