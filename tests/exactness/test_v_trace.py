"""V-trace on a Markov decision process of two states, over every path, in float64: what its targets are of."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.credit import VTrace

GAMMA, TIME = 0.8, 4
NEXT = np.array([[0, 1], [1, 0]])  # state after (state, action)
REWARD = np.array([[1.0, -0.5], [0.3, 2.0]])
TARGET = np.array([[0.7, 0.3], [0.2, 0.8]])  # the policy that learns
BEHAVIOUR = np.array([[0.4, 0.6], [0.5, 0.5]])  # the one that acted


class Paths(NamedTuple):
    """Every path of `TIME` steps from state 0 under the behaviour."""

    probability: np.ndarray  # (paths,)
    state: np.ndarray  # (paths, TIME + 1)
    action: np.ndarray  # (paths, TIME)


def every_path() -> Paths:
    rows = []
    for actions in itertools.product(range(2), repeat=TIME):
        states, probability = [0], 1.0
        for action in actions:
            probability *= BEHAVIOUR[states[-1], action]
            states.append(int(NEXT[states[-1], action]))
        rows.append((probability, states, actions))
    return Paths(*map(np.array, zip(*rows, strict=True)))


def values(policy: np.ndarray) -> np.ndarray:
    """Of both states under a policy: the solution of Bellman's equation."""
    transition = np.zeros((2, 2))
    for state, action in itertools.product(range(2), range(2)):
        transition[state, NEXT[state, action]] += policy[state, action]
    return np.linalg.solve(np.eye(2) - GAMMA * transition, np.sum(policy * REWARD, axis=1))


def expected(credit: VTrace, value: np.ndarray):
    """E[v] of the first row, and E[advantage 1(action)] of each action in it."""
    paths = every_path()
    log_ratio = np.log(TARGET / BEHAVIOUR)[paths.state[:, :-1], paths.action]
    nowhere = np.zeros((len(paths.probability), TIME), bool)
    with jax.enable_x64(True):
        given = jax.vmap(credit)(
            jnp.asarray(REWARD[paths.state[:, :-1], paths.action]), nowhere, nowhere, value[paths.state], log_ratio
        )
    advantage, target = np.asarray(given.advantage)[:, 0], np.asarray(given.target)[:, 0]
    by_action = np.array([np.sum((paths.probability * advantage)[paths.action[:, 0] == a]) for a in range(2)])
    return np.sum(paths.probability * target), by_action


def cut(rho: float) -> np.ndarray:
    """The policy in proportion to min(rho mu, pi), which is what the targets are the values of."""
    cut = np.minimum(rho * BEHAVIOUR, TARGET)
    return cut / cut.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("c", [0.5, 1.0])
@pytest.mark.parametrize("rho", [0.6, 1.0, np.inf])
def test_the_fixed_point_is_the_value_of_the_cut_policy(rho: float, c: float) -> None:
    value = values(cut(rho))
    np.testing.assert_allclose(expected(VTrace(GAMMA, 1.0, rho, c), value)[0], value[0], rtol=1e-14)
    # That of another policy is none: so rho, and not c, says which.
    other = values(cut(0.6 if rho > 0.6 else np.inf))
    assert abs(expected(VTrace(GAMMA, 1.0, rho, c), other)[0] - other[0]) > 0.01


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_without_a_cut_the_advantage_is_that_of_the_policy_that_learns(lam: float) -> None:
    value = values(TARGET)
    q = REWARD[0] + GAMMA * value[NEXT[0]]
    found = expected(VTrace(GAMMA, lam, np.inf, np.inf), value)[1]
    np.testing.assert_allclose(found, TARGET[0] * (q - value[0]), rtol=1e-13, atol=1e-15)


def test_rho_and_c_are_not_exchanged() -> None:
    one, other = (expected(VTrace(GAMMA, 1.0, *cuts), np.zeros(2))[0] for cuts in ((1.2, 0.5), (0.5, 1.2)))
    assert abs(one - other) > 0.1
