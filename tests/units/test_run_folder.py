"""The folder of a run: it comes back whole, and whatever is damaged in it is told in one sentence."""

import json
import shutil

import jax
import numpy as np
import pytest

import logpi
from logpi import InputError, Settings, spaces
from logpi.runs.folder import versions
from logpi.runs.metrics import real_columns
from logpi.runs.run import Run
from tests.exactness.test_log_prob import make

OBS_SPACE, ACTION_SPACE = spaces.Box((3,)), spaces.Box((2,), -1.0, 1.0)
HISTORY = [
    dict.fromkeys([m.name for m in real_columns(logpi.PPO.measurements)], value)
    | {"seed": seed, "iteration": i, "steps": 8 * i, "episodes": 1 - i}
    for seed in (3, 5)
    for i, value in enumerate((0.1 + 0.2, None))
]


@pytest.fixture(scope="module")
def run() -> Run:
    """Two seeds, without the training before it."""
    network = logpi.Network(memory="lstm", width=8, normalize_observations=True)
    model = make("Box", "lstm")
    models = model, jax.tree.map(lambda x: x + 1 if isinstance(x, jax.Array) else x, model)
    summary = {"env": "Luck", "steps": 7, "interrupted": False}
    return Run("Luck", Settings(network=network), (3, 5), models, OBS_SPACE, ACTION_SPACE, HISTORY, summary, versions())


@pytest.fixture(scope="module")
def saved(run, tmp_path_factory):
    return run.save(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def folder(saved, tmp_path):
    """A copy, to be damaged."""
    return shutil.copytree(saved, tmp_path / "run")


def test_it_comes_back(run, folder):
    back = logpi.load(folder)
    for name in ("env", "settings", "seeds", "obs_space", "action_space", "history", "summary", "versions", "model"):
        assert getattr(back, name) == getattr(run, name), name
    for mine, right in zip(jax.tree.leaves(back.models), jax.tree.leaves(run.models), strict=True):
        if isinstance(right, jax.Array):
            np.testing.assert_array_equal(mine, right)
    obs = np.array([0.3, -1.0, 4.0], np.float32)
    np.testing.assert_array_equal(back.policy(obs), run.policy(obs))


def test_nothing_in_it_is_a_pickle(saved):
    assert sorted(path.name for path in saved.iterdir()) == [
        "config.json",
        "metrics.jsonl",
        "policy-seed3.safetensors",
        "policy-seed5.safetensors",
    ]


def test_it_is_not_overwritten_unless_asked_to(run, folder):
    with pytest.raises(InputError, match="already holds a run"):
        run.save(folder)
    assert run.save(folder, overwrite=True) == folder
    assert logpi.load(folder).seeds == (3, 5)


def changed(folder, **changes):
    """With other entries in `config.json`; `None` takes one out."""
    config = json.loads((folder / "config.json").read_text()) | changes
    text = json.dumps({name: value for name, value in config.items() if value is not None})
    (folder / "config.json").write_text(text)
    return folder


@pytest.mark.parametrize(
    "name", ["schema", "env", "seeds", "model", "settings", "obs_space", "action_space", "versions"]
)
def test_an_entry_that_is_missing_is_an_input_error(folder, name):
    with pytest.raises(InputError):
        logpi.load(changed(folder, **{name: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 99},
        {"seeds": 3},
        {"seeds": [3, 4]},
        {"settings": "a text"},
        {"settings": {}},
        {"settings": {"kind": "Settings", "network": 3}},
        {"settings": {"kind": "GAE"}},
        {"obs_space": {"kind": "Discrete"}},
        {"obs_space": {"kind": "Discrete", "n": 3}},
        {"obs_space": 7},
        {"action_space": {"kind": "Tuple", "parts": []}},
        {"model": "mine.Policy"},
    ],
    ids=str,
)
def test_an_entry_that_is_wrong_is_an_input_error(folder, changes):
    with pytest.raises(InputError):
        logpi.load(changed(folder, **changes))


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "policy-seed5.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise"])
def test_a_file_that_is_damaged_is_an_input_error(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": content[:-5], "noise": b"\x00\xff" * 50}[damage])
    if name == "metrics.jsonl" and damage in ("empty", "cut"):  # cut short in a line, as by a process that died
        assert logpi.load(folder).history == (HISTORY[:-1] if damage == "cut" else [])
        return
    with pytest.raises(InputError):
        logpi.load(folder)


def test_a_folder_without_a_run_is_an_input_error(tmp_path):
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="does not exist"):
            logpi.load(place)
