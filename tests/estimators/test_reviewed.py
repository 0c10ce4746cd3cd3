"""Mistakes that a review found: each would be silent."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import pytest

import logpi
from logpi.distributions import Bernoulli, Point
from logpi.estimation.comparison import count_evaluations
from logpi.estimators.vimco import _bound
from logpi.jaxprs.usage import room

KEY = jax.random.key(0)
COIN = {"logits": jnp.array([0.3])}


def coins(p):
    """Coins of these logits."""
    return Bernoulli(p["logits"])


def step(b):
    """Jumps halfway."""
    return jnp.where(b[0] > 0.5, 1.0, 0.0)


@pytest.mark.parametrize(
    "estimator", [logpi.REBAR(scale=0.5), logpi.RELAX(lambda z: jnp.sum(jnp.sign(z)))], ids=["REBAR", "RELAX"]
)
def test_a_surrogate_that_jumps_is_refused(estimator):
    with pytest.raises(logpi.InputError, match="f may jump"):
        logpi.estimate(logpi.expectation(step, coins, 4, estimator), COIN, KEY)


def test_particles_drawn_in_sets_are_refused():
    J = logpi.expectation(lambda x: -(x**2), lambda m: dist.Normal(m, 1.0), 8, logpi.Antithetic(logpi.VIMCO(4)))
    with pytest.raises(logpi.InputError, match="independent particles"):
        J(0.5, KEY)


WAYS_OF_THEIR_OWN = [
    logpi.DisARM(), logpi.REBAR(), logpi.RELAX(jnp.sum), logpi.UnorderedSet(2), logpi.SumAndSample(1),
    logpi.Enumerate(), logpi.EvolutionStrategies(), logpi.BiasedStraightThrough(), logpi.Stratified(logpi.Score()),
]  # fmt: skip


@pytest.mark.parametrize("wrapper", [logpi.Antithetic, logpi.Stratified, logpi.QuasiMonteCarlo])
@pytest.mark.parametrize("estimator", WAYS_OF_THEIR_OWN, ids=lambda e: type(e).__name__)
def test_nothing_is_spread_where_nothing_would_be(wrapper, estimator):
    J = logpi.expectation(lambda b: jnp.sum(1.0 * b), coins, 4, wrapper(estimator))
    name, inner = wrapper.__name__, type(estimator).__name__
    with pytest.raises(logpi.InputError, match=rf"{inner} draws in a way of its own, so {name} would do nothing"):
        jax.make_jaxpr(J)(COIN, KEY)


@pytest.mark.parametrize("make", [Point, dist.Delta], ids=["Point", "Delta"])
def test_a_point_that_moves_has_no_score(make):
    with pytest.raises(logpi.InputError, match="moves with its parameters"):
        logpi.estimate(logpi.expectation(lambda x: x**2, make), jnp.array(2.0), KEY)


def test_a_jump_in_what_a_scan_carries_is_seen():
    def crossed(x):
        return jax.lax.scan(lambda place, move: (place + move, jnp.where(place > 1.0, 1.0, 0.0)), 0.0, x)[1].sum()

    J = logpi.expectation(crossed, lambda m: dist.Normal(m * jnp.ones(5), 1.0).to_event(1), 4, logpi.Pathwise())
    with pytest.raises(logpi.InputError, match="may jump"):
        logpi.estimate(J, 0.5, KEY)


def test_rare_coins_are_drawn_as_often_as_they_should_be():
    """A coin of 1 in 10,000 in a million draws: 100, within 4.5 standard deviations."""
    J = logpi.expectation(lambda b: b[0], coins, 10_000, logpi.RELAX(lambda z: jnp.sum(jax.nn.sigmoid(z))))
    mean = logpi.estimate(J, {"logits": jnp.array([-9.21024])}, KEY, replicates=100).value
    assert abs(float(mean) - 1e-4) < 4.5e-5


def test_a_policy_with_a_normaliser_is_climbed():
    run = logpi.train("CartPole-v1", steps=2048, network=logpi.Network(normalize_observations=True))
    model = run.policy.model
    J = logpi.expectation(lambda a: 1.0 * a, lambda model: model(jnp.ones(4), model.initial_memory())[0])
    climbed, history = logpi.maximize(J, model, KEY, optimiser=optax.adam(1e-3), steps=5)
    assert history.value[-1] >= 0 and jax.tree.structure(climbed) == jax.tree.structure(model)


def test_nothing_that_moves_the_expectation_is_tuned():
    for estimator in (logpi.EvolutionStrategies(), logpi.Score(logpi.Constant(1.0))):
        with pytest.raises(logpi.InputError, match="no arrays to fit"):
            logpi.tune(logpi.expectation(lambda x: x**2, lambda m: dist.Normal(m, 1.0), 4, estimator), 0.5, KEY)


@pytest.mark.parametrize(
    "estimator", [logpi.DisARM(), logpi.MeasureValued(), logpi.REBAR()], ids=["DisARM", "MVD", "REBAR"]
)
def test_a_parameter_that_is_not_used_has_no_error(estimator):
    """Where a derivative is guarded by a rule of its own, too."""
    J = logpi.expectation(lambda b: jnp.sum(b) ** 2.0, coins, 4, estimator)
    e = logpi.estimate(J, {"logits": jnp.array([0.3, 0.2]), "other": 1.0}, KEY)
    assert e.gradient_error["other"] == 0 and 0 < e.gradient_error["logits"][0] < 1 and e.converged


def test_particles_may_have_no_weight():
    """The sum over all sets of three of four events, one of log-weight -inf; without the set of that one alone."""
    logits, table = jnp.asarray([0.2, -0.5, 0.4, 0.1]), jnp.asarray([0.3, -jnp.inf, 1.0, 0.1])
    sets = jnp.asarray([s for s in itertools.product(range(4), repeat=3) if s != (1, 1, 1)])

    def log_probs(logits):
        return jax.nn.log_softmax(logits)[sets]

    def exact(logits):
        bounds = jax.nn.logsumexp(table[sets], axis=1) - jnp.log(3.0)
        return jnp.sum(jnp.exp(jnp.sum(log_probs(logits), axis=1)) * bounds)

    def estimated(logits):
        chances = jax.lax.stop_gradient(jnp.exp(jnp.sum(log_probs(logits), axis=1)))
        return jnp.sum(chances * jax.vmap(_bound)(log_probs(logits), table[sets]))

    found, right = jax.jit(lambda x: (jax.value_and_grad(estimated)(x), jax.value_and_grad(exact)(x)))(logits)
    np.testing.assert_allclose(found[0], right[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], right[1], rtol=1e-4, atol=1e-6)


class Spinner:
    """A black box: it can be drawn from, and that is all. No pytree."""

    def __init__(self, mean):
        self.mean = mean

    def sample(self, key):
        return self.mean + jax.random.normal(key)


@pytest.mark.parametrize(
    "estimator", [logpi.EvolutionStrategies(), logpi.SPSA(), logpi.FiniteDifferences()], ids=["ES", "SPSA", "FD"]
)
def test_nothing_but_a_sampler_is_needed(estimator):
    J = logpi.expectation(lambda x: x**2, Spinner, 16, estimator)
    e = logpi.estimate(J, jnp.asarray(1.0), KEY, replicates=1000)
    assert abs(e.gradient - 2) < 4.5 * e.gradient_error < 0.3


def test_a_sampler_alone_has_no_score():
    sentence = r"Spinner has no method log_prob.*add log_prob\(event\), or use EvolutionStrategies\(\)"
    with pytest.raises(logpi.InputError, match=sentence):
        logpi.expectation(lambda x: x, Spinner)(jnp.asarray(1.0), KEY)
    with pytest.raises(logpi.InputError, match="Spinner has no method log_prob"):
        logpi.audit.policy(Spinner(0.0), KEY)


def test_counts_without_an_end_cannot_be_spread():
    J = logpi.expectation(lambda x: 1.0 * x, dist.Poisson, 4, logpi.Antithetic(logpi.Score()))
    with pytest.raises(logpi.InputError, match=r"Poisson has no quantile function here.*without Antithetic"):
        J(1.0, KEY)


@pytest.mark.parametrize(
    ("estimator", "of", "evaluations"),
    [(logpi.REBAR(), coins, 3), (logpi.RELAX(lambda z: jnp.sum(jnp.tanh(z))), coins, 1)],
    ids=["REBAR", "RELAX"],
)
def test_no_evaluation_is_made_twice(estimator, of, evaluations):
    assert count_evaluations(logpi.expectation(lambda b: jnp.sum(b) ** 2.0, of, 1, estimator), COIN, KEY) == evaluations


def test_a_derivative_that_the_value_does_not_show_is_not_taken_for_0():
    @jax.custom_jvp
    def first(a, b):
        return a

    first.defjvp(lambda primals, tangents: (primals[0], tangents[0] + 2 * tangents[1]))
    e = logpi.estimate(lambda p, key: first(*p) + 0 * jax.random.normal(key), (1.0, 2.0), KEY)
    assert e.gradient == (1, 2) and e.gradient_error == (0, 0) and e.converged


def test_differences_of_many_parameters_are_taken_few_at_a_time():
    """All axes at once are the square of the parameters in memory: of 50,000, 10 GB."""

    def f(x, p):
        return jnp.sum(p["w"] ** 2) + 0 * x

    J = logpi.expectation(f, lambda p: dist.Normal(p["w"][0], 1.0), 1, logpi.FiniteDifferences(0.01))
    w = jnp.linspace(-1, 1, 3001)
    found = jax.jit(jax.grad(J))({"w": w}, KEY)["w"]
    np.testing.assert_allclose(found, 2 * w, atol=0.05)  # rounding of 1,000 beside a step of 0.01
    traced = jax.make_jaxpr(jax.grad(J))({"w": jnp.zeros(50_000)}, KEY)
    assert room(traced.jaxpr) <= 2**23
