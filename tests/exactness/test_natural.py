"""Natural gradients against closed forms, in float64; and faults of other codes, planted here, that these find."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions
import pytest

from logpi import spaces, TRPO
from logpi.distributions import as_distribution, Bernoulli, Categorical, Joint, masked, Normal
from logpi.distributions.support import all_events
from logpi.learners.natural import conjugate_gradients, divergences, fisher, trust_region
from logpi.learners.steps import reached_by
from logpi.models import make_actor_critic, Network, unroll
from logpi.parameters import trainable
from logpi.surrogates import weighted_mean
from tests.weights import filled

ROUNDING = 1e-12
RNG = np.random.default_rng(0)
FLAGS = np.array([True, False, True, True, True, False])
KINDS = {
    "categorical": Categorical,
    "joint": lambda x: Joint((Categorical(x[:2]), Categorical(x[2:]))),
    "coins": lambda x: Bernoulli(x[:3]),
    "masked": lambda x: masked(Categorical(x), jnp.asarray(FLAGS)),
    "masked joint": lambda x: masked(Joint((Categorical(x[:2]), Categorical(x[2:]))), jnp.asarray(FLAGS)),
    "masked coins": lambda x: masked(Bernoulli(x[:3]), jnp.asarray(FLAGS)),
    "NumPyro's": lambda x: as_distribution(numpyro.distributions.Categorical(probs=jax.nn.softmax(x))),
}


@pytest.fixture(autouse=True)
def double():
    """64-bit numbers for the time of a test."""
    with jax.enable_x64(True):
        yield


def rows(make, params):
    """Six rows of distributions, in two segments, whose logits depend on eight parameters in no simple way."""
    inputs = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 6, 8)))
    return jax.vmap(jax.vmap(make))(jnp.sin(inputs @ params) + inputs @ params**2)


def matrix(product, size):
    """The matrix of a function of vectors."""
    return np.asarray(jax.jit(jax.vmap(product))(jnp.eye(size)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_fisher_matrix_is_that_of_the_score(kind):
    """Whatever the events are: E[score score'], every event counted with its probability, rows by their weight."""
    policies, params = functools.partial(rows, KINDS[kind]), jnp.asarray(RNG.normal(size=8))
    weight = jnp.asarray([[1.0, 0.0, 0.3], [2.0, 1.0, 0.7]])
    events = all_events(KINDS[kind](jnp.zeros(6)))

    def log_probs(params):
        of_row = jax.vmap(lambda policy: jax.vmap(policy.log_prob)(events))
        return jax.vmap(of_row)(policies(params))

    logs, slopes = jax.jit(lambda x: (log_probs(x), jax.jacobian(log_probs)(x)))(params)
    p, scores = np.exp(logs), np.nan_to_num(np.asarray(slopes))
    wanted = np.einsum("st,ste,stei,stej->ij", weight, p, scores, scores) / np.sum(weight)
    found = jax.jit(lambda x: jax.vmap(fisher(policies, x, weight))(jnp.eye(8)))(params)
    np.testing.assert_allclose(found, wanted, rtol=ROUNDING, atol=ROUNDING * np.abs(wanted).max())


def normals(params):
    """One Gaussian of two entries."""
    return jax.tree.map(lambda x: x[None, None], Normal(params[:2], params[2:]))


ONE = jnp.ones((1, 1))
GAUSSIAN = np.array([0.4, -1.0, -0.3, 0.7])
EXACT_GAUSSIAN = np.diag([np.exp(0.6), np.exp(-1.4), 2.0, 2.0])  # 1 / sigma^2 of means, 2 of log deviations


def without_log_std(policies, params, weight):
    """Planted: the deviations are not among the variables."""
    return fisher(lambda x: policies(x.at[2:].set(jax.lax.stop_gradient(x[2:]))), params, weight)


def elsewhere(policies, params, weight):
    """Planted: the Hessian of the KL whose first distribution is another, as behind a normaliser that has moved on."""
    old = policies(params + 0.3)
    slope = jax.grad(lambda x: weighted_mean(divergences(old, policies(x)), weight))
    return lambda v: jax.jvp(slope, (params,), (v,))[1]


def test_the_fisher_matrix_of_a_gaussian():
    params = jnp.asarray(GAUSSIAN)
    np.testing.assert_allclose(matrix(fisher(normals, params, ONE), 4), EXACT_GAUSSIAN, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("planted", [without_log_std, elsewhere])
def test_a_wrong_fisher_matrix_is_found(planted):
    found = matrix(planted(normals, jnp.asarray(GAUSSIAN), ONE), 4)
    assert np.abs(found - EXACT_GAUSSIAN).max() > 0.1


def test_there_is_no_negative_curvature():
    """The Hessian of the KL has some, where the policy that acted is not quite the one that there is."""
    policies, weight = functools.partial(rows, Categorical), jnp.ones((2, 3))
    params = jnp.asarray(3 * RNG.normal(size=8))
    least = {f: np.linalg.eigvalsh(matrix(f(policies, params, weight), 8)).min() for f in (fisher, elsewhere)}
    assert least[fisher] > -ROUNDING and least[elsewhere] < -1e-3


class Bandit(eqx.Module):
    """Five arms, a logit each."""

    logits: jax.Array


REWARDS, LOGITS = RNG.normal(size=5), RNG.normal(size=5)


def arms(model):
    """The one row."""
    return jax.tree.map(lambda x: x[None, None], Categorical(model.logits))


def expected_reward(policies, rewards=REWARDS):
    """Exactly, and not by draws."""
    return jax.nn.softmax(policies.logits) @ jnp.asarray(rewards)


def climbed(radius=1e-6, scale=1.0, logits=LOGITS, rewards=REWARDS, **changes):
    """The change of the logits by one step, and what it came to."""
    how = {"damping": 0.0, "iterations": 10, "backtracks": 10, "accepts": TRPO(radius=radius).accepts} | changes
    model = Bandit(jnp.asarray(logits))
    after, step = trust_region(lambda p: scale * expected_reward(p, rewards), arms, model, ONE, radius=radius, **how)
    return after.logits - model.logits, step


def test_the_natural_gradient_of_a_bandit():
    """F = diag(p) - p p', and F^-1 g is the advantage, up to a number that moves no probability."""
    logits = jnp.asarray(LOGITS)
    p = np.asarray(jax.nn.softmax(logits))
    product = fisher(lambda x: arms(Bandit(x)), logits, ONE)
    np.testing.assert_allclose(matrix(product, 5), np.diag(p) - np.outer(p, p), rtol=0, atol=1e-15)
    gradient = jax.grad(lambda x: expected_reward(arms(Bandit(x)))[0, 0])(logits)
    x, left = conjugate_gradients(product, gradient, 10)
    assert np.ptp(np.asarray(x) - REWARDS) < ROUNDING and np.linalg.norm(left) < 1e-15


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_the_step_of_a_bandit(scale):
    """sqrt(2 radius / E[A^2]) A, however large rewards are: the residual is relative."""
    change, step = climbed(scale=scale)
    p = np.asarray(jax.nn.softmax(jnp.asarray(LOGITS)))
    advantage = REWARDS - p @ REWARDS
    wanted = float(step.share) * np.sqrt(2e-6 / (p @ advantage**2)) * advantage
    assert step.share == 1 and np.ptp(change - wanted) < ROUNDING * np.ptp(wanted)
    assert step.kl == pytest.approx(1e-6, rel=1e-2) and step.residual < ROUNDING
    before, after = (expected_reward(arms(Bandit(x)))[0, 0] for x in (jnp.asarray(LOGITS), LOGITS + change))
    assert float(step.gain) == pytest.approx(scale * float(after - before), rel=1e-6) and step.gain > 0


def test_a_step_that_goes_too_far_is_shortened():
    """To what the radius allows: where the good arm is rare, a tenth of a nat by second order is far more.

    Planted: a line search that looks at the surrogate alone.
    """
    rare, good, shares = np.array([0.0, 0.0, 0.0, 0.0, -6.0]), np.eye(5)[4], {}
    for name, accepts in {"both": TRPO(radius=0.1).accepts, "surrogate alone": lambda gain, kl: gain > 0}.items():
        _, step = climbed(0.1, logits=rare, rewards=good, accepts=accepts)
        shares[name] = float(step.share)
        assert (step.kl <= 0.15) == (name == "both") and step.gain > 0
    assert min(abs(shares["both"] - 0.8 ** np.arange(1, 11))) < ROUNDING and shares["surrogate alone"] == 1
    change, step = climbed(accepts=lambda gain, kl: jnp.zeros((), bool))
    assert not np.any(change) and step.share == step.kl == step.gain == 0


def test_without_a_gradient_nothing_moves():
    change, step = climbed(scale=0.0)
    assert not np.any(change) and step.share == step.residual == step.gradient_norm == 0


def test_the_residual_is_that_of_the_equation():
    """Relative, and of the solution that is given, however few the iterations."""
    a = RNG.normal(size=(30, 30))
    a, b = a @ a.T + 1e-3 * np.eye(30), RNG.normal(size=30)
    sizes = []
    for iterations in (0, 3, 30, 300):
        x, left = conjugate_gradients(lambda v: jnp.asarray(a) @ v, jnp.asarray(b), iterations)
        np.testing.assert_allclose(left, b - a @ x, atol=1e-9)
        sizes.append(float(np.linalg.norm(left) / np.linalg.norm(b)))
    assert sizes[0] == 1 and sizes[-1] < 1e-9 and sizes[-1] < sizes[1]


@pytest.mark.parametrize("memory", ["none", "gru", "lstm"])
def test_what_the_policy_depends_on_is_found(memory):
    """All but the critic's own layers, which are none of the encoder's and the memory's."""
    network = Network(memory=memory, normalize_observations=True)
    model = filled(make_actor_critic, spaces.Box((3,)), spaces.Box((2,)), network)
    obs, start = jnp.ones((2, 4, 3)), jnp.zeros((2, 4), bool)
    at_first = jax.tree.map(lambda m: jnp.broadcast_to(m, (2, *m.shape)), model.initial_memory())
    kept = reached_by(lambda model: unroll(model, obs, start, at_first)[0].policy, model)
    learned, left = ({jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)}
                     for tree in (eqx.filter(model, trainable(model)), eqx.filter(kept, trainable(kept))))  # fmt: skip
    assert left < learned and learned - left == {path for path in learned if ".critic" in path}
