"""Distributions against their definitions: by sums over all events, by quadrature, and by drawing.

The tests that draw have fixed keys. Each states how often a right sampler would fail it under a fresh one.
"""

import functools
import itertools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from logpi import InputError
from logpi.distributions import Bernoulli, Categorical, Joint, Normal, Point

ROUNDING = {"rtol": 1e-5, "atol": 1e-5}  # of float32
DRAWS = 50_000
RARE = 1e-6  # the false-alarm rate of each test that draws


def random(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def finite_case(name: str, seed: int):
    """A distribution over finitely many events, with random parameters."""
    return {
        "Categorical": lambda: Categorical(random(5, seed=seed)),
        "Categorical, one ruled out": lambda: Categorical(random(5, seed=seed).at[2].set(-jnp.inf)),
        "Categorical, one choice": lambda: Categorical(random(1, seed=seed)),
        "Bernoulli": lambda: Bernoulli(random(2, 2, seed=seed)),
        "Bernoulli, one coin": lambda: Bernoulli(random(seed=seed)),
        "Joint": lambda: Joint((Categorical(random(2, seed=seed)), Categorical(random(3, seed=seed + 9)))),
    }[name]()


def events_of(name: str) -> np.ndarray:
    """All its events."""
    if name == "Bernoulli":
        return np.array(list(itertools.product(range(2), repeat=4)), np.int32).reshape(-1, 2, 2)
    if name == "Joint":
        return np.array(list(itertools.product(range(2), range(3))), np.int32)
    return np.arange({"Categorical, one choice": 1, "Bernoulli, one coin": 2}.get(name, 5), dtype=np.int32)


@functools.cache
def facts(name: str):
    """What the library says of a case, and the sums over its events that it should equal; compiled in one piece."""
    p, q, events = finite_case(name, 0), finite_case(name, 1), jnp.asarray(events_of(name))
    possible = events[np.isfinite(jax.vmap(p.log_prob)(events))]

    def sums(p, q):
        log_p, log_q = jax.vmap(p.log_prob)(possible), jax.vmap(q.log_prob)(possible)
        return {"entropy": -jnp.sum(jnp.exp(log_p) * log_p), "kl": jnp.sum(jnp.exp(log_p) * (log_p - log_q))}

    def closed(p, q):
        return {"entropy": p.entropy(), "kl": p.kl(q)}

    def everything(p, q):
        return SimpleNamespace(
            log_p=jax.vmap(p.log_prob)(events),
            mode=p.mode(),
            zero=p.kl(p),
            values=[f(p, q) for f in (closed, sums)],
            gradients=[jax.jacrev(f, (0, 1))(p, q) for f in (closed, sums)],
            scores=jax.vmap(lambda event: jax.grad(lambda d: d.log_prob(event))(p))(possible),
            drawn=jax.vmap(p.sample_and_log_prob)(jax.random.split(jax.random.key(7), DRAWS)),
            one=(p.sample(jax.random.key(3)), p.sample_and_log_prob(jax.random.key(3))[0]),
        ).__dict__

    return SimpleNamespace(**jax.tree.map(np.asarray, jax.jit(everything)(p, q)))


NAMES = (
    "Categorical", "Categorical, one ruled out", "Categorical, one choice", "Bernoulli", "Bernoulli, one coin", "Joint",
)  # fmt: skip
finite = pytest.mark.parametrize("name", NAMES)


@finite
def test_probabilities_add_up(name):
    assert np.exp(facts(name).log_p.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


@finite
def test_entropy_and_divergence_are_their_sums_and_so_are_their_gradients(name):
    same(*facts(name).values)
    same(*facts(name).gradients)
    assert facts(name).zero == pytest.approx(0, abs=1e-6)


def same(first, second) -> None:
    """Equal and finite in every leaf."""
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, **ROUNDING)


@finite
def test_the_expected_score_is_zero(name):
    log_p = facts(name).log_p
    chances = np.exp(log_p[np.isfinite(log_p)])
    for score in jax.tree.leaves(facts(name).scores):
        assert np.isfinite(score).all()
        np.testing.assert_allclose(np.tensordot(chances, score, 1), 0, atol=1e-6)


@finite
def test_draws_follow_the_probabilities(name):
    """Chi-square over all events. False-alarm rate: RARE for each case."""
    (drawn, stored), log_p = facts(name).drawn, facts(name).log_p
    here = [(drawn == event).reshape(DRAWS, -1).all(1) for event in events_of(name)]
    counts = np.sum(here, 1)
    assert counts.sum() == DRAWS
    np.testing.assert_allclose(stored, log_p[np.argmax(here, 0)], **ROUNDING)
    possible = np.isfinite(log_p)
    assert (counts[~possible] == 0).all()
    if possible.sum() > 1:
        expected = np.exp(log_p[possible].astype(np.float64))
        assert stats.chisquare(counts[possible], expected / expected.sum() * DRAWS).pvalue > RARE
    np.testing.assert_array_equal(*facts(name).one)


@finite
def test_the_mode_is_the_most_probable_event(name):
    np.testing.assert_array_equal(facts(name).mode, events_of(name)[np.argmax(facts(name).log_p)])


def test_point():
    point = Point({"a": jnp.asarray(1), "b": jnp.asarray([1.0, 2.0])})
    other = Point({"a": jnp.asarray(1), "b": jnp.asarray([1.0, 3.0])})
    event, log_prob = point.sample_and_log_prob(jax.random.key(0))
    assert event is point.event and float(log_prob) == 0 == float(point.entropy())
    assert float(point.log_prob(point.event)) == 0 and float(point.log_prob(other.event)) == -np.inf
    assert float(point.kl(point)) == 0 and float(point.kl(other)) == np.inf


def normal() -> Normal:
    return Normal(jnp.asarray([0.5, -2.0]), jnp.asarray([0.3, -1.0]))


def grid() -> tuple[np.ndarray, float]:
    """Events that cover both entries of `normal` by twelve standard deviations or more, and the area of each."""
    axes = [np.linspace(m - 12 * np.exp(s), m + 12 * np.exp(s), 241) for m, s in ((0.5, 0.3), (-2.0, -1.0))]
    events = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)
    return events, float(np.prod([axis[1] - axis[0] for axis in axes]))


def log_probs(distribution, events: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(distribution.log_prob))(events), np.float64)


def test_normal_by_quadrature():
    p, q = normal(), Normal(jnp.asarray([0.0, -1.5]), jnp.asarray([0.0, -0.5]))
    events, area = grid()
    log_p, log_q = log_probs(p, events), log_probs(q, events)
    chances = np.exp(log_p) * area
    assert chances.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(p.entropy(), -(chances * log_p).sum(), rtol=1e-4)
    np.testing.assert_allclose(p.kl(q), (chances * (log_p - log_q)).sum(), rtol=1e-4)
    scores = jax.jit(jax.vmap(lambda event: jax.grad(lambda d: d.log_prob(event))(p)))(jnp.asarray(events))
    for score in (scores.mean, scores.log_std):
        np.testing.assert_allclose(chances @ np.asarray(score, np.float64), 0, atol=1e-4)
    np.testing.assert_array_equal(p.mode(), p.mean)


def test_normal_against_scipy_far_in_the_tails():
    events = np.array([[0.5, -2.0], [100.0, 50.0], [-1000.0, 3.0]], np.float32)
    right = stats.norm.logpdf(events, [0.5, -2.0], np.exp([0.3, -1.0])).sum(1)
    np.testing.assert_allclose(log_probs(normal(), events), right, rtol=1e-5)


def test_normal_draws_follow_the_density():
    """Kolmogorov-Smirnov, mean and variance of each entry, and no correlation. False-alarm rate: 7 times RARE."""
    keys = jax.random.split(jax.random.key(7), DRAWS)
    drawn, stored = (np.asarray(x) for x in jax.jit(jax.vmap(normal().sample_and_log_prob))(keys))
    np.testing.assert_allclose(stored, log_probs(normal(), drawn), **ROUNDING)
    z = (drawn - np.asarray(normal().mean)) / np.exp(np.asarray(normal().log_std))
    for entry in z.T:
        assert stats.kstest(entry, "norm").pvalue > RARE
        assert abs(entry.mean()) < 4.9 / np.sqrt(DRAWS)  # 4.9 standard deviations
        assert abs(entry.var() - 1) < 4.9 * np.sqrt(2 / DRAWS)
    assert stats.pearsonr(*z.T).pvalue > RARE


def test_normal_is_differentiable_through_its_draws():
    key = jax.random.key(0)
    through = jax.jacobian(lambda d: d.sample(key))(normal())
    np.testing.assert_allclose(through.mean, np.eye(2), **ROUNDING)
    np.testing.assert_allclose(through.log_std, np.diag(normal().sample(key) - normal().mean), **ROUNDING)


@pytest.mark.parametrize("bits", [(0, 0), (1, 2), (2**32 - 1, 2**32 - 1)])
def test_several_normal_events_are_the_numbers_of_jax(bits):
    key = jax.random.wrap_key_data(jnp.array(bits, jnp.uint32))
    distribution = Normal(jnp.zeros(3), jnp.zeros(3))
    drawn = jax.jit(lambda key: distribution.sample(key, (5,)))(key)
    np.testing.assert_array_equal(drawn, jax.random.normal(key, (5, 3)))
    keys = jnp.stack([key, jax.random.key(7)])
    both = jax.vmap(lambda key: distribution.sample(key, (5,)))(keys)
    np.testing.assert_array_equal(both, jax.vmap(lambda key: jax.random.normal(key, (5, 3)))(keys))


@pytest.mark.parametrize("shapes", [((3,), ()), ((), (3,)), ((2, 3), (3,))])
def test_a_normal_needs_a_deviation_for_each_mean(shapes):
    with pytest.raises(InputError, match="give one shape"):
        Normal(*(jnp.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_many_choices_are_those_of_jax(dtype):
    logits, key = jnp.linspace(-1, 1, 5).astype(dtype), jax.random.key(0)
    expected = jax.random.categorical(key, logits, shape=(300,))
    np.testing.assert_array_equal(Categorical(logits).sample(key, (300,)), expected)
