"""Bad input: one sentence with the value, the limit and the cure, from the place where a person can mend it."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import numpyro.distributions as dist
import optax
import pytest

import logpi as le
from logpi import InputError, maximize
from logpi.distributions import Bernoulli, Categorical

KEY = jax.random.key(0)
T = jnp.asarray(0.5)
LOGITS = jnp.asarray([0.1, 0.2, -0.3])


def normal(t):
    return dist.Normal(t, 1.0)


def compared(exact):
    return le.compare(jnp.sum, {"a": 1.0}, KEY, [le.Score()], of=lambda p: normal(p["a"]), replicates=64, exact=exact)


class NoSample:
    def __init__(self, t):
        self.t = t

    def log_prob(self, event):
        return -((event - self.t) ** 2)


class VectorLogProb(NoSample):
    def sample(self, key):
        return jax.random.normal(key, (2,))


def call(f=jnp.sum, of=normal, samples=4, estimator=None, params=T, key=KEY):
    """The gradient of an expectation, traced."""
    return jax.make_jaxpr(jax.grad(le.expectation(f, of, samples, estimator)))(params, key)


def measure(params=T, key=KEY, f=jnp.sum, samples_each=4, of=normal, **asked):
    return le.estimate(le.expectation(f, of, samples_each), params, key, **asked)


def discrete(estimator, samples=4, of=Categorical):
    return call(lambda x: 1.0 * jnp.sum(x), of, samples, estimator, LOGITS)


class Times(eqx.Module):
    """A surrogate with an array."""

    a: jax.Array

    def __call__(self, x):
        return self.a * x**2


def three(a, b, c):
    return a


@dataclasses.dataclass
class Scaled:
    """Equal to another one of the same number, and so, by the rules of Python, without a hash."""

    by: float

    def __call__(self, x):
        return self.by * x


MEAN = le.expectation(jnp.sum, normal, 4)
NAN = le.expectation(lambda x: x * jnp.nan, normal, 4)
# What is done wrong: (the call, what the sentence must say).
TABLE = {
    "f gives a vector": (lambda: call(lambda x: jnp.stack([x, x])), r"array of shape \(2,\).*must return one number"),
    "f gives a tuple": (lambda: call(lambda x: (x, x)), "2 values for one event.*one number: sum or index"),
    "f gives nothing": (lambda: call(lambda x: None), "f returned None .*is a return missing"),
    "f gives a complex number": (lambda: call(lambda x: x * 1j), "complex number.*return its real part"),
    "f gives text": (lambda: call(lambda x: "high"), "f returned .*must return one number"),
    "f needs three arguments": (lambda: call(three), r"its arguments are \(.*\): give it one or two"),
    "f is no function": (lambda: call(3.0), "f is 3.0, but it must be a function"),
    "of is no function": (lambda: call(of=3.0), "of is 3.0, but .*lambda params"),
    "of gives no distribution": (lambda: call(of=lambda t: t), "is no distribution: it has no method log_prob. Give"),
    "params are no distribution": (lambda: call(of=None), "is no distribution.*or of=lambda params"),
    "no sampler": (lambda: call(of=NoSample), r"NoSample has no method sample.*add sample\(key\)"),
    "log_prob gives a vector": (lambda: call(of=VectorLogProb), r"shape \(2,\) for one event.*sum over"),
    "no samples": (lambda: call(samples=0), "samples is 0.*between 1 and .*: give"),
    "fewer than no samples": (lambda: call(samples=-3), "samples is -3.*between 1 and .*: give"),
    "samples is a truth": (lambda: call(samples=True), "samples is True.*whole number"),
    "samples is a fraction": (lambda: call(samples=2.5), "samples is 2.5.*whole number"),
    "samples is text": (lambda: call(samples="64"), "samples is '64'.*whole number"),
    "one sample to leave out": (lambda: call(samples=1), "this batch has 1: give `samples` of 2 or more"),
    "a class of an estimator": (lambda: call(estimator=le.Score), r"must be one of logpi's estimators: give Score\(\)"),
    "a baseline as an estimator": (lambda: call(estimator=le.LeaveOneOut()), r"must be one of logpi's.*give Score\(\)"),
    "a number as a key": (lambda: call(key=0), r"key.* must be one key of JAX: give jax.random.key\(0\)"),
    "several keys": (lambda: measure(key=jax.random.split(KEY, 3)), r"array of shape \(3,\).*one key of JAX"),
    "no key": (lambda: measure(key=None), r"key is None.*give jax.random.key\(0\)"),
    "integers as parameters": (lambda: measure(params=jnp.asarray(2)), r"no floating-point leaf \(found: int32\)"),
    "no parameters": (lambda: measure(params={}), r"no floating-point leaf \(found: no leaf\).*give floats"),
    "few replicates": (lambda: measure(replicates=3), "replicates is 3.*at least 32 replicates: give replicates=32"),
    "few samples": (lambda: measure(samples=100), "samples is 100, which is 25 of 4.*samples=128"),
    "two numbers of samples": (lambda: measure(replicates=64, samples=640), "replicates and samples were given"),
    "samples and a precision": (lambda: measure(samples=640, rtol=0.1), "samples and rtol or atol were given"),
    "too many to count": (lambda: measure(replicates=2**31), "2,147,483,648 replicates were asked for.*more samples"),
    "no tolerance": (lambda: measure(rtol=0.0), "rtol and atol are both 0.*rtol=0.02 say"),
    "a negative tolerance": (lambda: measure(rtol=-0.1), "rtol is -0.1, but it must be 0 or more"),
    "few samples at most": (lambda: measure(rtol=0.1, max_samples=100), "max_samples is 100.*give 128 or more"),
    "NaN": (lambda: le.estimate(NAN, T, KEY), "not finite in 128 of 128 replicates.*keep f and the log-prob"),
    "NaN for a precision": (lambda: le.estimate(NAN, T, KEY, rtol=0.1), "not finite in 32 of 32"),
    "a vector program": (lambda: le.estimate(lambda p, k: p * jnp.ones(2), T, KEY), r"\(2,\).*one floating-point"),
    "an integer program": (lambda: le.estimate(lambda p, k: 3, T, KEY), "one floating-point number: take a mean"),
    "odd antithetic": (lambda: call(samples=3, estimator=le.Antithetic(le.Score())), "samples is 3.*an even number"),
    "odd DisARM": (lambda: discrete(le.DisARM(), 3, Bernoulli), "samples is 3.*an even number"),
    "odd evolution": (lambda: call(samples=5, estimator=le.EvolutionStrategies()), "samples is 5.*an even number"),
    "sets of strata": (lambda: call(samples=5, estimator=le.Stratified(le.Score())), "multiple of 2"),
    "sets of points": (lambda: call(samples=5, estimator=le.QuasiMonteCarlo(le.Score(), 3)), "multiple of 3"),
    "sets of choices": (lambda: discrete(le.UnorderedSet(2), 5), "draws sets of 2: give a multiple of 2"),
    "sets of particles": (lambda: discrete(le.VIMCO(3), 4), "sets of 3 particles: give a multiple"),
    "a pair for leave one out": (lambda: call(samples=2, estimator=le.Antithetic(le.Score())), "2 sets or more"),
    "a large set": (lambda: discrete(le.UnorderedSet(4), 4), "size is 4, but there are 3 events: give 3 or less"),
    "all summed": (lambda: discrete(le.SumAndSample(3)), r"top is 3, but there are 3 events.*use Enumerate\(\)"),
    "one drawn": (lambda: discrete(le.SumAndSample(2), 3), "give `samples` of"),
    "no such entry": (lambda: discrete(le.RaoBlackwell((3,)), of=Bernoulli), r"entries is \(3,\).*entries 0 to 2"),
    "no entries": (lambda: discrete(le.RaoBlackwell(()), of=Bernoulli), r"entries is \(\)"),
    "an entry twice": (lambda: discrete(le.RaoBlackwell((0, 0)), of=Bernoulli), r"entries is \(0, 0\)"),
    "infinitely many events": (lambda: call(estimator=le.Enumerate()), r"Normal is not known .*use Score\(\)"),
    "too many events": (lambda: call(of=lambda t: Bernoulli(jnp.full(21, t)), estimator=le.Enumerate()), "2,097,152"),
    "DisARM of a choice": (lambda: discrete(le.DisARM()), r"for independent Bernoulli coins, not for Categorical"),
    "REBAR of a choice": (lambda: discrete(le.REBAR()), r"give relaxed=, a function of a vector of probabilities"),
    "RELAX of a number": (lambda: call(estimator=le.RELAX(jnp.sum)), r"not for Normal: use Score\(\)"),
    "a surrogate's vector": (lambda: discrete(le.RELAX(lambda z: z)), r"surrogate returned shape \(3,\).*sum it"),
    "no quantiles": (
        lambda: call(of=lambda t: dist.StudentT(3.0, t), estimator=le.QuasiMonteCarlo(le.Score())),
        "StudentT has no quantile function here.*without Antithetic, Stratified or QuasiMonteCarlo",
    ),
    "nothing to tune": (lambda: le.tune(le.expectation(jnp.sum, normal), T, KEY), "Score has no arrays to fit"),
    "a diverging fit": (
        lambda: le.tune(
            le.expectation(lambda x: x**2, normal, 4, le.LAX(Times(jnp.ones(())))), T, KEY, optimiser=optax.sgd(1e6)
        ),
        r"diverged: give an optimiser with a smaller step, optax.adam\(1e-3\)",
    ),
    "confidence": (lambda: measure().value_interval(1.5), "confidence is 1.5, but it must be between 0 and 1"),
    "no set": (lambda: le.UnorderedSet(0), "size is 0.*between 1 and 6"),
    "a huge set": (lambda: le.UnorderedSet(9), "size is 9.*between 1 and 6"),
    "no top": (lambda: le.SumAndSample(0), "top is 0.*1 or more"),
    "one particle": (lambda: le.VIMCO(1), "particles is 1.*2 or more"),
    "no pilot": (lambda: le.Optimal(0), "pilot is 0.*1 or more"),
    "decay": (lambda: le.MovingAverage(1.2), "decay is 1.2.*between 0 and 1"),
    "no spread": (lambda: le.EvolutionStrategies(0.0), "std is 0.0"),
    "no step": (lambda: le.FiniteDifferences(0.0), "step is 0.0"),
    "no step of SPSA": (lambda: le.SPSA(-1.0), "step is -1.0"),
    "no temperature": (lambda: le.REBAR(0.0), "temperature is 0.0"),
    "by what": (lambda: le.sample(normal(T), KEY, by="luck"), "by is 'luck'.*score or pathwise"),
    "f asks for a number": (lambda: call(lambda x: 1.0 if x > 0 else 0.0), r"f cannot be .*if.*: logpi.host\(f\)"),
    "f makes a float": (lambda: call(lambda x: float(x)), r"f cannot be .*float.*jnp.where.*logpi.host\(f\)"),
    "f is of NumPy": (lambda: call(lambda x: np.sin(x)), r"f cannot be .*NumPy.*logpi.host\(f\)"),
    "of asks for a number": (lambda: call(of=lambda t: normal(t if t > 0 else 0.0)), "of cannot be followed by JAX"),
    "replicates is text": (lambda: measure(replicates="a"), "replicates is 'a', but it must be a whole number"),
    "replicates is a fraction": (lambda: measure(replicates=100.5), "replicates is 100.5, but it must be a whole"),
    "max_samples is text": (lambda: measure(rtol=0.1, max_samples="a"), "max_samples is 'a', but it must be a whole"),
    "rtol is text": (lambda: measure(rtol="a"), "rtol is 'a', but it must be a number"),
    "J is a number": (lambda: le.estimate(3, T, KEY), "J is 3, but it must be a logpi.expectation or a program"),
    "f takes none": (lambda: call(lambda: 1.0), r"its arguments are \(\): give it one or two"),
    "f wants a name": (lambda: call(lambda x, *, y: x), r"its arguments are \(x, \*, y\): give it one or two"),
    "f gives an object": (lambda: call(lambda x: object()), "returned <object .*give a score of it"),
    "f gives a set": (lambda: call(lambda x: {1.0}), "returned {1.0} for one event.*give a score of it"),
    "f gives too large a number": (lambda: call(lambda x: 2**70), "for one event.*give a score of it"),
    "f gives a key": (lambda: call(lambda x: KEY), "for one event.*give a score of it"),
    "of takes two": (lambda: le.expectation(lambda x: x, lambda a, b: a), r"of cannot be called as of\(params\)"),
    "J takes one": (lambda: le.estimate(lambda p: p, T, KEY), r"J cannot be called as J\(params, key\)"),
    "J to climb takes one": (lambda: maximize(lambda p: p, T, KEY), r"J cannot be called as J\(params, key\)"),
    "one to compare": (lambda: le.compare(jnp.sum, T, KEY, le.Score(), of=normal), r"it must be several: give a list"),
    "a number as a baseline": (lambda: le.Score(3), r"baseline is 3, but .*give LeaveOneOut\(\)"),
    "a class as a baseline": (lambda: le.Score(le.LeaveOneOut), r"one of logpi's baselines: give LeaveOneOut\(\)"),
    "nothing to spread": (lambda: le.Antithetic(3), "estimator is 3, but it must be one of logpi's estimators"),
    "half a set": (lambda: le.Stratified(le.Score(), 2.5), "sets is 2.5, but it must be a whole number"),
    "an entry alone": (lambda: le.RaoBlackwell(0), r"entries is 0, but it must be positions.*\(0,\)"),
    "an entry by name": (lambda: le.RaoBlackwell(("a",)), "an entry is 'a', but it must be a whole number"),
    "a constant of text": (lambda: le.Constant("a"), "value is 'a', but it must be a number"),
    "half a top": (lambda: le.SumAndSample(1.5), "top is 1.5, but it must be a whole number"),
    "half a particle": (lambda: le.VIMCO(2.5), "particles is 2.5, but it must be a whole number"),
    "crosswise costs": (lambda: le.cost(jnp.arange(4.0), jnp.zeros((4, 1))), r"\(4,\), \(4, 1\) and \(\).*crosswise"),
    "a crosswise baseline": (lambda: le.cost(jnp.ones(4), jnp.ones(4), jnp.ones((4, 1))), "combined crosswise"),
    "no such choice": (lambda: le.score(Categorical(jnp.zeros(4)), 7), "7 is no event of .*give one of 0 to 3"),
    "a negative choice": (lambda: le.score(Categorical(jnp.zeros(4)), -1), "-1 is no event of Categorical"),
    "half a coin": (lambda: le.score(Bernoulli(jnp.zeros(())), 0.5), "0.5 is no event of Bernoulli"),
    "a negative time": (lambda: le.score(T, -3.0, of=dist.Exponential), "-3.0 is no event of Exponential"),
    "half a coin of NumPyro's": (lambda: le.score(T, 0.5, of=dist.Bernoulli), "0.5 is no event of BernoulliProbs"),
    "three events": (lambda: le.score(T, jnp.ones(3), of=normal), r"shape \(3,\), but one event of Normal has \(\)"),
    "a rate below 0": (lambda: measure(-0.3, of=dist.Poisson), r"rate of Poisson is -0.3, .*above 0.0.*jnp.exp\(p\)"),
    "a triangle that is none": (
        lambda: measure(jnp.ones((2, 2)), of=lambda p: dist.MultivariateNormal(jnp.zeros(2), scale_tril=p)),
        "scale_tril of MultivariateNormal, .* is not lower triangular",
    ),
    "a vector below 0": (
        lambda: measure(jnp.asarray([-0.5, 1.0]), of=dist.Dirichlet),
        "concentration of Dirichlet is -0.5, but it must be above 0.0",
    ),
    "a scale below 0": (
        lambda: le.estimate(le.expectation(jnp.sum, lambda p: dist.Normal(0.0, p), 4, le.Pathwise()), -0.3, KEY),
        "scale of Normal is -0.3, but it must be above 0.0",
    ),
    "a probability above 1": (lambda: measure(1.5, of=dist.Geometric), "probs of .* is 1.5, .*between 0.0 and 1.0"),
    "an exact vector": (lambda: compared({"a": jnp.ones(3)}), r"exact has the shape \(3,\) where .* have \(\)"),
    "an exact list": (lambda: compared([1.0]), "is not built as the parameters are"),
    "an exact NaN": (lambda: compared({"a": jnp.nan}), "a gradient to compare with is finite"),
    "sizes of counts": (
        lambda: call(of=lambda t: dist.Binomial(jnp.asarray([2, 5]), t), estimator=le.Enumerate()),
        "its size depends on the parameters or is not the same for all entries",
    ),
    "an optimiser by name": (
        lambda: maximize(MEAN, T, KEY, optimiser="adam"),
        r"optimiser is 'adam', which takes no step .*give one of Optax's that does, as optax.adam\(1e-2\)",
    ),
    "an optimiser that searches": (lambda: maximize(MEAN, T, KEY, optimiser=optax.lbfgs()), "takes no step .*'value'"),
    "too many steps": (lambda: maximize(MEAN, T, KEY, steps=2**40), "steps is 1099511627776, but it must be between 0"),
    "a program to tune": (lambda: le.tune(lambda p, key: p, T, KEY), "only the estimator of an expectation is tuned"),
    "a function without a hash": (lambda: measure(f=Scaled(2.0)), r"Scaled\(by=2.0\) has no hash.*made with eq=False"),
    "a set of parameters": (
        lambda: maximize(le.expectation(jnp.sum, lambda p: normal(p["a"])), {"a": T, "of": {1}}, KEY),
        r"\{1\} has no hash.*a tuple in place of a set",
    ),
    "complex parameters": (lambda: measure(params=T * 1j), "have complex numbers.*give their real and imaginary parts"),
    "half a key": (lambda: measure(key=jnp.zeros(3, jnp.uint32)), r"array of shape \(3,\).*one key of JAX"),
    "few to compare": (lambda: le.compare(jnp.sum, T, KEY, of=normal, replicates=8), "replicates is 8, .*32 or more"),
    "a number to compare with": (lambda: le.compare(jnp.sum, T, 0, of=normal), "key is 0, but it must be one key"),
    "an estimate under jit": (
        lambda: jax.jit(lambda t: le.estimate(MEAN, t, KEY).value)(T),
        r"inside of a function that JAX traces.*ask outside of it, or call J\(params, key\) there",
    ),
    "an estimate under grad": (
        lambda: jax.grad(lambda t: le.estimate(MEAN, t, KEY, rtol=0.1).value)(T),
        "inside of a function that JAX traces",
    ),
    "a site of nothing": (lambda: le.sample(3.0, KEY), "a float is no distribution"),
    "a site without a key": (lambda: le.sample(normal(T), 0), r"key is 0.* one key of JAX: give jax.random.key\(0\)"),
    "a site with several keys": (
        lambda: le.sample(normal(T), jax.random.split(KEY, 3), by="pathwise"),
        r"key is an array of shape \(3,\), but it must be one key",
    ),
    "of gives a class": (
        lambda: call(of=lambda t: dist.Normal),
        r"Normal is a class, but a distribution must be an object: call it .*as Normal\(...\)",
    ),
    "a number as a surrogate": (lambda: le.LAX(3), "surrogate is 3, but it must be a function: give one"),
    "a number as RELAX's surrogate": (lambda: le.RELAX(3.0), "surrogate is 3.0, but it must be a function: give one"),
    "a relaxed f of text": (lambda: le.REBAR(relaxed="f"), "relaxed is 'f', but it must be a function: give one"),
    "a surrogate's nothing": (
        lambda: discrete(le.RELAX(lambda z: None)),
        "the surrogate returned None, but it must return one number: is a return missing",
    ),
    "a number as a model": (lambda: le.Learned(3, T), "function is 3, but it must be a function: give one"),
    "a model's nothing": (
        lambda: call(estimator=le.Score(le.Learned(lambda c: c, None))),
        "the function of Learned returned None, but it must return one number: is a return missing",
    ),
    "a model's vector": (
        lambda: call(estimator=le.Score(le.Learned(lambda c: c, LOGITS))),
        r"the function of Learned returned shape \(3,\), but it must return one number: sum it",
    ),
    "a model that learns nothing": (lambda: le.Learned(lambda c: c, None).updated(T), "of Learned returned None"),
}  # fmt: skip


@pytest.fixture
def as_users_have_it():
    """Without the run-time type checks of the tests, which would speak first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize("mistake", TABLE)
def test_says_what_is_wrong_and_what_to_do(mistake):
    attempt, sentence = TABLE[mistake]
    with pytest.raises(InputError, match=sentence) as caught:
        attempt()
    said = str(caught.value)
    assert "\n" not in said.split("\n-----")[0] and len(said) < 400


@pytest.mark.usefixtures("as_users_have_it")
def test_counts_may_be_numbers_of_numpys():
    assert le.expectation(jnp.sum, samples=np.int64(4)).samples == 4
