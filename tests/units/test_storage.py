"""Files: what goes in comes out, nothing in them is executed, and damage is told in one sentence."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import logpi
from logpi import A2C, Adam, GAE, InputError, MonteCarlo, NStep, PPO, REINFORCE, Settings, spaces
from logpi.runs.arrays import load_arrays, save_arrays
from logpi.runs.files import read_json, write_atomically
from logpi.runs.presets import ATARI, GENERAL, MUJOCO, OTHERS, PRESETS
from logpi.runs.schema import Custom, from_json, to_json, write_json
from tests.exactness.test_log_prob import make

NESTED = spaces.Dict(
    (
        ("a", spaces.Tuple((spaces.Discrete(3, -1), spaces.MultiBinary((2, 2))))),
        ("b", spaces.MultiDiscrete((2, 3), (0, 1), (2,))),
        ("c", spaces.Box((2,), (-math.inf, 0.0), math.inf)),
    )
)
VALUES = {
    **{f"general {name}": settings for name, settings in GENERAL.items()},
    **{f"preset {name}": settings for name, settings in PRESETS.items()},
    **{f"preset {' '.join(names)}": settings for names, settings in OTHERS.items()},
    "mujoco": MUJOCO,
    "atari": ATARI,
    "ppo": PPO(Adam(1e-3, 0.5), MonteCarlo(0.5), value_clip=0.1, num_epochs=3, segment_length=7),
    "a2c": A2C(credit=NStep(3, 0.9), segment_length=None),
    "reinforce": REINFORCE(credit=GAE(1.0, 0.0)),
    "settings": Settings(
        network=logpi.Network("lstm", 3, 0, "relu", -0.5, True), reward_scaling=logpi.RewardScaling(limit=math.inf)
    ),
    "space": NESTED,
    "numbers": {"a": (1, 2.5, -math.inf, True, None, "text"), "b": ((), {"c": 0.1 + 0.2})},
}


@pytest.mark.parametrize("name", VALUES)
def test_what_goes_in_comes_out(name, tmp_path):
    value = VALUES[name]
    write_json(tmp_path / "value.json", value)
    text = (tmp_path / "value.json").read_text()
    json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    back = from_json(read_json(tmp_path / "value.json"))
    assert type(back) is type(value)
    assert back == value
    assert repr(to_json(back)) == repr(to_json(value))  # the kinds of numbers too


def test_numbers_that_json_lacks():
    assert math.isnan(from_json(to_json(float("nan"))))
    assert from_json(json.loads(json.dumps(to_json([math.inf, -math.inf])))) == (math.inf, -math.inf)
    assert to_json(np.float32(2.5)) == 2.5 and to_json(np.arange(3)) == [0, 1, 2] == to_json(jnp.arange(3))


def test_an_object_of_the_user_s_own_is_written_as_text_and_comes_back_as_that():
    optimiser = logpi.Optax(optax.sgd(0.1))
    back = from_json(json.loads(json.dumps(to_json(optimiser))))
    assert back == Custom(repr(optimiser))
    assert from_json(to_json(back)) == back


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"kind": "os.system", "command": "true"}, "names 'os.system', which is none of"),
        ({"kind": "Settings.__init__"}, "which is none of"),
        ({"kind": ["PPO"]}, "which is none of"),
        ({"kind": None}, "which is none of"),
        ({"kind": "GAE", "gamma": 0.9, "lambda": 0.9}, "unknown fields: lambda"),
        ({"kind": "GAE", "gamma": 9}, "gamma is 9"),
        ({"kind": "Settings", "num_envs": 0}, "num_envs is 0"),
        ({"kind": "Network", "width": 0}, "width is 0"),
    ],
    ids=str,
)
def test_a_configuration_that_is_wrong_is_an_input_error(data, sentence):
    with pytest.raises(InputError, match=sentence):
        from_json(data)


@pytest.mark.parametrize("text", ["", "{", "[1, 2", "\x00", "[" * 100_000], ids=["empty", "cut", "list", "0", "deep"])
def test_a_damaged_json_file_is_an_input_error(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match="is not readable JSON"):
        read_json(tmp_path / "config.json")


def test_bytes_that_are_no_text_and_missing_files_are_input_errors(tmp_path):
    (tmp_path / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not readable JSON"):
        read_json(tmp_path / "config.json")
    with pytest.raises(InputError, match="does not exist"):
        read_json(tmp_path / "nothing.json")
    with pytest.raises(InputError, match="is not readable"):
        read_json(tmp_path)


@pytest.fixture(scope="module")
def model():
    return make("Box", "lstm")


def arrays(tree):
    return jax.tree.leaves(eqx.filter(tree, eqx.is_array))


def test_arrays_come_back_to_the_last_bit(model, tmp_path):
    save_arrays(tmp_path / "policy.safetensors", model)
    blank = jax.tree.map(lambda x: jnp.zeros_like(x) if eqx.is_array(x) else x, model)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype) if eqx.is_array(x) else x, model)
    for skeleton in (blank, shapes):
        back = load_arrays(tmp_path / "policy.safetensors", skeleton)
        assert jax.tree.structure(back) == jax.tree.structure(model)
        for mine, right in zip(arrays(back), arrays(model), strict=True):
            assert mine.dtype == right.dtype
            np.testing.assert_array_equal(mine, right)


def test_every_array_has_its_name(model, tmp_path):
    from safetensors.numpy import load_file

    save_arrays(tmp_path / "policy.safetensors", model)
    names = load_file(tmp_path / "policy.safetensors")
    assert len(names) == len(arrays(model))
    np.testing.assert_array_equal(names[".normalizer.mean"], model.normalizer.mean)
    np.testing.assert_array_equal(names[".model.head.log_std"], model.model.head.log_std)


def test_another_model_is_an_input_error(model, tmp_path):
    save_arrays(tmp_path / "policy.safetensors", model)
    with pytest.raises(InputError, match="holds another model"):
        load_arrays(tmp_path / "policy.safetensors", model.model)
    wider = eqx.tree_at(lambda m: m.model.actor.bias, model, jnp.zeros(7))
    with pytest.raises(InputError, match=r"has the shape \(2,\), but the model needs \(7,\)"):
        load_arrays(tmp_path / "policy.safetensors", wider)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_damaged_file_of_arrays_is_an_input_error(model, tmp_path, keep):
    path = tmp_path / "policy.safetensors"
    save_arrays(path, model)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="the run folder is damaged"):
        load_arrays(path, model)
    path.unlink()
    with pytest.raises(InputError, match="the run folder is damaged"):
        load_arrays(path, model)


def test_a_write_leaves_nothing_beside_the_file(tmp_path):
    for data in (b"one", b"two"):
        write_atomically(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
        assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    write_atomically(tmp_path / "file", b"old")

    def fail(*_):
        raise OSError("no space left")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, fail)
            with pytest.raises(OSError, match="no space left"):
                write_atomically(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["file"]


def test_reading_a_configuration_imports_nothing(tmp_path):
    """A file that names a module: neither reading nor refusing it runs the module."""
    (tmp_path / "trap.py").write_text("raise SystemExit(7)")
    program = (
        "import sys; from logpi.runs.schema import from_json\n"
        "try: from_json({'kind': 'trap.Bomb', 'custom_module': 'trap'})\n"
        "except ValueError: sys.exit('trap' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), str(tmp_path)])}
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env).returncode == 0
