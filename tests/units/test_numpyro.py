"""Distributions of NumPyro as ours."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from logpi.distributions import Categorical, FromNumpyro, Normal

ROUNDING = {"rtol": 1e-5, "atol": 1e-5}
MEAN, LOG_STD, LOGITS = jnp.asarray([0.5, -2.0]), jnp.asarray([0.3, -1.0]), jnp.asarray([0.3, -1.0, 0.8])


def test_the_adapted_normal_is_ours():
    ours = Normal(MEAN, LOG_STD)
    event = jnp.asarray([1.0, 0.0])
    for theirs in (dist.Normal(MEAN, jnp.exp(LOG_STD)), dist.Normal(MEAN, jnp.exp(LOG_STD)).to_event(1)):
        adapted = FromNumpyro(theirs)
        np.testing.assert_allclose(adapted.log_prob(event), ours.log_prob(event), **ROUNDING)
        np.testing.assert_allclose(adapted.entropy(), ours.entropy(), **ROUNDING)
        np.testing.assert_allclose(adapted.mode(), ours.mode(), **ROUNDING)
        shifted = FromNumpyro(dist.Normal(MEAN + 1, jnp.exp(LOG_STD)).to_event(1))
        same_axes = shifted if theirs.event_dim else FromNumpyro(dist.Normal(MEAN + 1, jnp.exp(LOG_STD)))
        np.testing.assert_allclose(adapted.kl(same_axes), ours.kl(Normal(MEAN + 1, LOG_STD)), **ROUNDING)


def test_the_adapted_categorical_is_ours():
    ours, adapted = Categorical(LOGITS), FromNumpyro(dist.Categorical(logits=LOGITS))
    for event in range(3):
        np.testing.assert_allclose(adapted.log_prob(jnp.asarray(event)), ours.log_prob(jnp.asarray(event)), **ROUNDING)
    np.testing.assert_allclose(adapted.entropy(), ours.entropy(), **ROUNDING)
    assert int(adapted.mode()) == int(ours.mode()) == 2


def test_draws_come_with_their_log_probability_and_follow_the_density():
    """Kolmogorov-Smirnov with a fixed key; false-alarm rate 1e-6."""
    adapted = FromNumpyro(dist.Gamma(2.0, 3.0))
    drawn, stored = jax.jit(jax.vmap(adapted.sample_and_log_prob))(jax.random.split(jax.random.key(0), 20_000))
    np.testing.assert_allclose(stored, stats.gamma.logpdf(np.asarray(drawn), 2.0, scale=1 / 3), rtol=1e-3, atol=1e-4)
    assert stats.kstest(np.asarray(drawn), stats.gamma(2.0, scale=1 / 3).cdf).pvalue > 1e-6


def test_it_goes_through_vmap_and_grad():
    def log_prob(rate, event):
        return FromNumpyro(dist.Exponential(rate)).log_prob(event)

    events = jnp.asarray([0.5, 2.0])
    np.testing.assert_allclose(jax.vmap(jax.grad(log_prob), (None, 0))(2.0, events), 0.5 - events, **ROUNDING)
    batch = eqx.filter_vmap(lambda rate: FromNumpyro(dist.Exponential(rate)))(jnp.asarray([1.0, 2.0]))
    means = jax.vmap(lambda d, event: d.log_prob(event))(batch, events)
    np.testing.assert_allclose(means, [-0.5, np.log(2) - 4], **ROUNDING)


def test_what_has_no_closed_form_says_so():
    mixture = FromNumpyro(
        dist.MixtureSameFamily(dist.Categorical(probs=jnp.ones(2) / 2), dist.Normal(jnp.asarray([0.0, 3.0]), 1.0))
    )
    with pytest.raises(NotImplementedError):
        mixture.entropy()
    with pytest.raises(NotImplementedError):
        mixture.kl(mixture)
    assert np.isfinite(mixture.log_prob(mixture.sample(jax.random.key(0))))


@pytest.mark.parametrize("kind", ["coin", "coins", "binomial"])
@pytest.mark.parametrize("logit", [0.0, 1e-4, -1e-4, 2.0])
def test_scores_are_right_where_logits_begin(kind, logit):
    """At 0 NumPyro's own derivative is 0 or 1 in place of -1/2 or 1/2: here it is x - n p everywhere."""
    make = {
        "coin": lambda logit: dist.Bernoulli(logits=logit),
        "coins": lambda logit: dist.Bernoulli(logits=logit * jnp.ones(3)).to_event(1),
        "binomial": lambda logit: dist.Binomial(3, logits=logit),
    }[kind]
    events = {"coin": [0, 1], "coins": [[0, 1, 1], [1, 1, 1]], "binomial": [0, 2, 3]}[kind]
    n = 1 if kind == "coin" else 3
    score = jax.grad(lambda logit, event: FromNumpyro(make(logit)).log_prob(event))
    for event in events:
        found = score(logit, jnp.asarray(event))
        assert float(found) == pytest.approx(np.sum(event) - n / (1 + np.exp(-logit)), abs=1e-5)


MODES = {
    "coins": (dist.Bernoulli(logits=jnp.asarray([2.0, -1.0, 0.5])), [1, 0, 1]),
    "coins of one event": (dist.Bernoulli(probs=jnp.asarray([[0.9, 0.2], [0.4, 0.6]])).to_event(2), [[1, 0], [0, 1]]),
    "expanded": (dist.Bernoulli(probs=jnp.asarray([0.9, 0.2])).expand((3, 2)), [[1, 0]] * 3),
    "choices": (dist.Categorical(logits=jnp.asarray([[0.0, 1.0, 2.0], [3.0, 1.0, 2.0]])).to_event(1), [2, 0]),
    "counts": (dist.Binomial(4, jnp.asarray([0.1, 0.5, 0.95])), [0, 2, 4]),
    "a pick": (dist.DiscreteUniform(3, 5), 3),
}


@pytest.mark.parametrize("case", MODES)
def test_the_mode_of_several_entries_is_that_of_each(case):
    distribution, mode = MODES[case]
    np.testing.assert_array_equal(FromNumpyro(distribution).mode(), mode)


def test_counts_without_an_end_have_no_mode_here():
    with pytest.raises(NotImplementedError):
        FromNumpyro(dist.Poisson(2.0)).mode()


def test_logits_may_be_plain_numbers():
    """As NumPyro takes them, and as a first try has them."""
    coin = FromNumpyro(dist.Bernoulli(logits=0.5))
    assert jnp.allclose(coin.log_prob(jnp.array(1)), jax.nn.log_sigmoid(0.5))
    assert jnp.allclose(FromNumpyro(dist.Bernoulli(logits=0)).log_prob(jnp.array(0)), jnp.log(0.5))
