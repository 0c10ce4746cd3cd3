"""Masked distributions: renormalised over what is allowed, and nothing of what is not, in any derivative."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions
import pytest

import logpi
from logpi.distributions import as_distribution, Bernoulli, Categorical, Joint, masked, Normal
from logpi.distributions.support import all_events
from logpi.errors import InputError
from logpi.models import make_actor_critic, Masked, Network, observe
from logpi.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

LOGITS = jnp.array([0.3, -1.2, 2.0, 0.1, -0.4, 0.9])
KINDS = {  # from logits to a distribution, and how many flags each entry has
    "categorical": (Categorical, (6,)),
    "joint": (lambda x: Joint((Categorical(x[:2]), Categorical(x[2:]))), (2, 4)),
    "bernoulli": (lambda x: Bernoulli(x[:3]), (2, 2, 2)),
    "array of coins": (lambda x: Bernoulli(x[:4].reshape(2, 2)), (2, 2, 2, 2)),
}


def masks(sizes):
    """Several masks: each entry with one value forbidden, with one left, and with none."""
    rng = np.random.default_rng(0)
    one_less = np.concatenate([np.arange(n) != rng.integers(n) for n in sizes])
    one_left = np.concatenate([np.arange(n) == rng.integers(n) for n in sizes])
    return [one_less, one_left, np.ones(sum(sizes), bool), np.zeros(sum(sizes), bool)]


def allowed_events(dist, sizes, mask):
    """Which of all events a mask allows."""
    pieces = np.split(mask, np.cumsum(sizes)[:-1])
    pieces = [piece | ~piece.any() for piece in pieces]
    events = np.asarray(all_events(dist))
    rows = events.reshape(len(events), -1)
    return events, np.all([piece[rows[:, i]] for i, piece in enumerate(pieces)], axis=0)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_renormalised_over_what_is_allowed(kind):
    make, sizes = KINDS[kind]
    with jax.enable_x64(True):
        dist = make(LOGITS.astype(float))
        before = np.exp(jax.vmap(dist.log_prob)(all_events(dist)))

        @jax.jit
        def of(mask):
            given, other = masked(dist, mask), masked(make(LOGITS[::-1].astype(float)), mask)
            drawn = jax.vmap(given.sample)(jax.random.split(jax.random.key(0), 200))
            probabilities = (jnp.exp(jax.vmap(each.log_prob)(all_events(dist))) for each in (given, other))
            seen = jnp.append(jax.vmap(given.log_prob)(drawn), given.log_prob(given.mode()))
            return *probabilities, given.entropy(), given.kl(other), seen

        for mask in masks(sizes):
            _, allowed = allowed_events(dist, sizes, mask)
            p, q, entropy, kl, seen = of(jnp.asarray(mask))
            np.testing.assert_allclose(p, before * allowed / np.sum(before * allowed), rtol=1e-12, atol=1e-300)
            p, q = p[p > 0], q[p > 0]
            np.testing.assert_allclose(entropy, -np.sum(p * np.log(p)), atol=1e-12)
            np.testing.assert_allclose(kl, np.sum(p * np.log(p / q)), atol=1e-12)
            assert np.isfinite(seen).all()


@pytest.mark.parametrize("kind", KINDS)
def test_forbidden_logits_have_no_derivative_and_all_are_finite(kind):
    make, sizes = KINDS[kind]

    def numbers(x, mask):
        """All that is differentiated of a distribution, in one vector."""
        dist, other = masked(make(x), mask), masked(make(jnp.zeros_like(x)), mask)
        event = jax.lax.stop_gradient(dist.mode())
        return jnp.stack([dist.log_prob(event), dist.entropy(), dist.kl(other)])

    derivatives = jax.jit(lambda x, mask: (jax.jacobian(numbers)(x, mask), jax.hessian(numbers)(x, mask)))
    for mask in masks(sizes):
        gradient, hessian = derivatives(LOGITS, jnp.asarray(mask))
        assert np.isfinite(gradient).all() and np.isfinite(hessian).all()
        pieces = np.split(mask, np.cumsum(sizes)[:-1])
        if kind in ("categorical", "joint"):
            fixed = np.concatenate([~piece & piece.any() for piece in pieces])
        else:  # a coin that has one value only
            fixed = np.array([piece.sum() == 1 for piece in pieces])
        assert (np.asarray(gradient)[:, : fixed.size][:, fixed] == 0).all()
        assert mask.all() <= (np.abs(gradient[1]) > 0).any()


def test_the_gradient_is_that_of_the_masked_expectation():
    """Enumerated: sum of p f grad log p, against the gradient of sum of p f."""
    with jax.enable_x64(True):
        logits, mask = LOGITS.astype(float), jnp.array([1, 0, 1, 1, 0, 1], bool)
        f = jnp.arange(6.0) ** 2
        log_probs = lambda x: jnp.where(mask, jax.vmap(masked(Categorical(x), mask).log_prob)(jnp.arange(6)), 0.0)  # noqa: E731
        p = jnp.where(mask, jnp.exp(log_probs(logits)), 0.0)
        score = jnp.einsum("a,ax->x", p * f, jax.jacobian(log_probs)(logits))
        exact = jax.grad(
            lambda x: jnp.sum(jnp.where(mask, jax.nn.softmax(x), 0) * f) / jnp.sum(jax.nn.softmax(x)[mask])
        )
        np.testing.assert_allclose(score, exact(logits), atol=1e-14)
        estimate = logpi.estimate(
            logpi.expectation(lambda a: f[a], lambda x: masked(Categorical(x), mask), estimator=logpi.Enumerate()),
            logits,
            jax.random.key(0),
        )
        np.testing.assert_allclose(estimate.gradient, exact(logits), atol=1e-12)


def test_what_cannot_be_masked_is_refused():
    with pytest.raises(InputError, match="A mask of 3 flags is given, but events of Categorical take 6"):
        masked(Categorical(LOGITS), jnp.ones(3, bool))
    with pytest.raises(InputError, match="A mask of 2 flags is given, but events of Normal take 0"):
        masked(Normal(jnp.zeros(2), jnp.zeros(2)), jnp.ones(2, bool))
    foreign = as_distribution(numpyro.distributions.Categorical(logits=LOGITS))
    with pytest.raises(InputError, match="not known to have values that can be forbidden"):
        masked(foreign, jnp.ones(6, bool))


OBS = Dict((("action_mask", MultiBinary((5,))), ("observation", Box((3,)))))
ACTIONS = MultiDiscrete((2, 3))
SEEN = {"action_mask": jnp.array([1, 0, 0, 1, 0]), "observation": jnp.array([1.0, 2.0, 3.0])}


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_networks_are_masked_and_see_the_rest(memory):
    model = make_actor_critic(OBS, ACTIONS, Network(memory=memory, normalize_observations=True), key=jax.random.key(0))
    dist, _ = model(SEEN, model.initial_memory())
    assert dist.mode().tolist() == [0, 1]
    seen_more = observe(model, jax.tree.map(lambda x: x[None, None], SEEN), jnp.ones((1, 1)))
    assert seen_more.model.normalizer.mean.tolist() == [1.0, 2.0, 3.0]


def test_a_mask_without_parts_beside_it_but_observation_is_that_alone():
    several = Dict((("action_mask", MultiBinary((5,))), ("a", Box((1,))), ("b", Discrete(4))))
    model = make_actor_critic(several, ACTIONS, key=jax.random.key(0))
    seen = {"action_mask": SEEN["action_mask"], "a": jnp.zeros(1), "b": jnp.array(2)}
    assert model(seen, ())[0].mode().tolist() == [0, 1]
    assert set(model.seen(seen)) == {"a", "b"} and model.seen({**SEEN}).shape == (3,)


class Own(logpi.AbstractPolicy):
    """A policy of one's own, which sees what `part` picks."""

    part: str | None = None

    def initial_memory(self):
        return ()

    def __call__(self, obs, memory):
        numbers = obs if self.part is None else obs[self.part]
        return Joint((Categorical(numbers[:2] * 0.0), Categorical(numbers[:3] * 0.0))), memory


@pytest.mark.parametrize("part", [None, "observation"])
def test_models_of_ones_own_are_masked(part):
    model = logpi.models.as_actor_critic(Own(part), OBS, ACTIONS, jax.random.key(0))
    assert isinstance(model, Masked) and model.whole == (part is not None)
    assert model(SEEN, ())[0].mode().tolist() == [0, 1]


def test_networks_of_other_libraries_are_masked():
    network = eqx.nn.MLP(3, 5, 8, 1, key=jax.random.key(0))
    model = logpi.models.as_actor_critic(network, OBS, ACTIONS, jax.random.key(0))
    assert model(SEEN, ())[0].mode().tolist() == [0, 1]
