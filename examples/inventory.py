"""An inventory run by a rule (s, S), simulated event by event in plain Python, and the rule improved by its gradient.

When the stock on hand and on order falls to s, order up to S. The simulation (SimPy) has random customers and a
delivery time, jumps at every order, and knows nothing of derivatives. What is climbed is E[-cost] over a Gaussian of
rules, by the score function: no derivative of the simulation is needed. Beside it stands the best rule of an exhaustive
search.

    python examples/inventory.py            # some minutes
    python examples/inventory.py --quick    # a few seconds
"""

import argparse
import random

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import simpy
from jaxtyping import Array, Float, Int, PRNGKeyArray

import logpi

DAYS = 120
CUSTOMERS_A_DAY = 4.0
DELIVERY_DAYS = 2.0
HOLDING, BACKORDER, ORDERING = 1.0, 9.0, 32.0  # a piece and day, a missing piece and day, an order


class Store:
    """A shelf, its customers, and a rule for ordering."""

    def __init__(self, reorder_at: int, order_up_to: int, seed: int):
        self.random = random.Random(seed)
        self.env = simpy.Environment()
        self.reorder_at, self.order_up_to = reorder_at, order_up_to
        self.on_hand, self.on_order = order_up_to, 0
        self.cost, self.since = 0.0, 0.0
        self.env.process(self.customers())

    def charge(self) -> None:
        """Pays for the stock, or for what is owed to customers, since the last event."""
        rate = HOLDING * self.on_hand if self.on_hand >= 0 else -BACKORDER * self.on_hand
        self.cost += rate * (self.env.now - self.since)
        self.since = self.env.now

    def customers(self):
        """One customer after the other, each for one piece."""
        while True:
            yield self.env.timeout(self.random.expovariate(CUSTOMERS_A_DAY))
            self.charge()
            self.on_hand -= 1
            if self.on_hand + self.on_order <= self.reorder_at:
                self.env.process(self.delivery(self.order_up_to - self.on_hand - self.on_order))

    def delivery(self, pieces: int):
        """An order, and its arrival."""
        self.cost += ORDERING
        self.on_order += pieces
        yield self.env.timeout(DELIVERY_DAYS)
        self.charge()
        self.on_order -= pieces
        self.on_hand += pieces


def cost_a_day(reorder_at: int, order_up_to: int, seed: int) -> float:
    """The cost of a rule in one simulated season."""
    store = Store(reorder_at, order_up_to, seed)
    store.env.run(until=DAYS)
    store.charge()
    return store.cost / DAYS


def gain(event) -> float:
    """Minus the cost of the rule nearest to a drawn one: what `logpi.host` calls, with NumPy arrays."""
    (reorder_at, lot), seed = event
    reorder_at = round(float(reorder_at))
    return -cost_a_day(reorder_at, reorder_at + max(1, round(float(lot))), int(seed))


class Rules(eqx.Module):
    """A Gaussian over rules (s, S - s), with a season for each: any object with `sample` and `log_prob` will do."""

    mean: Float[Array, " 2"]
    log_std: Float[Array, " 2"]

    def sample(self, key: PRNGKeyArray) -> tuple[Float[Array, " 2"], Int[Array, ""]]:
        """A rule, and the seed of a season."""
        rule_key, season_key = jax.random.split(key)
        rule = self.mean + jnp.exp(self.log_std) * jax.random.normal(rule_key, (2,))
        return rule, jax.random.randint(season_key, (), 0, 2**31 - 1)

    def log_prob(self, event: tuple[Float[Array, " 2"], Int[Array, ""]]) -> Float[Array, ""]:
        """Of the rule; the season's does not depend on the parameters."""
        return logpi.distributions.Normal(self.mean, self.log_std).log_prob(event[0])


def exhaustive(seasons: int, step: int) -> tuple[float, int, int]:
    """The least mean cost over a grid of rules, each in the same seasons, and that rule."""
    rules = [(s, s + lot) for s in range(0, 25, step) for lot in range(4, 37, step)]
    return min((float(np.mean([cost_a_day(s, S, seed) for seed in range(seasons)])), s, S) for s, S in rules)


def main() -> None:
    """Improves a rule, and compares it with the best of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer steps and a coarse search")
    parser.add_argument("--workers", type=int, default=2, help="processes that simulate (0: this one)")
    quick, workers = (arguments := parser.parse_args()).quick, arguments.workers

    J = logpi.expectation(logpi.host(gain, workers=workers), samples=16)
    start = Rules(jnp.array([20.0, 5.0]), jnp.log(jnp.array([3.0, 3.0])))
    rules, history = logpi.maximize(
        J, start, jax.random.key(0), optimiser=optax.adam(0.3), steps=10 if quick else 150, replicates=4
    )
    print(history)
    reorder_at, lot = (round(float(x)) for x in rules.mean)
    lot = max(1, lot)
    seasons = range(1000, 1020 if quick else 1400)
    costs = [cost_a_day(reorder_at, reorder_at + lot, seed) for seed in seasons]
    error = np.std(costs, ddof=1) / np.sqrt(len(costs))
    print(f"climbed:    s = {reorder_at}, S = {reorder_at + lot}, cost {np.mean(costs):.2f} ± {error:.2f} a day")
    _, s, S = exhaustive(seasons=2 if quick else 40, step=8 if quick else 1)
    best = [cost_a_day(s, S, seed) for seed in seasons]
    difference = np.asarray(costs) - np.asarray(best)
    error = np.std(difference, ddof=1) / np.sqrt(len(costs))
    print(
        f"exhaustive: s = {s}, S = {S}, cost {np.mean(best):.2f} a day; "
        f"climbed costs {difference.mean():+.2f} ± {error:.2f}"
    )


if __name__ == "__main__":
    main()
