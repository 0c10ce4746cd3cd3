"""Which estimator admits which closed-form case: data for the tests.

Each row: the estimator, events in one replicate, the families it admits (by their first case; one that is marked `*`
runs by default, the others in the slow tests), and cases of these families left out, with the reason.
"""

import equinox as eqx
import jax.numpy as jnp

import logpi as le
from tests.estimators.cases import CASES, RARE, shared

FAMILIES = {
    "normal": "N square k=-3.0",
    "exponential": "Exponential(rate) f=x",
    "weibull": "Weibull(scale) f=x^k",
    "gamma": "Gamma f=x",
    "beta": "Beta f=x",
    "poisson": "Poisson f=x",
    "probs": "Bernoulli(prob) (b-t)^2 t=0.499",
    "logits": "Bernoulli(logit) (b-t)^2 t=0.45",
    "categorical": "Categorical(logits) table f",
    "coins": "Bernoulli^4(logits) sum (b_i-t)^2",
    "mvn": "MVN f=b.x wrt mean",
}
ALL = "normal exponential weibull gamma beta poisson probs logits categorical coins mvn"
STEPS = ("N step 1{x>c} (discontinuous)", RARE)  # pathwise does not see them
CURVED = (*STEPS, *(name for name in CASES if name.startswith(("N exp", "N cos", "N |x"))))  # J is not quadratic in θ
# A baseline that is far from f costs more than 30 million samples there.
FAR = (RARE, *shared(FAMILIES["probs"]), FAMILIES["logits"], "N exp(-k x^2) k=10.0", FAMILIES["coins"])
NEARLY_FLAT = FAMILIES["probs"]  # f varies by 0.002 around 0.25: hopeless without a baseline


class Line(eqx.Module):
    """A model of the expected cost in a context, for the learned baseline."""

    slope: float = 0.3

    def __call__(self, context):
        return self.slope * context


LEARNED = le.Learned(Line(), jnp.asarray(2.0))
AVERAGED = le.MovingAverage().updated(jnp.asarray(1.0))


def bump(x):
    """A surrogate that has nothing to do with f."""
    return 0.3 * jnp.sum(jnp.tanh(x))


# name: (estimator, samples, families, cases left out)
TABLE = {
    "score, none": (le.Score(le.NoBaseline()), 64, f"*{ALL}", (RARE, NEARLY_FLAT, FAMILIES["coins"])),
    "score, leave one out": (
        le.Score(),
        16,
        ALL.replace("gamma", "*gamma").replace("beta", "*beta").replace("coins", "*coins"),
        (RARE,),
    ),
    "score, constant": (
        le.Score(le.Constant(1.0)),
        64,
        ALL.replace("poisson", "*poisson"),
        FAR,
    ),
    "score, moving average": (
        le.Score(AVERAGED),
        64,
        ALL.replace("exp", "*exp"),
        FAR,
    ),
    "score, optimal": (le.Score(le.Optimal()), 64, ALL.replace("weib", "*weib"), (RARE,)),
    "score, learned": (
        le.Score(LEARNED),
        64,
        ALL.replace("categorical", "*categorical"),
        FAR,
    ),
    "pathwise": (
        le.Pathwise(continuous=True),
        16,
        "*normal exponential weibull gamma beta *mvn",
        (*STEPS, "N exp(-k x^2) k=10.0"),
    ),
    "measure-valued": (
        le.MeasureValued(),
        16,
        "*normal exponential weibull *poisson probs logits categorical coins",
        (RARE,),
    ),
    "enumerate": (le.Enumerate(), 1, "probs logits *categorical coins", ()),
    "rao-blackwell": (le.RaoBlackwell((0, 2)), 16, "*coins", ()),
    "sum and sample": (le.SumAndSample(2), 8, "*categorical coins", ()),
    "unordered set": (le.UnorderedSet(3), 6, "*categorical coins", ()),
    "DisARM": (le.DisARM(), 8, "probs logits *coins", ()),
    "REBAR": (le.REBAR(0.4, 0.7), 8, "*probs logits", (NEARLY_FLAT,)),
    "RELAX": (le.RELAX(bump), 8, "*logits probs coins", (NEARLY_FLAT, FAMILIES["coins"])),
    "LAX": (le.LAX(bump), 16, "normal *exponential weibull gamma beta mvn", (RARE,)),
    "antithetic score": (
        le.Antithetic(le.Score()),
        16,
        "normal exponential *probs logits categorical coins",
        (RARE,),
    ),
    "antithetic pathwise": (
        le.Antithetic(le.Pathwise(continuous=True)),
        16,
        "*normal exponential",
        (*STEPS, "N exp(-k x^2) k=10.0"),
    ),
    "stratified score": (
        le.Stratified(le.Score()),
        32,
        "*normal exponential probs logits categorical coins",
        (RARE,),
    ),
    "quasi-Monte-Carlo score": (
        le.QuasiMonteCarlo(le.Score()),
        32,
        "normal *exponential probs logits categorical coins",
        (RARE,),
    ),
    "stratified pathwise": (le.Stratified(le.Pathwise(continuous=True)), 32, "normal *exponential", STEPS),
    # Smoothed or differenced, J changes by terms of the second order only: exact where J is quadratic.
    "finite differences": (le.FiniteDifferences(0.1), 16, "*normal probs mvn", CURVED),
    "SPSA": (le.SPSA(0.1), 16, "normal *probs mvn", CURVED),
}
# Adds this much to the value of each family: E over the parameters of J where J is quadratic.
EVOLUTION = (le.EvolutionStrategies(0.2), 32, ("N square k=-3.0", "N linear f=x"), {"N square k=-3.0": 2 * 0.2**2})
# Nothing of these varies in their gradients, so a precision cannot be asked for: they must be right to rounding.
STILL = {
    ("pathwise", FAMILIES["mvn"]),
    ("finite differences", FAMILIES["mvn"]),
    ("antithetic pathwise", "N linear f=x"),
    ("stratified pathwise", "N linear f=x"),
    ("measure-valued", FAMILIES["poisson"]),
    *(("measure-valued", case) for family in ("probs", "logits", "coins") for case in shared(FAMILIES[family])),
}

PARTLY_STILL = {
    ("pathwise", "N linear f=x")
}  # the derivative in the mean is 1 in every replicate, that in sigma varies


def pairs(default: bool) -> list[tuple[str, str]]:
    """(estimator, case) for those that run by default, or for all others."""
    found = []
    for name, (_, _, families, left_out) in TABLE.items():
        for family in families.split():
            if family.startswith("*") == default:
                family = family.lstrip("*")
                found += [(name, case) for case in shared(FAMILIES[family]) if case not in left_out]
    return found
