"""Closed forms of what off-policy algorithms climb and fit, in double precision; and what a wrong line would show."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from logpi.algorithms import DDPG, SAC, TD3
from logpi.algorithms.off_policy import Batch, critics_objective, Networks
from logpi.algorithms.sac import usual_entropy
from logpi.algorithms.td3 import actor_objective
from logpi.distributions import (
    Bernoulli,
    Categorical,
    expected,
    Joint,
    masked,
    nearest_uniform,
    Normal,
    Point,
    Product,
    TanhNormal,
)
from logpi.distributions.threefry import split
from logpi.distributions.traits import Branches, Traits, traits
from logpi.experience import Transitions
from logpi.learners import gradient
from logpi.models import (
    AbstractActionValues,
    AbstractActorCritic,
    AbstractPolicy,
    make_ensemble,
    Network,
    WithoutCritic,
)
from logpi.models.dense import MLP
from logpi.models.initializers import orthogonal
from logpi.spaces import Box, Discrete
from logpi.surrogates import quantile_error

KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


# ---- actions that are numbers: a linear system with a quadratic cost


class System:
    """s' = A s + B a, reward -(s'Qs + a'Ra), a = K s: values and the gradient in K are known."""

    def __init__(self, seed: int, states: int = 3, actions: int = 2, gamma: float = 0.95):
        rng = np.random.default_rng(seed)
        self.gamma = gamma
        self.A, self.B = 0.3 * rng.normal(size=(states, states)), rng.normal(size=(states, actions))
        self.Q, self.R, self.K = np.eye(states), 0.5 * np.eye(actions), 0.1 * rng.normal(size=(actions, states))
        self.first = np.diag(rng.uniform(0.5, 2, states))  # E s s' at the start
        closed, kept = self.A + self.B @ self.K, self.Q + self.K.T @ self.R @ self.K
        self.P = self._sum(lambda P: gamma * closed.T @ P @ closed, kept)
        self.visited = self._sum(lambda M: gamma * closed @ M @ closed.T, self.first)  # sum of gamma^t E s s'
        self.curvature = self.R + gamma * self.B.T @ self.P @ self.B

    def _sum(self, step: Any, first: np.ndarray) -> np.ndarray:
        total, term = first, first
        for _ in range(3_000):
            term = step(term)
            total = total + term
        return total

    @property
    def gradient(self) -> np.ndarray:
        """Of -tr(P S) in K (Fazel et al. 2018, arXiv:1801.05039, lemma 1)."""
        return -2 * (self.curvature @ self.K + self.gamma * self.B.T @ self.P @ self.A) @ self.visited


class Quadratic(AbstractActionValues):
    """The exact action values of a system, by each of so many critics, each off by a constant of its own."""

    of: System = eqx.field(static=True)
    offsets: Array

    def __call__(self, obs: Array, action: Array, key: Array | None = None) -> Array:
        s, a = obs, action
        following = self.of.A @ s + self.of.B @ a
        return self.offsets - (
            s @ self.of.Q @ s + a @ self.of.R @ a + self.of.gamma * following @ self.of.P @ following
        )


class Linear(AbstractPolicy):
    """a = K s, with certainty."""

    gain: Array

    def initial_memory(self) -> tuple[()]:
        return ()

    def __call__(self, obs: Array, memory: Any) -> tuple[Point, Any]:
        return Point(self.gain @ obs), memory


def batch_of(obs: Any, weight: Any, action: Any = None, keys: Any = None) -> Batch:
    n = jax.tree.leaves(obs)[0].shape[0]
    zero, no = jnp.zeros(n), jnp.zeros(n, bool)
    action = jnp.zeros((n, 1)) if action is None else action
    rows = Transitions(obs, action, zero, zero, no, obs, jnp.asarray(weight))
    return Batch(rows, zero, jax.random.split(KEY, n) if keys is None else keys)


@pytest.mark.parametrize("seed", range(3))
def test_the_deterministic_policy_gradient_is_the_gradient_of_the_return(seed):
    """Silver et al. 2014, theorem 1: rows weighed as the policy visits them, and exact values."""
    system = System(seed)
    root = np.linalg.cholesky(system.visited) * np.sqrt(3)
    states = jnp.asarray(np.concatenate([root.T, -root.T]))  # of which the mean of s s' is what is visited
    critics, actor = Quadratic(system, jnp.asarray([0.0, -9.0])), WithoutCritic(Linear(jnp.asarray(system.K)))
    found, _ = gradient(lambda actor, b: actor_objective(actor, critics, b), actor, batch_of(states, np.ones(6)))
    np.testing.assert_allclose(found.policy.gain, system.gradient, rtol=1e-11, atol=1e-11)


class Nodes(Normal):
    """A Gaussian of two numbers whose draws are the nodes of a cubature: what it expects of a quadratic is exact."""


@traits.register
def _(dist: Nodes) -> Traits:
    at = jnp.asarray([[x, y] for x in (-1.0, 1.0) for y in (-1.0, 1.0)])
    events = jax.vmap(lambda z: dist.mean + jnp.exp(dist.log_std) * z)(at)

    def branches(_):
        return Branches(events, jax.vmap(dist.log_prob)(events), jnp.full(4, 0.25))

    return Traits("Nodes", shape=dist.mean.shape, branches=branches, not_reparametrised=list)


class Spread(AbstractPolicy):
    """A Gaussian around K s."""

    gain: Array
    log_std: Array

    def initial_memory(self) -> tuple[()]:
        return ()

    def __call__(self, obs: Array, memory: Any) -> tuple[Nodes, Any]:
        return Nodes(self.gain @ obs, self.log_std), memory


@pytest.mark.parametrize("seed", range(3))
def test_the_soft_actor_stands_still_at_the_spread_of_a_quadratic_value(seed):
    """E[Q - alpha log pi] has its only stationary spread at sigma^2 = alpha / (2 (R + gamma B'PB)) of each number."""
    system, alpha = System(seed), jnp.asarray(0.3)
    log_std = 0.5 * np.log(0.3 / (2 * np.diag(system.curvature)))
    critics, batch = Quadratic(system, jnp.zeros(2)), batch_of(jnp.asarray(np.eye(3)), np.ones(3))

    def slope(by):
        actor = WithoutCritic(Spread(jnp.asarray(system.K), jnp.asarray(log_std + by)))
        found, record = gradient(lambda a, b: SAC().actor_objective(a, critics, alpha, b), actor, batch)
        return np.asarray(found.policy.log_std), record

    still, record = slope(0.0)
    assert np.abs(still).max() < 1e-12
    assert (slope(0.1)[0] < -1e-3).all() and (slope(-0.1)[0] > 1e-3).all()
    assert record["entropy"] == pytest.approx(np.sum(log_std + 0.5 * np.log(2 * np.pi * np.e)), abs=1e-12)


# ---- actions that are choices: a table


class Tables(AbstractActionValues):
    """Action values by state and choice, one table for each critic."""

    values: Array  # (critics, states, choices)

    def __call__(self, obs: Array, action: Array, key: Array | None = None) -> Array:
        return self.values[:, obs, action]


class Softmax(AbstractPolicy):
    """Logits by state, of which some choices may be blocked."""

    logits: Array
    allowed: Array

    def initial_memory(self) -> tuple[()]:
        return ()

    def __call__(self, obs: Array, memory: Any) -> tuple[Categorical, Any]:
        return masked(Categorical(self.logits[obs]), self.allowed[obs]), memory


STATES, CHOICES, GAMMA, ALPHA = 4, 3, 0.9, 0.4


class Table:
    """A decision process by tables, its soft values by iteration: no line of the library is used."""

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        self.reward = rng.normal(size=(STATES, CHOICES))
        self.following = rng.integers(0, STATES, (STATES, CHOICES))  # without chance, so that one row is all
        self.ends = rng.random((STATES, CHOICES)) < 0.2
        self.allowed = rng.random((STATES, CHOICES)) < 0.7
        self.allowed[np.arange(STATES), rng.integers(0, CHOICES, STATES)] = True
        self.q = np.zeros((STATES, CHOICES))
        for _ in range(2_000):
            exp = np.where(self.allowed, np.exp(self.q / ALPHA), 0.0)
            value = ALPHA * np.log(exp.sum(1))
            self.q = self.reward + GAMMA * np.where(self.ends, 0.0, value[self.following])

    def rows(self) -> Transitions:
        state, action = (jnp.asarray(x) for x in np.divmod(np.arange(STATES * CHOICES), CHOICES))
        flat = [jnp.asarray(x.reshape(-1)) for x in (self.reward, self.ends, self.following)]
        ones = jnp.ones(STATES * CHOICES)
        return Transitions(state, action, 0 * ones, flat[0], flat[1], flat[2], ones)

    def actor(self, logits: Any) -> AbstractActorCritic:
        return WithoutCritic(Softmax(jnp.asarray(logits), jnp.asarray(self.allowed)))


@pytest.mark.parametrize("seed", range(3))
def test_soft_value_iteration_is_where_discrete_critics_and_actor_stand_still(seed):
    """Haarnoja et al. 2018, lemma 1 and 2, with masks: pi = exp(Q / alpha), normalised over what is allowed."""
    table = Table(seed)
    sac, alpha, actor = SAC(gamma=GAMMA), jnp.asarray(ALPHA), table.actor(table.q / ALPHA)
    critics = Tables(jnp.asarray(np.stack([table.q, table.q + np.random.default_rng(9).uniform(1, 2, table.q.shape)])))
    target = sac.target(actor, critics, alpha, table.rows(), KEY, KEY)  # by the least of both critics
    np.testing.assert_allclose(target, table.q.reshape(-1), atol=1e-12)
    batch = Batch(table.rows(), target, jax.random.split(KEY, target.size))
    fitted, record = gradient(lambda c, b: critics_objective(actor, c, b), Tables(critics.values[:1]), batch)
    assert np.abs(fitted.values).max() < 1e-12 and record["value_error"] < 1e-20
    climbed, record = gradient(lambda a, b: sac.actor_objective(a, critics, alpha, b), actor, batch)
    assert np.abs(climbed.policy.logits).max() < 1e-12
    other = table.actor(np.random.default_rng(seed).normal(size=table.q.shape))
    climbed, _ = gradient(lambda a, b: sac.actor_objective(a, critics, alpha, b), other, batch)
    assert np.abs(climbed.policy.logits).max() > 1e-3 and (climbed.policy.logits[~table.allowed] == 0).all()


def test_a_time_limit_ends_no_value_and_rows_that_only_reset_count_for_nothing():
    table = Table(0)
    actor, critics = table.actor(table.q), Tables(jnp.asarray(table.q[None]))
    rows = eqx.tree_at(lambda r: r.terminated, table.rows(), jnp.zeros(STATES * CHOICES, bool))
    through = SAC(gamma=GAMMA, critics=1).target(actor, critics, jnp.asarray(ALPHA), rows, KEY, KEY)
    ended = SAC(gamma=GAMMA, critics=1).target(actor, critics, jnp.asarray(ALPHA), table.rows(), KEY, KEY)
    differs = np.asarray(through != ended).reshape(table.ends.shape)
    assert (differs == table.ends).all() and table.ends.any()
    half = eqx.tree_at(lambda b: b.rows.weight, Batch(rows, through, jax.random.split(KEY, 12)), jnp.arange(12.0) % 2)
    off = eqx.tree_at(lambda b: b.target, half, jnp.where(jnp.arange(12) % 2 == 0, 99.0, through))
    for batch in (half, off):
        np.testing.assert_array_equal(
            *(gradient(lambda c, b: critics_objective(actor, c, b), critics, b)[0].values for b in (half, batch))
        )


def test_the_target_is_of_the_subset_and_the_actor_climbs_the_mean():
    """REDQ: each of many targets is the least of some two of four critics, and each two come up."""
    values = np.arange(4.0)[:, None, None] * np.ones((4, STATES, CHOICES))
    table = Table(0)
    actor, critics, alpha = table.actor(np.zeros((STATES, CHOICES))), Tables(jnp.asarray(values)), jnp.asarray(0.0)
    redq = SAC(gamma=1.0, critics=4, subset=2)
    rows = eqx.tree_at(lambda r: (r.terminated, r.reward), table.rows(), (jnp.zeros(12, bool), jnp.zeros(12)))
    keys = jax.random.split(KEY, 300)
    least = np.asarray(jax.vmap(lambda k: redq.target(actor, critics, alpha, rows, k, KEY)[0])(keys))
    # Of 6 pairs 3 have the least 0, 2 have 1, and one has 2. False-alarm rate: 1e-6 for each (z = 4.9).
    for value, share in ((0, 3 / 6), (1, 2 / 6), (2, 1 / 6)):
        assert abs(np.mean(least == value) - share) < 4.9 * np.sqrt(share * (1 - share) / 300)
    batch = Batch(rows, jnp.zeros(12), jax.random.split(KEY, 12))
    climbed = jnp.mean(redq.actor_objective(actor, critics, alpha, batch)[0])
    assert climbed == pytest.approx(1.5) and jnp.mean(
        SAC(critics=4).actor_objective(actor, critics, alpha, batch)[0]
    ) == pytest.approx(0.0)


@pytest.mark.parametrize(("dropped", "kept"), [(0, 10), (1, 8), (4, 2)])
def test_the_target_is_of_the_lower_quantiles_of_all_critics_and_the_actor_climbs_the_mean(dropped, kept):
    """Kuznetsov et al. 2020: quantiles of all in one row, the greatest left out. Over choices, by their rank."""
    table = Table(1)
    values = np.random.default_rng(3).normal(size=(2, STATES, CHOICES, 5)) * 3
    actor, critics, alpha = table.actor(table.q), Tables(jnp.asarray(values)), jnp.asarray(ALPHA)
    tqc = SAC(gamma=GAMMA, quantiles=5, quantiles_dropped=dropped)
    batch = Batch(table.rows(), tqc.target(actor, critics, alpha, table.rows(), KEY, KEY), jax.random.split(KEY, 12))
    exp = np.where(table.allowed, np.exp(table.q), 0.0)
    chances = exp / exp.sum(1, keepdims=True)
    entropy = -np.sum(chances * np.log(np.where(chances > 0, chances, 1.0)), 1)
    pooled = np.sort(np.moveaxis(values, 0, 2).reshape(STATES, CHOICES, 10), -1)[..., :kept]
    soft = np.einsum("sc,sck->sk", chances, pooled) + ALPHA * entropy[:, None]
    by_hand = table.reward[..., None] + GAMMA * np.where(table.ends[..., None], 0.0, soft[table.following])
    np.testing.assert_allclose(batch.target, by_hand.reshape(12, kept), atol=1e-12)
    climbed = np.asarray(tqc.actor_objective(actor, critics, alpha, batch)[0]).reshape(STATES, CHOICES)
    worth = np.einsum("sc,sc->s", chances, values.mean((0, 3))) + ALPHA * entropy
    np.testing.assert_allclose(climbed, np.repeat(worth[:, None], CHOICES, 1), atol=1e-12)
    error, record = critics_objective(actor, critics, batch)
    one = [quantile_error(jnp.asarray(v.reshape(12, 5)), batch.target) for v in values]
    np.testing.assert_allclose(error, -(one[0] + one[1]), atol=1e-12)
    np.testing.assert_allclose(record["action_value"], values.mean((0, 3)).reshape(-1), atol=1e-12)


def test_dropout_is_right_on_average_and_another_for_each_row_and_critic():
    """Without activation a layer is linear, so its mean over what is left out is that of all units."""
    net = orthogonal(MLP(3, 2, (64,), lambda x: x, dropout=0.3), KEY)
    x, keys = jnp.asarray([1.0, -2.0, 0.5]), jax.random.split(KEY, 4_000)
    drawn = np.asarray(jax.vmap(lambda k: net(x, k))(keys))
    away = (drawn.mean(0) - np.asarray(net(x))) / (drawn.std(0) / np.sqrt(len(drawn)))
    assert np.abs(away).max() < 5 and drawn.std(0).min() > 0.01  # false-alarm rate 1e-6
    # Of the units themselves: the share, and what is left.
    weights = (jnp.zeros((3, 64)), jnp.ones(64), jnp.eye(64), jnp.zeros(64))
    units = MLP(3, 64, (64,), lambda x: x, dropout=0.3)
    where = lambda n: (n.layers[0].weight, n.layers[0].bias, n.layers[1].weight, n.layers[1].bias)  # noqa: E731
    kept = np.asarray(jax.vmap(lambda k: eqx.tree_at(where, units, weights)(x, k))(keys[:500]))
    assert set(np.unique(np.round(kept, 6))) == {0.0, np.round(1 / 0.7, 6)}
    assert abs(np.mean(kept == 0) - 0.3) < 5 * np.sqrt(0.21 / kept.size)

    sac = SAC(critics=3, dropout=0.5, layer_norm=True)
    critics = make_ensemble(Box((2,)), Discrete(3), Network(width=16), 3, key=KEY, **sac.critics_with)
    alike = jax.tree.map(lambda x: jnp.broadcast_to(x[:1], x.shape), critics)
    said = np.asarray(jax.vmap(lambda k: alike(jnp.ones(2), jnp.asarray(1), k))(keys[:8]))
    assert len(np.unique(said)) == 24 and len(np.unique(alike(jnp.ones(2), jnp.asarray(1)))) == 1


class Uniform(AbstractPolicy):
    """An even choice, whatever is seen: nothing but what critics leave out is by the key."""

    number: int = eqx.field(static=True)

    def initial_memory(self) -> tuple[()]:
        return ()

    def __call__(self, obs: Array, memory: Any) -> tuple[Categorical, Any]:
        return Categorical(jnp.zeros(self.number)), memory


def test_what_is_left_out_counts_wherever_critics_are_asked():
    """In the target, in what the actor climbs and in what the critics are fitted by: by the key of each row."""
    sac, rows = SAC(critics=2, dropout=0.5), Table(0).rows()
    seen = tuple(jnp.repeat(x[:, None] + 1.0, 2, 1) for x in (rows.obs, rows.next_obs))
    rows = eqx.tree_at(lambda r: (r.obs, r.next_obs, r.terminated), rows, (*seen, jnp.zeros(12, bool)))
    critics = make_ensemble(Box((2,)), Discrete(CHOICES), Network(width=16), 2, key=KEY, **sac.critics_with)
    actor, alpha, keys = WithoutCritic(Uniform(CHOICES)), jnp.asarray(ALPHA), jax.random.split(KEY, 2)
    batches = [Batch(rows, jnp.zeros(12), jax.random.split(key, 12)) for key in keys]
    for one, other in (
        [sac.target(actor, critics, alpha, rows, KEY, key) for key in keys],
        [sac.actor_objective(actor, critics, alpha, batch)[0] for batch in batches],
        [critics_objective(actor, critics, batch)[0] for batch in batches],
    ):
        assert np.all(np.asarray(one) != np.asarray(other))


@pytest.mark.parametrize(("quantiles", "left"), [(2, 2), (12, 22), (25, 46), (50, 92)])
def test_of_two_critics_so_many_quantiles_are_usually_left(quantiles, left):
    assert SAC(quantiles=quantiles).lower(jnp.zeros((2, quantiles))).size == left


def test_layer_norm_forgets_the_scale_of_a_layer():
    net = orthogonal(MLP(3, 2, (32, 32), jnp.tanh, layer_norm=True), KEY)
    larger = eqx.tree_at(lambda n: n.layers[1].weight, net, 50 * net.layers[1].weight)
    x = jnp.asarray([1.0, -2.0, 0.5])
    np.testing.assert_allclose(net(x), larger(x), rtol=1e-4)
    plain = eqx.tree_at(lambda n: n.norms, net, (None, None), is_leaf=lambda x: x is None)
    assert np.abs(np.asarray(plain(x) - net(x))).max() > 1e-2


# ---- expectations over actions of any kind


def of_parts(p) -> Product:
    return Product({
        "amount": TanhNormal(p[:2], p[2:4]), "many": (Joint((Categorical(p[4:7]), Categorical(p[1:4]))),),
        "one": Bernoulli(p[5:7]),
    })  # fmt: skip


def test_an_expectation_over_parts_lists_choices_and_draws_numbers():
    p = jnp.asarray(np.random.default_rng(1).normal(size=7))
    weights = jnp.asarray(np.random.default_rng(2).normal(size=(3, 3, 2, 2)))

    def f(event, log_prob):
        chosen = (*event["many"][0], *event["one"].astype(int))
        return weights[chosen] * jnp.sum(jnp.sin(event["amount"])) + 0.3 * log_prob

    def by_hand(p):
        amount, log_prob = TanhNormal(p[:2], p[2:4]).sample_and_log_prob(amount_key)
        total = 0.0
        for a in range(3):
            for b in range(3):
                for c, d in ((0, 0), (0, 1), (1, 0), (1, 1)):
                    q = jax.nn.log_softmax(p[4:7])[a] + jax.nn.log_softmax(p[1:4])[b]
                    q += sum(jax.nn.log_sigmoid(x if on else -x) for x, on in zip(p[5:7], (c, d), strict=True))
                    event = {"amount": amount, "many": (jnp.asarray([a, b]),), "one": jnp.asarray([c, d])}
                    total += jnp.exp(q) * f(event, log_prob + q)
        return total

    amount_key = split(KEY, 3)[0]
    for transform in (lambda g: g, jax.grad):
        found = transform(lambda p: expected(of_parts(p), f, KEY))(p)
        np.testing.assert_allclose(found, transform(by_hand)(p), rtol=1e-12, atol=1e-12)


def test_a_blocked_choice_is_not_looked_at():
    """Not even where its value is no number; and its logit has no derivative."""

    def value(logits):
        policy = masked(Categorical(logits), jnp.asarray([True, False, True]))
        return expected(policy, lambda a, log_prob: jnp.asarray([1.0, jnp.nan, 2.0])[a] - log_prob, KEY)

    logits = jnp.asarray([0.3, 5.0, -0.2])
    p = jax.nn.softmax(logits[jnp.asarray([0, 2])])
    assert value(logits) == pytest.approx(float(p @ (jnp.asarray([1.0, 2.0]) - jnp.log(p))), abs=1e-12)
    slopes = jax.grad(value)(logits)
    assert slopes[1] == 0 and np.isfinite(slopes).all() and np.abs(slopes[0]) > 1e-3


def test_what_the_entropy_is_steered_to_counts_numbers_and_allowed_choices():
    two = masked(Categorical(jnp.asarray([9.0, 0.0, 1.0])), jnp.asarray([True, False, True]))
    assert usual_entropy(two) == pytest.approx(0.5 * np.log(2))
    p = jnp.zeros(7)
    assert usual_entropy(of_parts(p)) == pytest.approx(-2 + 0.5 * (2 * np.log(3) + 2 * np.log(2)))


def test_the_nearest_to_uniform_is_uniform_over_choices_and_close_to_it_over_numbers():
    even = nearest_uniform(of_parts(jnp.asarray(np.random.default_rng(1).normal(size=7))))
    assert even.parts["one"].entropy() + even.parts["many"][0].entropy() == pytest.approx(2 * np.log(2) + 2 * np.log(3))
    per_number = even.parts["amount"].entropy() / 2
    assert np.log(2) - 0.02 < per_number < np.log(2)
    for log_std in (-0.3, 0.2):  # no other spread is likelier for numbers that are spread evenly
        x = jnp.linspace(-1, 1, 20_003)[1:-1, None]
        likelihoods = [
            float(jnp.mean(jax.vmap(TanhNormal(jnp.zeros(1), jnp.full(1, s)).log_prob)(x)))
            for s in (float(even.parts["amount"].log_std[0]), float(even.parts["amount"].log_std[0]) + log_std)
        ]
        assert likelihoods[0] > likelihoods[1]


# ---- the target of deterministic policies


class Bowl(AbstractActionValues):
    """-(a - 0.2)^2 and what is greater by 1."""

    def __call__(self, obs: Array, action: Array, key: Array | None = None) -> Array:
        value = -jnp.sum((action - 0.2) ** 2)
        return jnp.stack([value, value + 1.0])


def test_the_smoothed_target_is_that_of_clipped_noise():
    """Against numerical integration over the noise: Fujimoto et al. 2018, eq. 14. False-alarm rate 1e-6 (z = 4.9)."""
    n, gain = 20_000, jnp.asarray([[0.5]])
    obs = jnp.ones((n, 1))
    targets = Networks(WithoutCritic(Linear(gain)), Bowl())
    rows = eqx.tree_at(lambda r: r.reward, batch_of(obs, np.ones(n)).rows, jnp.full(n, 0.7))
    keys = jax.random.split(KEY, n)
    found = np.asarray(TD3(gamma=0.9, smoothing=0.3, smoothing_clip=0.4).target(targets, rows, keys))
    noise = np.clip(0.3 * np.random.default_rng(0).normal(size=2_000_000), -0.4, 0.4)
    values = 0.7 + 0.9 * -((np.clip(0.5 + noise, -1, 1) - 0.2) ** 2)
    error = found.std() / np.sqrt(n) + values.std() / np.sqrt(noise.size)
    assert abs(found.mean() - values.mean()) < 4.9 * error
    plain = DDPG(gamma=0.9).target(targets, rows, keys)
    np.testing.assert_allclose(plain, 0.7 + 0.9 * -(0.3**2), rtol=1e-12)
