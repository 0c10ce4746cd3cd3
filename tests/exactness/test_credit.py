"""Credit against its definitions (definitions.py), over random streams with every pattern of ends, in float64."""

import equinox as eqx
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logpi.credit import AbstractCredit, GAE, MonteCarlo, NStep, VTrace
from logpi.training.loop import with_traced_numbers
from tests.exactness import definitions

TIME = 9
ROUNDING = {"rtol": 1e-11, "atol": 1e-10}  # of float64, on sums of some ten numbers of size ten

numbers = st.floats(-10, 10, width=32)
shares = st.floats(0, 1, width=32)
# Each row goes on, terminates, is truncated, or both.
flags = st.lists(st.sampled_from([0, 0, 0, 1, 2, 3]), min_size=TIME, max_size=TIME).map(np.array)
streams = st.tuples(
    st.lists(numbers, min_size=TIME, max_size=TIME).map(np.array),
    flags,
    st.lists(numbers, min_size=TIME + 1, max_size=TIME + 1).map(np.array),
).map(lambda s: (s[0], s[1] % 2 == 1, s[1] >= 2, s[2]))
# No example database and always the same examples: a failure here fails everywhere.
thorough = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@eqx.filter_jit
def _compiled(credit: AbstractCredit, stream):
    return credit(*stream)


def computed(credit: AbstractCredit, stream) -> tuple[np.ndarray, np.ndarray]:
    """Advantage and target by the library, in float64 (its numbers are traced, so that nothing compiles twice)."""
    with jax.enable_x64(True):
        credit = jax.tree.map(lambda x: np.float64(x) if isinstance(x, float) else x, credit)
        given_credit = _compiled(credit, stream)
        return np.asarray(given_credit.advantage), np.asarray(given_credit.target)


def check(credit: AbstractCredit, stream, advantage: np.ndarray) -> None:
    mine, target = computed(credit, stream)
    np.testing.assert_allclose(mine, advantage, **ROUNDING)
    np.testing.assert_allclose(target, advantage + stream[3][:-1], **ROUNDING)


@thorough
@given(streams, shares, shares)
def test_gae_is_its_double_sum(stream, gamma, lam):
    check(GAE(gamma, lam), stream, definitions.gae(*stream, gamma, lam))


@thorough
@given(streams, shares)
def test_monte_carlo_is_its_sum(stream, gamma):
    check(MonteCarlo(gamma), stream, definitions.monte_carlo(*stream, gamma))


@thorough
@given(streams, shares, st.sampled_from([1, 2, 3, 8]))
def test_n_step_is_its_sum(stream, gamma, n):
    check(NStep(n, gamma), stream, definitions.n_step(*stream, gamma, n))


@thorough
@given(streams, shares)
def test_the_three_agree_where_they_must(stream, gamma):
    monte_carlo, one_step = computed(MonteCarlo(gamma), stream), computed(NStep(1, gamma), stream)
    np.testing.assert_allclose(computed(GAE(gamma, 1.0), stream), monte_carlo, **ROUNDING)
    np.testing.assert_allclose(computed(GAE(gamma, 0.0), stream), one_step, **ROUNDING)
    for n in (TIME, TIME + 3):
        np.testing.assert_allclose(computed(NStep(n, gamma), stream), monte_carlo, **ROUNDING)


log_ratios = st.lists(st.floats(-3, 3, width=32), min_size=TIME, max_size=TIME).map(np.array)
most = st.sampled_from([0.0, 0.5, 1.0, 4.0, np.inf])


@thorough
@given(streams, log_ratios, shares, shares, most, most)
def test_v_trace_is_its_sum_of_products(stream, log_ratio, gamma, lam, rho, c):
    found = computed(VTrace(gamma, lam, rho, c), (*stream, log_ratio))
    for mine, theirs in zip(found, definitions.v_trace(*stream, log_ratio, (gamma, lam, rho, c)), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-10 * max(1, np.abs(theirs).max()))


@thorough
@given(streams, shares, shares, st.floats(1, 9, width=32), st.floats(1, 9, width=32))
def test_v_trace_is_gae_where_the_policy_acted_itself(stream, gamma, lam, rho, c):
    found, alone = computed(VTrace(gamma, lam, rho, c), (*stream, np.zeros(TIME))), computed(VTrace(gamma, lam), stream)
    for mine, none_given, theirs in zip(found, alone, computed(GAE(gamma, lam), stream), strict=True):
        np.testing.assert_allclose(mine, theirs, **ROUNDING)
        np.testing.assert_allclose(none_given, theirs, **ROUNDING)


CREDITS = [GAE(0.9, 0.8), MonteCarlo(0.9), NStep(3, 0.9), VTrace(0.9, 0.8)]
each_credit = pytest.mark.parametrize("credit", CREDITS, ids=lambda credit: type(credit).__name__)


def one_end(at: int, *, terminated: bool = False, truncated: bool = False):
    """A stream of TIME rows with one end."""
    random = np.random.default_rng(0)
    reward, value, nowhere = random.normal(size=TIME), random.normal(size=TIME + 1), np.zeros(TIME, bool)
    here = np.arange(TIME) == at
    return reward, here if terminated else nowhere, here if truncated else nowhere, value


@each_credit
@pytest.mark.parametrize("at", [0, 4, TIME - 1])
@pytest.mark.parametrize("kind", ["terminated", "truncated", "both"])
def test_nothing_leaks_from_the_next_episode(credit, at, kind):
    flags = {"terminated": kind != "truncated", "truncated": kind != "terminated"}
    reward, terminated, truncated, value = one_end(at, **flags)
    # What belongs to the next episode: after a termination, the value of the last observation too.
    first_value = at + 1 if flags["terminated"] else at + 2
    other_reward = np.where(np.arange(TIME) > at, 1e6, reward)
    other_value = np.where(np.arange(TIME + 1) >= first_value, -1e6, value)
    before = computed(credit, (reward, terminated, truncated, value))
    after = computed(credit, (other_reward, terminated, truncated, other_value))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old[: at + 1], new[: at + 1])


@each_credit
@pytest.mark.parametrize("at", [0, 4, TIME - 1])
def test_truncation_bootstraps_and_termination_does_not(credit, at):
    reward, _, _, value = one_end(at)
    more = value + np.where(np.arange(TIME + 1) == at + 1, 1.0, 0.0)  # the value of what follows the end, raised by 1

    def raised(**flags) -> np.ndarray:
        _, terminated, truncated, _ = one_end(at, **flags)
        low = computed(credit, (reward, terminated, truncated, value))[1]
        high = computed(credit, (reward, terminated, truncated, more))[1]
        return (high - low)[at]

    np.testing.assert_allclose(raised(truncated=True), 0.9, rtol=1e-9)
    assert raised(terminated=True) == 0
    assert raised(terminated=True, truncated=True) == 0


@each_credit
def test_a_single_row(credit):
    for terminated, truncated, following in [(False, False, 3), (False, True, 3), (True, False, 0), (True, True, 0)]:
        stream = np.ones(1), np.array([terminated]), np.array([truncated]), np.array([2.0, 3.0])
        np.testing.assert_allclose(computed(credit, stream)[0], [1 + 0.9 * following - 2], rtol=1e-9)


@each_credit
def test_traced_numbers_give_what_plain_ones_do(credit):
    stream = one_end(4, truncated=True)
    stream = tuple(np.asarray(x, np.float32) if x.dtype == float else x for x in stream)
    plain, traced = _compiled(credit, stream), _compiled(with_traced_numbers(credit), stream)
    np.testing.assert_allclose(plain.advantage, traced.advantage, rtol=1e-6, atol=1e-6)
