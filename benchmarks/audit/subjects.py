"""Correct code to audit under many seeds. What is in the zoo of planted bugs is in `tests.audit.zoo`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

import logpi
from logpi import audit
from tests.audit.planted import runs
from tests.audit.test_own import BASELINES, ESTIMATORS, HEADS, normal

SAMPLES, REPLICATES, INTERVALS, STEPS = 10_000, 1000, 40, 100


@dataclasses.dataclass(frozen=True)
class Correct:
    """An audit of correct code: `report(seed)`, and for how many seeds."""

    audit: str
    name: str
    seeds: int
    report: Callable[[int], audit.Report] = dataclasses.field(repr=False)


NUMPYRO = {
    "Normal": dist.Normal(1.0, 2.0),
    "Gamma": dist.Gamma(2.0, 1.0),
    "Beta": dist.Beta(2.0, 3.0),
    "Exponential": dist.Exponential(0.7),
    "Laplace": dist.Laplace(0.0, 1.0),
    "Cauchy": dist.Cauchy(0.0, 1.0),
    "StudentT": dist.StudentT(4.0, 0.0, 1.0),
    "LogNormal": dist.LogNormal(0.0, 0.5),
    "Logistic": dist.Logistic(0.0, 1.0),
    "Weibull": dist.Weibull(1.0, 1.5),
    "Poisson": dist.Poisson(3.0),
    "Geometric": dist.Geometric(0.3),
    "Categorical": dist.Categorical(logits=jnp.array([1.0, -0.5, 0.0])),
    "Bernoulli, two": dist.Bernoulli(logits=jnp.array([0.0, 1.0])).to_event(1),
    "MultivariateNormal": dist.MultivariateNormal(jnp.ones(3), jnp.eye(3)),
}
ENVIRONMENTS = (
    *("gymnasium:CartPole-v1", "gymnasium:MountainCar-v0", "gymnasium:Acrobot-v1", "gymnasium:Pendulum-v1"),
    *("gymnasium:FrozenLake-v1", "gymnasium:Taxi-v4", "gymnasium:CliffWalking-v1", "gymnasium:Blackjack-v1"),
    *("gymnasium:MountainCarContinuous-v0", "gymnasium:Reacher-v5", "envpool:CartPole-v1", "envpool:Blackjack-v1"),
)


def subjects() -> list[Correct]:
    """All of them, made once, so that a seed more compiles nothing."""
    return [*_policies(), *_programs(), *_losses(), *_environments(), *_objectives(), *_runs()]


def _policies() -> list[Correct]:
    made = {name: make() for name, make in HEADS.items() if name != "FromNumpyro"} | NUMPYRO

    def one(name: str, subject: Any) -> Correct:
        support = (-1.0, 1.0) if name == "Foreign" else None

        def report(seed):
            return audit.policy(subject, jax.random.key(seed), support=support, samples=SAMPLES)

        return Correct("policy", name, 10, report)

    return [one(name, subject) for name, subject in made.items()]


def _programs() -> list[Correct]:
    made = {name: make() for name, make in ESTIMATORS.items()}
    made |= {f"Score({name})": normal(logpi.Score(make())) for name, make in BASELINES.items()}

    def one(name: str, program: Any, params: Any, exact: Any) -> Correct:
        def report(seed):
            key = jax.random.key(seed)
            return audit.program(program, params, key, exact, replicates=REPLICATES, intervals=INTERVALS)

        return Correct("program", name, 9, report)

    return [one(name, *parts) for name, parts in made.items()]


def _losses() -> list[Correct]:
    def one(recipe: audit.gallery.Recipe) -> Correct:
        return Correct("loss", recipe.name, 20, lambda seed: audit.loss(recipe.loss, jax.random.key(seed)))

    return [one(recipe) for recipe in audit.gallery.RECIPES if recipe.exact]


def _environments() -> list[Correct]:
    def one(name: str) -> Correct:
        return Correct("env", name, 17, lambda seed: audit.env(name, seed=seed, steps=STEPS))

    return [one(name) for name in ENVIRONMENTS]


def _objectives() -> list[Correct]:
    def one(algorithm: Any) -> Correct:
        def report(seed):
            return audit.objective(algorithm, key=jax.random.key(seed))

        return Correct("objective", type(algorithm).__name__, 4, report)

    return [one(algorithm) for algorithm in (logpi.REINFORCE(), logpi.A2C(), logpi.PPO())]


def _runs() -> list[Correct]:
    def report(seed):
        return audit.run(runs.trained(), jax.random.key(seed), **runs.SIZES)

    return [Correct("run", "PPO on a small problem", 5, report)]
