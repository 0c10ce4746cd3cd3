"""Rows of several iterations: counts that are exact, and means of what was kept alone."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi import InputError, Settings
from logpi.runs.metrics import as_rows, Metrics, of_iteration


def one(value: float, steps: int = 8, episodes: int = 1, finite: bool = True) -> Metrics:
    number, real = jnp.asarray(episodes), jnp.asarray(value)
    ended = (number, episodes * jnp.ones(()), jnp.zeros(()), 4.0 * episodes * jnp.ones(()))
    return of_iteration({"x": real}, ended, real, jnp.asarray(steps), jnp.asarray(finite))


def row(*parts: Metrics) -> dict:
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.with_next(part)
    (found,) = as_rows(0, 0, 0, _as_columns(merged), ("x",))
    return found


def _as_columns(metrics: Metrics) -> Metrics:
    return jax.tree.map(lambda x: np.asarray(x)[None], metrics)


NAN = one(math.nan, finite=False)


@pytest.mark.parametrize("parts", [(one(1.0), NAN, one(4.0)), (NAN, one(1.0), one(4.0)), (one(1.0), one(4.0), NAN)])
def test_an_iteration_that_was_dropped_counts_for_no_mean(parts: tuple[Metrics, ...]) -> None:
    found = row(*parts)
    assert (found["x"], found["reward"], found["iteration"], found["steps"], found["dropped"]) == (
        2.5,
        2.5,
        3,
        24,
        True,
    )
    assert found["episodes"] == 3 and row(NAN, NAN)["x"] is None and row(NAN)["reward"] is None


@pytest.mark.parametrize("steps", [2**24 + 1, 2**29 + 7, 700_000_001])
def test_steps_and_episodes_are_whole_numbers(steps: int) -> None:
    """Beyond 2^24, not all of them are floats of 32 bits."""
    found = row(one(1.0, steps, steps), one(3.0, steps, steps), one(2.0, 1, 0))
    assert (found["steps"], found["episodes"]) == (2 * steps + 1, 2 * steps) and abs(found["reward"] - 2.0) < 1e-5


@pytest.mark.parametrize("log_every", [2**20, 300_000])
def test_a_row_of_more_steps_than_a_number_holds_is_refused(log_every: int) -> None:
    with pytest.raises(InputError, match=r"log_every is .* less than 2"):
        Settings(num_envs=128, rollout_length=128, log_every=log_every)
