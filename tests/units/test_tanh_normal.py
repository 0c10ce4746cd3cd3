"""The tanh-squashed normal against its definition: by quadrature, by another library, and by drawing.

The tests that draw have fixed keys. Each states how often a right sampler would fail it under a fresh one.
"""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import integrate, stats

import logpi
import logpi.audit
from logpi import InputError
from logpi.distributions import Normal, TanhNormal
from logpi.distributions.quantiles import quantiles_of
from logpi.distributions.traits import traits

DRAWS = 50_000
RARE = 1e-6  # the false-alarm rate of each test that draws
MEANS, LOG_STDS = (-10.0, -2.0, 0.0, 0.3, 1.0, 5.0, 10.0), (-5.0, -2.0, -0.5, 0.0, 1.0, 2.0)


def squashed() -> TanhNormal:
    return TanhNormal(jnp.asarray([0.5, -1.2]), jnp.asarray([0.3, -1.0]))


def moved() -> TanhNormal:
    return TanhNormal(jnp.asarray([0.0, -0.9]), jnp.asarray([0.0, -0.5]))


def log_probs(d: TanhNormal, events) -> jax.Array:
    return eqx.filter_jit(eqx.filter_vmap(d.log_prob))(jnp.asarray(events))


def log_slope(u: np.ndarray) -> np.ndarray:
    """log(1 - tanh(u)^2), in 64 bits."""
    return 2 * (np.log(2) - u - np.logaddexp(0, -2 * u))


def over_normal(function, mean: float, std: float) -> float:
    """The expectation of a function of a Gaussian number, by quadrature between many points."""
    near = {p for p in (-3.0, -1.0, 0.0, 1.0, 3.0) if abs(p - mean) < 12 * std}
    points = sorted(near | set(np.linspace(mean - 12 * std, mean + 12 * std, 17)))

    def integrand(u):
        return function(u) * stats.norm.pdf(u, mean, std)

    return sum(integrate.quad(integrand, a, b, epsabs=1e-13, epsrel=1e-12)[0] for a, b in itertools.pairwise(points))


@functools.cache
def right_entropy(mean: float, log_std: float) -> float:
    return stats.norm.entropy(mean, np.exp(log_std)) + over_normal(log_slope, mean, np.exp(log_std))


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.7, -1.0), (-2.0, -0.5), (0.0, 1.0)])
def test_its_density_integrates_to_one(mean, log_std):
    with jax.enable_x64(True):
        density = jax.jit(lambda y: jnp.exp(TanhNormal(jnp.asarray(mean), jnp.asarray(log_std)).log_prob(y)))
        u = np.linspace(mean - 9 * np.exp(log_std), mean + 9 * np.exp(log_std), 41).clip(-13, 13)  # 1 in 64 bits is 19
        ends = np.tanh(np.unique(u))
        pieces = itertools.pairwise(ends)
        total = sum(integrate.quad(lambda y: float(density(y)), a, b, epsabs=1e-11)[0] for a, b in pieces)
    left_out = 1 - np.diff(stats.norm.cdf(u[[0, -1]], mean, np.exp(log_std)))[0]
    assert total + left_out == pytest.approx(1, abs=1e-9)
    assert left_out < 1e-5


def test_its_density_is_that_of_another_library():
    events = np.tanh(np.linspace(-8, 8, 401))
    events = np.stack([events, events[::-1]], -1)
    with jax.enable_x64(True):
        mean, log_std = jnp.array([0.5, -1.2]), jnp.array([0.3, -1.0])
        of = dist.transforms
        steps = [of.AffineTransform(0.0, 2.0), of.SigmoidTransform(), of.AffineTransform(-1.0, 2.0)]  # tanh
        other = dist.TransformedDistribution(dist.Normal(mean, jnp.exp(log_std)), steps)
        ours = log_probs(TanhNormal(mean, log_std), events)
        np.testing.assert_allclose(ours, jnp.sum(jax.vmap(other.log_prob)(events), -1), rtol=1e-9)
    u = np.arctanh(events)
    right = (stats.norm.logpdf(u, [0.5, -1.2], np.exp([0.3, -1.0])) - log_slope(u)).sum(-1)
    np.testing.assert_allclose(ours, right, rtol=1e-9)


@pytest.mark.parametrize("bits", [32, 64])
def test_a_draw_has_its_own_log_probability_however_near_to_one(bits):
    """That of u, of which a rounded event says no more; within rounding where the event does say it."""
    with jax.enable_x64(bits == 64):
        for mean in (-30.0, -4.0, 0.0, 4.0, 30.0):
            d = TanhNormal(jnp.full(3, mean), jnp.array([-1.0, 0.0, 1.0]))
            key = jax.random.key(3)
            event, log_prob = eqx.filter_jit(d.sample_and_log_prob)(key)
            u = np.asarray(d.normal.sample(key), np.float64)
            right = stats.norm.logpdf(u, mean, np.exp([-1.0, 0.0, 1.0])) - log_slope(u)
            np.testing.assert_allclose(log_prob, right.sum(), rtol=1e-5)
            np.testing.assert_array_equal(event, d.sample(key))
            assert (np.abs(event) < 1).all() and np.isfinite(d.log_prob(event))
            if abs(mean) <= 4:
                np.testing.assert_allclose(d.log_prob(event), right.sum(), atol=2e-2)


def test_gradients_are_finite_and_right_far_from_zero():
    """The way of SAC: of log_prob and event in the parameters, through the draw."""
    key = jax.random.key(5)

    def both(parameters):
        event, log_prob = TanhNormal(*parameters).sample_and_log_prob(key)
        return log_prob, event

    slopes, drawn = jax.jit(jax.jacrev(both)), jax.jit(lambda parameters: Normal(*parameters).sample(key))

    for mean in (-30.0, -9.0, -1.0, 0.0, 0.5, 3.0, 30.0):
        parameters = (jnp.asarray(mean), jnp.asarray(0.3))
        (in_mean, in_std), (event_in_mean, event_in_std) = slopes(parameters)
        u = float(drawn(parameters))
        # log_prob is -noise^2 / 2 - log_std - log_slope(u) with u = mean + std * noise.
        np.testing.assert_allclose([in_mean, in_std], [2 * np.tanh(u), -1 + 2 * np.tanh(u) * (u - mean)], rtol=1e-5)
        slope = np.exp(log_slope(u)) if abs(u) < 8 else 0.0
        np.testing.assert_allclose([event_in_mean, event_in_std], [slope, slope * (u - mean)], rtol=1e-5, atol=1e-7)


def test_a_rounded_end_has_the_score_of_its_probability():
    """At a mean of 30 every event is the number before 1; a density there would have a score of -21 for each."""
    apart = 2.0**-24
    first = np.arctanh(1 - 1.5 * apart)
    log_prob_and_scores = jax.jit(jax.value_and_grad(lambda p, end: TanhNormal(*p).log_prob(end)))
    for mean, std, sign in ((30.0, 1.0, 1), (8.0, 1.0, -1), (4.0, 2.0, 1), (-3.0, 3.0, 1), (1e4, 0.1, -1)):
        end, mean = np.float32(sign * (1 - apart)), sign * mean
        log_prob, scores = log_prob_and_scores((jnp.asarray(mean), jnp.asarray(np.float32(np.log(std)))), end)
        z = (sign * mean - first) / std
        np.testing.assert_allclose(log_prob, stats.norm.logcdf(z) - np.log(1.5 * apart), rtol=1e-5)
        slope = np.exp(stats.norm.logpdf(z) - stats.norm.logcdf(z))
        np.testing.assert_allclose(scores, [sign * slope / std, -slope * z], rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize(("mean", "log_std"), [(6.0, -5.0), (-7.0, -5.0), (7.5, -2.0), (8.0, 0.0), (-3.0, 2.0)])
def test_the_probabilities_of_all_numbers_near_an_end_add_up(mean, log_std):
    """Each number times the width of what is rounded to it: a density at the number would be off by up to 5."""
    apart, sign = 2.0**-24, np.sign(mean)
    count = 2**17  # from 4.9 of u on
    d = TanhNormal(jnp.full(1, mean), jnp.full(1, log_std))
    events = sign * (1 - apart * np.arange(1, count + 1))
    width = np.where(np.arange(count) == 0, 1.5, 1.0) * apart
    total = np.sum(np.exp(np.asarray(log_probs(d, events[:, None].astype(np.float32)), np.float64)) * width)
    right = stats.norm.cdf((abs(mean) - np.arctanh(1 - apart * (count + 0.5))) / np.exp(log_std))
    assert total == pytest.approx(right, rel=2e-3)


@pytest.mark.parametrize(
    ("mean", "log_std"), [(0.0, 0.0), (7.0, 0.0), (8.4, 0.0), (-12.0, 0.0), (7.0, -4.0), (8.0, -3)]
)
def test_scores_of_draws_have_mean_zero_where_many_are_rounded(mean, log_std):
    """Those in mean and log_std. False-alarm rate: twice RARE for each case."""
    d = TanhNormal(jnp.full(1, mean), jnp.full(1, float(log_std)))
    events = d.sample(jax.random.key(11), (DRAWS,))
    score = jax.jit(jax.vmap(jax.grad(lambda p, y: TanhNormal(*p).log_prob(y)), in_axes=(None, 0)))
    for scores in score((d.mean, d.log_std), events):
        scores = np.asarray(scores, np.float64)
        assert np.isfinite(scores).all()
        assert abs(scores.mean()) < 4.9 * max(scores.std(), 1e-3) / np.sqrt(DRAWS)


def test_draws_follow_the_density():
    """Kolmogorov-Smirnov of each entry, and no correlation. False-alarm rate: 3 times RARE."""
    d = squashed()
    drawn, stored = eqx.filter_jit(eqx.filter_vmap(d.sample_and_log_prob))(jax.random.split(jax.random.key(7), DRAWS))
    np.testing.assert_allclose(stored, log_probs(d, drawn), rtol=1e-3, atol=1e-3)
    drawn = np.asarray(drawn, np.float64)
    for y, mean, std in zip(drawn.T, d.mean, np.exp(d.log_std), strict=True):
        assert stats.kstest(np.arctanh(y), stats.norm(float(mean), float(std)).cdf).pvalue > RARE
    assert stats.pearsonr(*drawn.T).pvalue > RARE
    np.testing.assert_array_equal(d.sample(jax.random.key(1), (4,)).shape, (4, 2))


def test_quantiles_are_those_of_its_distribution_function():
    quantiles = quantiles_of(squashed())
    assert quantiles.num_uniforms == 2
    uniform = np.array([0.1, 0.8])
    right = np.tanh(stats.norm.ppf(uniform, [0.5, -1.2], np.exp([0.3, -1.0])))
    np.testing.assert_allclose(quantiles.event(jnp.asarray(uniform)), right, rtol=1e-5)


@pytest.mark.parametrize("log_std", LOG_STDS)
def test_entropy_and_its_gradient_are_right_from_narrow_to_wide(log_std):
    """To 1e-8 in 64 bits; Gauss-Hermite with 32 points is off by 0.08 at a log_std of 2."""
    with jax.enable_x64(True):
        entropy = jax.jit(jax.value_and_grad(lambda p: TanhNormal(*p).entropy()))
        for mean in MEANS:
            value, slopes = entropy((jnp.asarray(mean), jnp.asarray(log_std)))
            assert float(value) == pytest.approx(right_entropy(mean, log_std), abs=1e-8)
            std = np.exp(log_std)
            in_mean = over_normal(lambda u: -2 * np.tanh(u), mean, std)
            in_std = 1 + over_normal(lambda u, m=mean: -2 * np.tanh(u) * (u - m), mean, std)
            np.testing.assert_allclose(slopes, [in_mean, in_std], atol=1e-7)


def test_entropy_adds_up_over_the_entries_in_32_bits():
    means, log_stds = (x.ravel() for x in np.meshgrid(MEANS, LOG_STDS))
    right = sum(right_entropy(float(m), float(s)) for m, s in zip(means, log_stds, strict=True))
    shape = (len(MEANS), len(LOG_STDS))
    d = TanhNormal(jnp.asarray(means.reshape(shape), jnp.float32), jnp.asarray(log_stds.reshape(shape), jnp.float32))
    np.testing.assert_allclose(eqx.filter_jit(d.entropy)(), right, rtol=1e-5)
    entropy = jax.jit(jax.value_and_grad(lambda p: TanhNormal(*p).entropy()))
    for mean, log_std in ((1e4, 0.0), (-50.0, -20.0), (0.0, 20.0), (0.0, -20.0)):
        value, slopes = entropy((jnp.asarray(mean), jnp.asarray(log_std)))
        assert np.isfinite([value, *slopes]).all()


def test_divergence_is_that_of_the_densities():
    p, q = squashed(), moved()
    right = 0.0
    for i in range(2):
        ours, others = (stats.norm(float(d.mean[i]), float(np.exp(d.log_std[i]))) for d in (p, q))
        right += over_normal(lambda u, a=ours, b=others: a.logpdf(u) - b.logpdf(u), ours.mean(), ours.std())
    np.testing.assert_allclose(eqx.filter_jit(p.kl)(q), right, rtol=1e-5)
    assert float(p.kl(p)) == 0


def test_its_mode_is_the_image_of_the_mean():
    np.testing.assert_allclose(squashed().mode(), np.tanh([0.5, -1.2]), rtol=1e-6)
    assert float(jnp.max(TanhNormal(jnp.asarray(40.0), jnp.asarray(0.0)).mode())) < 1


def test_a_picture_shows_the_moments_of_its_events():
    shown = traits(squashed()).summary()
    for i in range(2):
        mean, std = float(squashed().mean[i]), float(np.exp(squashed().log_std[i]))
        first = over_normal(np.tanh, mean, std)
        second = over_normal(lambda u: np.tanh(u) ** 2, mean, std)
        np.testing.assert_allclose([shown["mean"][i], shown["std"][i]], [first, np.sqrt(second - first**2)], atol=2e-3)


@pytest.mark.parametrize("shapes", [((3,), ()), ((), (3,)), ((2, 3), (3,))])
def test_it_needs_a_deviation_for_each_mean(shapes):
    with pytest.raises(InputError, match=r"mean and log_std of a TanhNormal .*give one shape"):
        TanhNormal(*(jnp.zeros(shape) for shape in shapes))


ESTIMATORS = {
    "Score": logpi.Score(),
    "Pathwise": logpi.Pathwise(continuous=True),
    "QuasiMonteCarlo": logpi.QuasiMonteCarlo(logpi.Score()),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_of_its_expectations_are_unbiased(name):
    """Against quadrature, by evidence that has one false alarm in a million reports."""
    points, weights = np.polynomial.hermite_e.hermegauss(80)

    def exact(p):
        u = p["mean"] + jnp.exp(p["log_std"]) * jnp.asarray(points, jnp.float32)
        return (jnp.tanh(u) - 0.6) ** 2 @ jnp.asarray(weights / weights.sum(), jnp.float32)

    made = logpi.expectation(
        lambda y: (y - 0.6) ** 2, lambda p: TanhNormal(p["mean"], p["log_std"]), 16, ESTIMATORS[name]
    )
    params = {"mean": jnp.asarray(-0.3), "log_std": jnp.asarray(-0.2)}
    report = logpi.audit.program(made, params, jax.random.key(0), exact, replicates=2000, intervals=40)
    assert report.passed, str(report)
    assert {"value", "gradient"} <= {check.name for check in report.checks}
