"""The problems that an audit takes where none is given."""

import dataclasses

import numpy as np

from .base import AbstractProblem
from .gaussian import GaussianBandit
from .lqr import LQR
from .tabular import TabularMDP

FIRST = np.array([0.5, 0.3, 0.2])  # of the first state
REWARD = np.array([[1.0, -0.5], [0.3, 2.0], [-1.0, 0.7]])  # of an action in a state
END = np.array([[0.1, 0.4], [0.3, 0.0], [0.25, 0.6]])  # probability that the action terminates the episode
FOLLOW = np.array(  # of the next state, if it does not
    [
        [[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]],
        [[0.3, 0.3, 0.4], [0.0, 0.5, 0.5]],
        [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]],
    ]
)
LOGITS = np.array([[0.3, -0.2], [-0.5, 0.4], [0.1, 0.9]])


def three_states(
    *, gamma: float = 0.8, horizon: int = 4, limit: str = "terminates", hidden: bool = False, name: str = "three states"
) -> TabularMDP:
    """Three states, two actions, terminations by luck. `hidden`: two of the states look alike."""
    logits, observation = (LOGITS[:2], (0, 1, 1)) if hidden else (LOGITS, None)
    return TabularMDP(
        first=FIRST, reward=REWARD, end=END, follow=FOLLOW, logits=logits, gamma=gamma, horizon=horizon, limit=limit,
        observation=observation, name=name,
    )  # fmt: skip


def bandit(reward: tuple[float, ...] = (1.0, 0.0, 0.4), logits: tuple[float, ...] = (0.2, -0.3, 0.5)) -> TabularMDP:
    """One step with a choice; each choice pays its reward. The policy's probabilities go with `exp(logits)`."""
    n = len(reward)
    return TabularMDP(
        first=np.ones(1), reward=np.array([reward]), end=np.ones((1, n)), follow=np.ones((1, n, 1)),
        logits=np.array([logits]), horizon=1, name="bandit",
    )  # fmt: skip


def small_lqr(*, gamma: float = 0.8) -> LQR:
    """Two states (a place and a speed), one action, three steps."""
    return LQR(
        transition=[[1.0, 0.5], [0.0, 0.9]], control=[[0.1], [0.5]], state_cost=[[1.0, 0.1], [0.1, 0.3]],
        action_cost=[[0.2]], gain=[[-0.4, -0.3]], log_std=[-0.5], start=[1.0, 0.0], spread=[[0.3], [0.2]],
        noise=[[0.1], [0.3]], gamma=gamma,
    )  # fmt: skip


def replayed_problems() -> tuple[AbstractProblem, ...]:
    """Terminations, a time limit, continuous actions that stay within -1 to 1: for critics of actions."""
    calm = {"start": np.array([0.4, 0.0]), "spread": 0.1 * np.ones((2, 1)), "noise": np.array([[0.05], [0.1]])}
    lqr = dataclasses.replace(small_lqr(), **calm, log_std=np.array([-1.5]), horizon=2)
    return (
        three_states(horizon=3),
        three_states(horizon=3, limit="truncates", name="time limit"),
        lqr,
        dataclasses.replace(lqr, horizon=3, cut=2, name="LQR, time limit"),
    )


def default_problems() -> tuple[AbstractProblem, ...]:
    """Terminations, hidden states, truncations, a bandit, clipped actions, continuous states: each with its check."""
    return (
        three_states(),
        three_states(horizon=3, limit="rollout", hidden=True, name="hidden states"),
        three_states(horizon=3, limit="truncates", hidden=True, name="time limit"),
        bandit(),
        GaussianBandit(),
        small_lqr(),
    )
