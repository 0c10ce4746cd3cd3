"""A run comes back from a worker process as it was, for whoever trains in several."""

import concurrent.futures
import multiprocessing
import pickle
from typing import Any

import jax
import numpy as np
import pytest

import logpi
from logpi import Network, spaces
from logpi.models import make_actor_critic
from logpi.models.build import ACTIVATIONS
from logpi.runs.run import Run

LINE, PICTURE = spaces.Box((3,)), spaces.Box((10, 10, 4), 0.0, 1.0, "bool")


def run_of(network: Network, obs_space: spaces.Space = LINE) -> Run:
    model = make_actor_critic(obs_space, spaces.Box((2,)), network, key=jax.random.key(0))
    settings = logpi.Settings(logpi.A2C(), network=network, reward_scaling=logpi.RewardScaling())
    rows = [{"seed": 0, "iteration": 1, "steps": 8, "episodes": 0, "return_mean": None, "return_squares": None}]
    return Run("Env-v0", settings, (0,), (model,), obs_space, spaces.Box((2,)), logpi.runs.metrics.Rows(rows), {}, {})


def sent(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize(
    ("network", "obs_space"),
    [
        *((Network(width=4, activation=name), LINE) for name in ACTIVATIONS),
        (Network("gru", 4, normalize_observations=True), LINE),
        (Network("lstm", 4, 2, "relu"), LINE),
        (Network(width=8), PICTURE),
    ],
)
def test_a_run_is_the_same_in_another_process(network: Network, obs_space: spaces.Space) -> None:
    run = run_of(network, obs_space)
    obs = np.ones(obs_space.shape, obs_space.dtype)
    run.policy.reset(0)
    acted = run.policy(obs)  # so that there is an agent with its programs
    again = sent(run)
    again.policy.reset(0)
    np.testing.assert_array_equal(again.policy(obs), acted)
    assert again.config() == run.config() and again.history == run.history and again.seeds == run.seeds


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_jaxs_own(name: str) -> None:
    x = jax.numpy.linspace(-3.0, 3.0, 13)
    np.testing.assert_array_equal(ACTIVATIONS[name](x), getattr(jax.nn, name)(x))
    assert sent(ACTIVATIONS[name]) == ACTIVATIONS[name] and hash(ACTIVATIONS[name]) == hash(sent(ACTIVATIONS[name]))


def trained(seed: int) -> Run:
    return logpi.train("probe:identity", seed=seed, steps=32, num_envs=2, rollout_length=16)


@pytest.mark.slow
def test_a_pool_of_processes_trains() -> None:
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        (run,) = pool.map(trained, [3])
    assert run.history == trained(3).history
