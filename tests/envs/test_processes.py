"""Environments in processes that share them: the same rows as without, and a run that keeps how many there are."""

import functools
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import logpi
from logpi.cli.main import main
from logpi.envs import HostSource, resolve, restarting
from logpi.envs.sources import check_processes, processes_of
from logpi.envs.vector import shared_by
from logpi.errors import InputError
from tests.envs.worlds import Dice, Script

ACTION = {"discrete": np.arange(4, dtype=np.int32) % 3 + 5, "multidiscrete": np.ones((4, 2, 2), np.int32)}


def rows(source: HostSource, action: np.ndarray, steps: int = 12) -> list[Any]:
    """What four environments show, all arrays of it and all reasons for a restart, one after the other."""
    vector = source.make(4, 7)
    found: list[Any] = [vector.reset()]
    for _ in range(steps):
        found += [vector.step(action), dict(vector.restarted)]
    vector.close()
    return found


# Breaks down in its third step, and so does each that takes its place. The processes import its module alone.
BROKEN = functools.partial(Script, "dict", "multidiscrete", 2)


@pytest.mark.parametrize(("make", "action"), [(Dice, "discrete"), (BROKEN, "multidiscrete")])
def test_two_processes_show_what_none_show(make: Any, action: str) -> None:
    """Seeds, observations with parts, actions with axes, ends, resets and restarts."""
    alone, shared = (restarting(resolve(make, processes=processes)) for processes in (False, 2))
    one, other = rows(alone, ACTION[action]), rows(shared, ACTION[action])
    leaves, others = jax.tree.leaves(one), jax.tree.leaves(other)
    assert len(leaves) == len(others) > 36
    for mine, theirs in zip(leaves, others, strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert np.asarray(mine).dtype == np.asarray(theirs).dtype
    if make is BROKEN:
        assert {0, 1, 2, 3} == set(other[6]) and "Environment 3 of " in other[6][3]


def test_how_many_share_the_environments() -> None:
    assert [shared_by(asked, 8) for asked in (True, 1, 2, 3, 5, 8, 99)] == [8, 1, 2, 2, 4, 8, 8]
    source = resolve(Dice, processes=3)
    check_processes(source, 9)
    check_processes(source, 2)  # one each
    with pytest.raises(InputError, match=r"processes is 3, but 8 environments .*: give one of 1, 2, 4, 8, or an"):
        check_processes(source, 8)
    with pytest.raises(InputError, match="processes is 3, but 4 environments"):
        logpi.train(Dice, processes=3, num_envs=4)


@pytest.mark.parametrize("name", ["gymnax:CartPole-v1", "phys2d:CartPole-v1", "probe:recall"])
def test_what_has_no_processes_says_so(name: str) -> None:
    with pytest.raises(InputError, match=rf"processes is 4, but {name} has none"):
        resolve(name, processes=4)


@pytest.mark.parametrize("wrong", [0, -1])
def test_none_and_fewer_are_no_number_of_processes(wrong: int) -> None:
    with pytest.raises(InputError, match="processes is "):
        logpi.train("gymnasium:CartPole-v1", processes=wrong)


def test_a_run_keeps_its_processes(tmp_path: Path) -> None:
    """From the command on: in the folder, for a resume, an evaluation, and where the environment is given again."""
    folder = tmp_path / "run"
    small = ["--steps", "128", "--envs", "4", "--rollout-length", "16", "--width", "4", "--evaluate-episodes", "0"]
    assert main(["train", "gymnasium:CartPole-v1", "--processes", "2", *small, "--out", str(folder)]) == 0
    run = logpi.load(folder)
    assert run.processes == 2 and processes_of(run.source()) == 2
    assert processes_of(run.source("gymnasium:CartPole-v1")) == 2 and processes_of(run.source("CartPole-v1")) is False
    assert processes_of(run.source(resolve(Dice, processes=True))) is True
    config = json.loads((folder / "config.json").read_text())
    config["processes"] = -1
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="has -1 for processes: the run folder is damaged"):
        logpi.load(folder)
    del config["processes"]  # as an older logpi left it
    (folder / "config.json").write_text(json.dumps(config))
    assert logpi.load(folder).processes is False
