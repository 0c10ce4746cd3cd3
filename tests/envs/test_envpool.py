"""EnvPool's suites: whole numbers to act with are choices, under their masks, and what it cannot make is told."""

import math

import envpool
import numpy as np
import pytest

from logpi.envs import resolve
from logpi.envs.adapters.envpool import Combinations
from logpi.errors import InputError
from logpi.spaces.kinds import Box, Discrete, MultiDiscrete
from logpi.spaces.masks import flags


def test_a_mask_of_combinations_makes_one_choice_of_several_numbers() -> None:
    source = resolve("envpool:Minesweeper-v0", num_threads=1)
    assert source.action_space == Discrete(100)
    env, chosen = source.make(2, 0), np.array([37, 98])
    assert flags(source.action_space, env.reset()["action_mask"][1]).all()
    obs, *_ = env.step(chosen)
    env.close()
    opened = [np.flatnonzero(~flags(source.action_space, mask)) for mask in obs["action_mask"]]
    assert all(square in squares for square, squares in zip(chosen, opened, strict=True))
    assert all(len(squares) < 100 for squares in opened)


def test_a_mask_of_each_number_makes_a_choice_of_each() -> None:
    source = resolve("envpool:Cleaner-v0", num_threads=1)
    assert source.action_space == MultiDiscrete((4, 4, 4), (0, 0, 0), (3,), "int32")
    env = source.make(2, 0)
    masks = env.reset()["action_mask"]
    first = np.argmax(masks, axis=-1)  # allowed ones
    _, _, terminated, _ = env.step(first)
    env.close()
    assert masks.shape == (2, 3, 4) and not terminated.any()  # it ends on one that is forbidden


def test_combinations_count_with_the_last_number_the_fastest() -> None:
    combinations = Combinations((2, 3), (5, -1), "int16")
    entries = combinations.entries(np.arange(6))
    assert entries.dtype == np.int16
    assert entries.tolist() == [[5, -1], [5, 0], [5, 1], [6, -1], [6, 0], [6, 1]]


def test_actions_without_bounds_have_none() -> None:
    assert resolve("envpool:D1Basic-v1").action_space == Box((3,), -math.inf, math.inf, "float64")


def test_what_envpool_cannot_make_is_told(monkeypatch) -> None:
    def fails(*_, **__):
        raise RuntimeError("failed to open file.npy")

    source = resolve("envpool:Cleaner-v0")
    monkeypatch.setattr(envpool, "make_gymnasium", fails)
    with pytest.raises(InputError, match=r"EnvPool cannot make Cleaner-v0 \(failed to open file.npy\): choose another"):
        source.make(1, 0)
