"""Everything of logpi's that can be audited passes its audit, or is found where its name says that it is biased.

What is public is looked up in the package: what is new and has no place here fails the test. The algorithms, and with
them surrogates and credits, are audited in test_audit_tables, the losses of the gallery in test_gallery.
"""

import inspect

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import pytest

import logpi
from logpi import algorithms, audit, credit, distributions, estimators
from logpi.audit.gallery.recipes import KL_RECIPES, RECIPES
from logpi.distributions import Bernoulli
from logpi.envs import AbstractEnv, probes
from logpi.envs.probes import KINDS
from logpi.models import heads
from logpi.models.heads import make_head
from logpi.spaces.kinds import Discrete, MultiDiscrete
from tests.audit.planted.distributions import Squashed
from tests.audit.planted.programs import exact, PARAMS
from tools.audit_tables import ALGORITHMS

KEY = jax.random.key(0)


def public(module, base):
    """Names of the classes of a module that can be made."""
    classes = {k: v for k, v in vars(module).items() if inspect.isclass(v) and issubclass(v, base)}
    return {name for name, kind in classes.items() if not name.startswith(("_", "Abstract")) and kind is not base}


def losses_of(module):
    """Names of the functions of a module that take rewards: the others are their parts."""
    made = {k: v for k, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__}
    return {name for name, function in made.items() if "reward" in inspect.signature(function).parameters}


class Line:
    """A model of the expected cost in a context."""

    def __call__(self, context):
        return 0.3 * context


def bump(x):
    """A surrogate that has nothing to do with f."""
    return 0.3 * jnp.sum(jnp.tanh(x))


LOGITS = jnp.array([0.3, -1.0, 0.5])
WEIGHTS = jnp.array([1.0, 2.0, 3.0])


def of_coins(x):
    """(w b)^2."""
    return jnp.sum(WEIGHTS * x) ** 2


def exact_coins(p):
    """Its expectation."""
    q = jax.nn.sigmoid(p)
    return jnp.sum(WEIGHTS * q) ** 2 + jnp.sum(WEIGHTS**2 * q * (1 - q))


def log_weight(x):
    """For the bound."""
    return 0.5 * x[0]


def exact_bound(p):
    """The bound with two particles of one coin: the logarithm of the mean of two weights."""
    q = jax.nn.sigmoid(p[0])
    mixed = jnp.log((1 + jnp.exp(0.5)) / 2)
    return 0.5 * q**2 + 2 * q * (1 - q) * mixed


def coins(estimator, samples=8):
    """Three coins: program, parameters, J."""
    return logpi.expectation(of_coins, Bernoulli, samples, estimator), LOGITS, exact_coins


def normal(estimator, samples=16, more=0.0):
    """A Gaussian of unknown mean."""
    made = logpi.expectation(lambda x: (x - 3.0) ** 2, lambda p: dist.Normal(p["m"], 1.0), samples, estimator)
    return made, PARAMS, lambda p: exact(p) + more


ESTIMATORS = {
    "Score": lambda: normal(logpi.Score()),
    "Pathwise": lambda: normal(logpi.Pathwise(continuous=True)),
    "MeasureValued": lambda: normal(logpi.MeasureValued()),
    "Enumerate": lambda: coins(logpi.Enumerate(), 1),
    "RaoBlackwell": lambda: coins(logpi.RaoBlackwell((0, 2))),
    "SumAndSample": lambda: coins(logpi.SumAndSample(2)),
    "UnorderedSet": lambda: coins(logpi.UnorderedSet(3), 6),
    "DisARM": lambda: coins(logpi.DisARM()),
    "REBAR": lambda: coins(logpi.REBAR(0.4, 0.7)),
    "RELAX": lambda: coins(logpi.RELAX(bump)),
    "LAX": lambda: normal(logpi.LAX(bump)),
    "VIMCO": lambda: (logpi.expectation(log_weight, Bernoulli, 8, logpi.VIMCO(2)), LOGITS[:1], exact_bound),
    "Antithetic": lambda: normal(logpi.Antithetic(logpi.Score())),
    "Stratified": lambda: normal(logpi.Stratified(logpi.Score())),
    "QuasiMonteCarlo": lambda: normal(logpi.QuasiMonteCarlo(logpi.Score())),
    "FiniteDifferences": lambda: normal(logpi.FiniteDifferences(0.1)),
    "SPSA": lambda: normal(logpi.SPSA(0.1)),
    "EvolutionStrategies": lambda: normal(logpi.EvolutionStrategies(0.2), 32, 0.2**2),  # of the smoothed J
}
BIASED = {
    "BiasedStraightThrough": lambda: coins(logpi.BiasedStraightThrough()),
    "BiasedGumbelSoftmax": lambda: coins(logpi.BiasedGumbelSoftmax()),
    "BiasedStandardisedScore": lambda: coins(logpi.BiasedStandardisedScore()),
}
BASELINES = {
    "NoBaseline": lambda: logpi.NoBaseline(),
    "Constant": lambda: logpi.Constant(5.0),
    "LeaveOneOut": lambda: logpi.LeaveOneOut(),
    "MovingAverage": lambda: logpi.MovingAverage().updated(jnp.asarray(6.0)),
    "Optimal": lambda: logpi.Optimal(),
    "Learned": lambda: logpi.Learned(Line(), jnp.asarray(2.0)),
}
HEADS = {  # with the features they take; they cover the distributions that they make
    "CategoricalHead": lambda: heads.CategoricalHead(4)(jnp.arange(4.0)),
    "JointCategoricalHead": lambda: heads.JointCategoricalHead((2, 3))(jnp.arange(5.0)),
    "BernoulliHead": lambda: heads.BernoulliHead((3,))(LOGITS),
    "NormalHead": lambda: heads.NormalHead(jnp.array([0.1, -0.5]))(jnp.array([0.3, 2.0])),
    "StateDependentNormalHead": lambda: heads.StateDependentNormalHead((2,))(jnp.array([0.3, 2.0, 0.5, -0.2])),
    "TanhNormalHead": lambda: heads.TanhNormalHead((2,), -0.5)(jnp.array([0.3, -1.0, 0.2, -0.3])),
    "TanhNormalHead, wide": lambda: heads.TanhNormalHead((), 1.5)(jnp.array([2.0, 0.0])),
    "ProductHead": lambda: make_head(KINDS["mixed"])(jnp.array([0.3, 0.5, -0.2])),
    "masked choices": lambda: distributions.masked(
        heads.JointCategoricalHead((2, 3))(jnp.arange(5.0)), jnp.array([True, True, False, True, True])
    ),
    "masked coins": lambda: distributions.masked(
        heads.BernoulliHead((3,))(LOGITS), jnp.array([True, False, True, True, False, True])
    ),
    "FromNumpyro": lambda: dist.Gamma(2.0, 1.0),
    "Foreign": lambda: Squashed(jnp.array(0.5), True),
}
PROBES = {
    "Blocked": lambda: probes.Blocked(MultiDiscrete((3, 2))),
    "Identity": lambda: probes.Identity(Discrete(3)),
    "Recall": lambda: probes.Recall(),
    "TwoStep": lambda: probes.TwoStep(),
    "Truncation": lambda: probes.Truncation(),
    "Termination": lambda: probes.Termination(),
}


def test_nothing_public_is_left_out():
    assert public(estimators, estimators.AbstractEstimator) == set(ESTIMATORS) | set(BIASED)
    assert public(estimators, estimators.AbstractBaseline) == set(BASELINES)
    # A Point, which a deterministic policy gives, has no density; the others are made by a head.
    assert public(heads, heads.AbstractHead) <= set(HEADS) | {"DeterministicHead"}
    made = {type(make()).__name__ for make in HEADS.values()} | {"FromNumpyro", "Foreign", "Point"}
    assert public(distributions, distributions.AbstractDistribution) <= made
    assert public(probes, AbstractEnv) == set(PROBES)
    # What evolution climbs is held by its formulas, in test_evolution.
    assert public(algorithms, logpi.AbstractAlgorithm) == set(ALGORITHMS) | {"PGPE", "ES", "ARS"}
    credits = {type(a.credit).__name__ for a in ALGORITHMS.values() if hasattr(a, "credit")}
    assert public(credit, credit.AbstractCredit) == credits
    assert {recipe.loss.__name__ for recipe in RECIPES} == losses_of(audit.gallery.losses)
    assert {recipe.loss.__name__ for recipe in KL_RECIPES} == losses_of(audit.gallery.kl)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_is_unbiased(name):
    """One false alarm in a million reports."""
    program, params, truth = ESTIMATORS[name]()
    report = audit.program(program, params, KEY, truth, replicates=2000, intervals=40)
    assert report.passed, str(report)
    assert {"value", "gradient"} <= {check.name for check in report.checks}


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_keeps_the_score_unbiased(name):
    program, params, truth = normal(logpi.Score(BASELINES[name]()))
    report = audit.program(program, params, KEY, truth, replicates=2000, intervals=40)
    assert report.passed, str(report)


@pytest.mark.parametrize("name", BIASED)
def test_what_is_called_biased_is_found(name):
    program, params, truth = BIASED[name]()
    report = audit.program(program, params, KEY, truth, replicates=2000, intervals=40)
    assert "gradient" in {check.name for check in report.findings}, str(report)


@pytest.mark.parametrize("name", HEADS)
def test_every_distribution_is_one(name):
    report = audit.policy(HEADS[name](), KEY, samples=10_000, support=(-1.0, 1.0) if name == "Foreign" else None)
    assert report.passed, str(report)
    assert len(report.checks) >= 5


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_is_in_order(name):
    report = audit.env(PROBES[name](), steps=40)
    assert report.passed, str(report)
