"""What audits missed, or blamed on correct code, until a review: each was a defect once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import logpi
from logpi import audit, InputError, spaces
from logpi.audit.losses.direction_checks import first_token_right, pass_rates
from logpi.audit.losses.frameworks import _is_derivative
from logpi.audit.losses.sequences import draw
from logpi.audit.problems import default_problems, GaussianBandit, small_lqr, TabularMDP
from logpi.audit.programs.reference import reference
from logpi.audit.runs.audit import _one_sided
from logpi.distributions import Bernoulli
from logpi.learners.optimisers import AbstractOptimiser
from logpi.models import log_probs, unroll
from logpi.parameters import exact_gradient
from logpi.surrogates import standardise

KEY = jax.random.key(0)
SQUARE = logpi.expectation(jnp.square, of=lambda p: p, estimator=logpi.LAX(jnp.square))
FEW: Any = [p for p in default_problems() if p.name in ("bandit", "three states")]


class Down(AbstractOptimiser):
    """The sign of a descent, which Optax has by itself."""

    def init(self, params):
        return ()

    def update(self, gradient, state, params, progress):
        return jax.tree.map(lambda g: -1e-3 * g, gradient), state


def test_a_step_downhill_is_found() -> None:
    report = audit.objective(logpi.REINFORCE(optimiser=Down()), FEW)
    assert [finding.name for finding in report.findings] == ["uphill step"]


class Lazy(logpi.algorithms.base.AbstractSingleStep):
    """Learns nothing: its objective does not depend on the policy."""

    optimiser: AbstractOptimiser = logpi.Adam()
    credit: logpi.credit.AbstractCredit = logpi.MonteCarlo()
    advantages: logpi.advantages.AbstractAdvantages = logpi.advantages.Unchanged()
    value_coef: float = 0.5
    segment_length: int | None = eqx.field(static=True, default=None)

    def objective(self, model, batch):
        nothing = jnp.zeros_like(batch.log_prob)
        return nothing, dict.fromkeys(("entropy", "kl", "surrogate", "value_error"), nothing)


def test_an_update_that_goes_nowhere_does_not_pass() -> None:
    assert "uphill" in {finding.name for finding in audit.objective(Lazy(), FEW).findings}


def score(model, batch):
    """The plain policy gradient."""
    output, _ = unroll(model, batch.obs, batch.start, batch.memory)
    return log_probs(output.policy, batch.action) * jax.lax.stop_gradient(batch.advantage)


def test_a_credit_is_given_the_discount_of_the_default_problems() -> None:
    assert audit.objective(score, credit=logpi.GAE(lam=1.0)).passed


def only_gaussian(model, batch):
    output, _ = unroll(model, batch.obs, batch.start, batch.memory)
    log_prob = -0.5 * ((batch.action - output.policy.mean) / jnp.exp(output.policy.log_std)) ** 2
    whole = jnp.sum(log_prob - output.policy.log_std, tuple(range(2, log_prob.ndim)))
    return whole * jax.lax.stop_gradient(batch.advantage)


def test_a_function_for_one_kind_of_action_is_audited_on_that() -> None:
    report = audit.objective(only_gaussian, small_lqr())
    assert report.passed and any("on a bandit of choices AttributeError" in note for note in report.notes)


def test_whatever_an_objective_raises_is_told() -> None:
    def refuses(model, batch):
        raise NotImplementedError("not yet")

    with pytest.raises(InputError, match=r"breaks down on the problem .* \(NotImplementedError: not yet\)"):
        audit.objective(refuses, FEW)


def test_a_problem_that_only_its_discount_keeps_finite_is_audited() -> None:
    endless = dataclasses.replace(default_problems()[0], limit="truncates", end=np.zeros((3, 2)), gamma=0.9)
    assert isinstance(endless, TabularMDP) and audit.objective(logpi.PPO(num_epochs=1), endless).checks


@pytest.mark.parametrize("log_std", [-10.0, -5.0, -4.0, -3.0, -2.2, -0.4, 2.0])
@pytest.mark.parametrize("mean", [0.3, 1.0, -3.0])
def test_a_narrow_gaussian_keeps_its_probability(mean: float, log_std: float) -> None:
    with jax.enable_x64(True):
        assert abs(GaussianBandit(mean=mean, log_std=log_std).streams().chance.sum() - 1) < 1e-10


@pytest.mark.parametrize("freedom", [1, 3, 31])
def test_few_numbers_need_a_larger_distance(freedom: int) -> None:
    """Under the null, by Student's t: one false alarm in ten million whatever the sample."""
    from scipy.stats import t

    check = _one_sided("x", -1.0, 1e-9, freedom, "", "")
    assert abs(t.sf(check.threshold / 1e-9, freedom) / 5e-8 - 1) < 0.02 or check.threshold == 1e-6


class Ends(gymnasium.Env):
    """Ends by chance; `at_limit` says what ends it after ten steps."""

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Tuple((gymnasium.spaces.Discrete(2), gymnasium.spaces.Box(-1.0, 1.0, (3,))))

    def __init__(self, by_both: bool = False):
        self.by_both = by_both

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.time += 1
        over = bool(self.np_random.random() < 0.15)
        return np.full(1, self.time / 20, np.float32), 1.0, over, (not over) and self.time >= 10, {}


def test_a_task_may_end_at_its_limit_by_chance() -> None:
    class Choices(Ends):
        action_space = gymnasium.spaces.Discrete(2)

    report = audit.env(Choices, time_limit=10)
    assert report.passed, report


@pytest.mark.parametrize(
    ("mine", "theirs", "right"),
    [
        (spaces.MultiDiscrete((2, 3)), spaces.MultiDiscrete((3, 2)), False),
        (spaces.Dict((("a", spaces.Box((1,))),)), spaces.Dict((("b", spaces.Box((1,))),)), False),
        (spaces.Box((2, 3)), spaces.Box((3, 2)), False),
        (spaces.Tuple((spaces.Discrete(2),)), spaces.Tuple((spaces.Discrete(2), spaces.Discrete(1))), False),
        (spaces.Box((2,), -1.0, 1.0), spaces.Box((2,), -9.0, 9.0, "float64"), True),
        (spaces.Discrete(3, 1), spaces.Discrete(3), True),
        (spaces.Dict((("a", spaces.Box((1,))),)), spaces.Dict((("a", spaces.Box((1,), 0.0)),)), True),
    ],
)
def test_spaces_fit_by_their_parts(mine: Any, theirs: Any, right: bool) -> None:
    assert spaces.fits(mine, theirs) is right


@pytest.mark.parametrize(("rows", "value"), [(64, 0.3), (7, 100.1), (1000, 17.3), (33, -1e6)])
def test_equal_rows_have_no_advantage(rows: int, value: float) -> None:
    """Rounding over rounding used to make a whole standard deviation of it."""
    weight = jnp.ones(rows).at[0].set(0.0)
    x = jnp.full(rows, value, jnp.float32).at[0].set(5.0)
    np.testing.assert_array_equal(standardise(x, weight)[1:], 0.0)


WRONG: dict[str, Any] = {
    "gain has the shape": lambda: dataclasses.replace(small_lqr(), gain=np.ones((7, 7))),
    "reward is 'binry'": lambda: draw(jax.random.key(0), "binry"),
    "rates is 1": lambda: pass_rates(0.5, 1.0),
    "right is 1": lambda: first_token_right(1.0),
}  # fmt: skip


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_numbers_of_problems_are_named(sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        WRONG[sentence]()


def test_a_vector_environment_of_ones_own_is_evaluated() -> None:
    four = gymnasium.make_vec(
        "CartPole-v1", num_envs=4, vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP},
    )  # fmt: skip
    run = logpi.train(four, steps=64, num_envs=4, rollout_length=8)
    assert run.evaluate(episodes=6).returns.shape == (1, 6)


COUNTS = {
    "replicates is 1000.0": lambda: audit.program(lambda p, key: p, 1.0, KEY, replicates=1e3),
    "intervals is 30.5": lambda: audit.program(lambda p, key: p, 1.0, KEY, intervals=30.5),
    "samples is 1000.0": lambda: audit.policy(Bernoulli(jnp.zeros(())), KEY, samples=1e3),
    "steps is 10.0": lambda: audit.env("CartPole-v1", steps=10.0),
    "seed is 1.0": lambda: audit.env("CartPole-v1", seed=1.0),
    "time_limit is 5.0": lambda: audit.env("CartPole-v1", time_limit=5.0),
    "workers is 2.0": lambda: logpi.host(abs, workers=2.0),
    "steps is 3.0": lambda: logpi.tune(SQUARE, 1.0, KEY, steps=3.0),
    "replicates is 4.0": lambda: logpi.tune(SQUARE, 1.0, KEY, replicates=4.0),
}  # fmt: skip


@pytest.fixture
def as_users_have_it() -> Iterator[None]:
    """Without the run-time type checks of the tests, which would speak first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize("sentence", COUNTS)
def test_counts_are_whole_numbers(sentence: str) -> None:
    with pytest.raises(InputError, match=sentence + ", but it must be a whole number"):
        COUNTS[sentence]()


def test_a_gradient_that_can_be_called_is_no_j() -> None:
    """Built as the parameters are, a model of Equinox's holds the numbers of a gradient."""
    line = eqx.nn.Linear(1, 1, key=KEY)
    exact = jax.tree.map(lambda w: 2 * w, line)
    found = reference(lambda model, key: jnp.sum(model.weight**2), line, KEY, exact, 100)
    np.testing.assert_allclose(found.gradient, [2 * line.weight[0, 0], 2 * line.bias[0]], rtol=1e-6)
    assert found.value is None
    of = reference(lambda model, key: 0.0, line, KEY, lambda model: jnp.sum(model.weight**2), 100)
    np.testing.assert_allclose(of.gradient, [2 * line.weight[0, 0], 0.0], rtol=1e-6)


def test_an_exact_gradient_may_have_leaves_that_are_no_floats() -> None:
    params = {"a": None, "n": 3, "w": 0.5, "v": jnp.ones(2)}
    exact = {"a": None, "n": 0, "w": 2.0, "v": np.array([3.0, 4.0])}
    np.testing.assert_array_equal(exact_gradient(exact, params), [3.0, 4.0, 2.0])


@pytest.mark.parametrize("second", [[[1.0], [1.0, 2.0]], ["a"], jnp.ones((2, 3)), {"a": 1}], ids=str)
def test_what_is_no_derivative_is_none(second: Any) -> None:
    assert not _is_derivative(second, np.ones((2, 3)))
    assert _is_derivative([[1, 2, 3], [4, 5, 6]], np.ones((2, 3)))
