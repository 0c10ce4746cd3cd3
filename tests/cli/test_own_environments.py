"""Environments of one's own and options, on the command line and in Python: kept, and used by every later command."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import logpi
from logpi import InputError
from logpi.cli.main import main
from logpi.cli.objects import environment_options

TINY = ["--steps", "64", "--envs", "2", "--rollout-length", "16", "--evaluate-episodes", "0", "--width", "4"]
SMALL = {"steps": 64, "num_envs": 2, "rollout_length": 16, "width": 4}
OWN = """
import gymnasium
import numpy as np


class Corridor(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, length=5):
        self.length = length

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self.time += 1
        return np.zeros(3, np.float32), 1.0, self.time >= self.length, False, {}


gymnasium.register("Corridor-v0", entry_point="corridors:Corridor")
"""


@pytest.fixture
def corridors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder with a file that registers an environment."""
    (tmp_path / "corridors.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    forgotten(monkeypatch)


def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process begins: nothing is imported or registered."""
    monkeypatch.delitem(sys.modules, "corridors", raising=False)
    monkeypatch.delitem(gymnasium.registry, "Corridor-v0", raising=False)


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> float:
    capsys.readouterr()
    assert main(["evaluate", *arguments, "--episodes", "4", "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])["mean"]["value"]


@pytest.mark.usefixtures("corridors")
def test_a_module_of_the_current_folder_is_found_and_its_options_are_kept(
    capsys: pytest.CaptureFixture[str], fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", "corridors:Corridor-v0", "--env-option", "length=3", *TINY, "--out", "run"]) == 0
    assert logpi.load("run").options == {"length": 3}
    forgotten(monkeypatch)
    sentence = fails("evaluate", "run")
    assert "the module 'corridors' would be imported" in sentence and "--env corridors:Corridor-v0 on the" in sentence
    assert "(beside --from: logpi train corridors:Corridor-v0 --from ...)" in fails("train", "--from", "run")
    assert main(["train", "corridors:Corridor-v0", "--from", "run", "--evaluate-episodes", "0", "--out", "again"]) == 0
    assert logpi.load("again").options == {"length": 3}
    forgotten(monkeypatch)
    assert evaluated(capsys, "run", "--env", "corridors:Corridor-v0") == 3.0  # and not 5, as without the option
    sentence = fails("watch", "run", "--env", "corridors:Corridor-v0", "--video", "a.gif")
    assert "corridors:Corridor-v0 cannot be watched, as it takes no render_mode" in sentence
    forgotten(monkeypatch)
    assert main(["train", "corridors.py:Corridor", *TINY, "--out", "class"]) == 0
    forgotten(monkeypatch)
    assert evaluated(capsys, "class", "--env", "corridors.py:Corridor") == 5.0
    Path("corridors.py").write_text("1 / 0")
    assert "corridors.py breaks down in line 1 (ZeroDivisionError" in fails("train", "corridors:Corridor-v0")


def test_options_by_keyword_are_kept_and_used_again(tmp_path: Path) -> None:
    options = {"is_slippery": False, "desc": ["SFFG"], "max_episode_steps": 7}
    run = logpi.train("FrozenLake-v1", env_options=options, out=tmp_path / "run", **SMALL)
    for again in (run, logpi.load(tmp_path / "run")):
        assert again.options == options and again.source().make.options == options  # type: ignore[union-attr]


def test_each_environment_in_a_process_of_its_own() -> None:
    run = logpi.train("gymnasium:CartPole-v1", processes=True, **SMALL)
    assert run.summary["steps"] > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"env_options": {"slippery": 1}}, r"with \{'slippery': 1\} .*unexpected keyword argument"),
        ({"env_options": {"processes": 1}}, "'processes', which is no option"),
    ],
)
def test_options_that_cannot_be_are_one_sentence(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        logpi.train("FrozenLake-v1", **arguments)


def test_options_of_a_function_are_its_own() -> None:
    with pytest.raises(InputError, match="options go with a name"):
        logpi.train(lambda: gymnasium.make("CartPole-v1"), env_options={"length": 3})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=false", False), ("a=True", True), ("a=None", None), ("a=8x8", "8x8"), ("a=3", 3), ("a=0.5", 0.5),
        ('a=["SF", "FG"]', ["SF", "FG"]), ('a="3"', "3"), ("a=x=y", "x=y"), ("a=", ""),
    ],
)  # fmt: skip
def test_a_value_is_as_json_has_it_or_a_text(text: str, value: Any) -> None:
    found = environment_options([text])
    assert found == {"a": value} and type(found["a"]) is type(value)


@pytest.mark.parametrize("text", ["slippery", "=3", "a b=3", ""])
def test_an_option_is_a_name_and_a_value(text: str, fails: Callable[..., str]) -> None:
    assert "must be NAME=VALUE" in fails("train", "FrozenLake-v1", "--env-option", text)


def test_options_beside_from_need_an_environment(fails: Callable[..., str], trained: Path) -> None:
    assert "name it beside --from" in fails("train", "--from", str(trained), "--env-option", "a=1")
