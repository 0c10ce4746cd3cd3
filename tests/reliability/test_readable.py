"""Whatever can be trained can be read again, or is refused before the first step: spaces, settings, models."""

from __future__ import annotations

import dataclasses
import enum
import math
from pathlib import Path
from typing import Any

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from gymnasium import spaces as gym
from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st

import logpi
from logpi import InputError, PPO, RewardScaling, Settings
from logpi.runs.arrays import check_storable, load_arrays, save_arrays
from logpi.runs.config import check_readable, read_entries
from logpi.runs.folder import write_config
from logpi.spaces.gymnasium import from_gymnasium
from tests.reliability.folders import run as blank_run

STILL = {"derandomize": True, "deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
BLANK = blank_run()


@pytest.fixture
def as_users_have_it():
    """Without the run-time type checks of the tests, which would speak first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


class Side(enum.Enum):
    """Names that JSON has no word for."""

    LEFT, RIGHT = 1, 2


KINDS = [  # of names, of which those of one Dict are
    st.text(max_size=3), st.sampled_from(["inf", "-inf", "nan", "kind", "custom", "text"]), st.integers(-2, 2),
    st.floats(), st.booleans(), st.none(), st.tuples(st.integers(0, 2), st.text(max_size=1)), st.binary(max_size=1),
    st.sampled_from([np.int64(3), np.int64(4)]), st.sampled_from(list(Side)),
]  # fmt: skip
TYPES = ["float32", "float64", "float16", "uint8", "int16", "int64", "uint64", "bool", ">f4", ">i8", "longdouble"]


@st.composite
def boxes(draw: Any) -> gym.Space:
    shape = draw(st.one_of(st.lists(st.integers(0, 3), max_size=3), st.sampled_from([[1] * 17, [1] * 31, [1] * 40])))
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    low, high = (0, 1) if dtype.kind in "biu" else (draw(st.sampled_from([-math.inf, -1.5])), math.inf)
    highs = np.full(shape, high, dtype)
    if highs.size > 1 and draw(st.booleans()):
        highs.reshape(-1)[0] = 3 if dtype.kind != "b" else 1
    return gym.Box(np.full(shape, low, dtype), highs, tuple(shape), dtype)


def parts(inner: st.SearchStrategy[gym.Space]) -> st.SearchStrategy[gym.Space]:
    names = st.sampled_from(KINDS).flatmap(lambda kind: st.dictionaries(kind, inner, max_size=3))
    mixed = st.dictionaries(st.one_of(KINDS), inner, max_size=2)
    deep = st.tuples(inner, st.sampled_from([5, 14, 60]), st.booleans()).map(lambda given: nested(*given))
    return st.one_of(names.map(gym.Dict), mixed.map(gym.Dict), st.lists(inner, max_size=2).map(gym.Tuple), deep)


def nested(space: gym.Space, depth: int, named: bool) -> gym.Space:
    for _ in range(depth):
        space = gym.Dict({0: space}) if named else gym.Tuple((space,))
    return space


SPACES = st.recursive(
    st.one_of(
        boxes(),
        st.builds(gym.Discrete, st.integers(1, 4), start=st.sampled_from([0, -3, 2**31, 2**40])),
        st.sampled_from([gym.MultiDiscrete([[2, 3], [4, 5]]), gym.MultiDiscrete([2], start=[-1])]),
        st.just(gym.MultiBinary((2, 2))),
    ),
    parts,
    max_leaves=4,
)  # fmt: skip


def is_a_sentence(error: InputError) -> None:
    assert "\n" not in str(error) and len(str(error)) < 1500 and "damaged" not in str(error)


@pytest.mark.usefixtures("as_users_have_it")
@settings(max_examples=200, **STILL)
@given(SPACES)
def test_a_space_is_read_as_it_is_or_refused(space: gym.Space) -> None:
    try:
        ours = from_gymnasium(space)
        data = check_readable(dataclasses.replace(BLANK, obs_space=ours).config())
    except InputError as error:
        is_a_sentence(error)
        return
    folder = Path("a folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logpi.runs.files.read_bytes_checked", lambda path, limit: data)
        assert read_entries(folder)["obs_space"] == ours


GOOD: dict[str, gym.Space] = {
    "numbers": gym.Dict({0: gym.Discrete(2), 1: gym.Box(-1, 1, (2,))}),
    "a bool, and nothing": gym.Dict({True: gym.Dict({None: gym.Discrete(2)})}),
    "words that are numbers": gym.Dict({"inf": gym.Discrete(2), "nan": gym.Discrete(3), "-inf": gym.Discrete(4)}),
    "pairs": gym.Dict({(0, "left"): gym.Discrete(2), (1, "inf"): gym.Discrete(2)}),
    "fractions": gym.Dict({0.5: gym.Discrete(2), math.inf: gym.Discrete(2)}),
    "15 tuples": nested(gym.Discrete(2), 15, named=False),
    "11 dictionaries": nested(gym.Discrete(2), 11, named=True),
    "the other order of bytes": gym.Box(-1, 1, (2,), np.dtype(">f4")),
    "17 axes": gym.Box(-1, 1, (1,) * 17),
    "100,000 bounds": gym.Box(-np.arange(1, 100_001, dtype=np.float32) / 7, np.arange(100_000, dtype=np.float32) / 3),
}


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize("name", GOOD)
def test_these_spaces_are_read_again(name: str, tmp_path: Path) -> None:
    ours = from_gymnasium(GOOD[name])
    write_config(tmp_path, dataclasses.replace(BLANK, obs_space=ours).config())
    assert read_entries(tmp_path)["obs_space"] == ours


REFUSED: dict[str, tuple[gym.Space, str]] = {
    "names of two kinds": (gym.Dict({1: gym.Discrete(2), "a": gym.Discrete(2)}), "names of several kinds"),
    "names of one's own": (gym.Dict({Side.LEFT: gym.Discrete(2)}), "could not be read again"),
    "long doubles": (gym.Box(-1, 1, (2,), np.longdouble), "could not be read again"),
    "60 levels": (nested(gym.Discrete(2), 60, named=True), "brackets are more than 96 deep"),
    "40 axes": (gym.Box(-1, 1, (1,) * 40), "could not be read again"),
}


class Odd(gymnasium.Env):
    """Its space cannot be told to a file; no step of it is ever taken."""

    action_space = gym.Discrete(2)

    def __init__(self, space: gym.Space):
        self.observation_space = space

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        pytest.fail("a step was taken")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_again_is_refused_before_the_first_step(name: str, tmp_path: Path) -> None:
    space, words = REFUSED[name]
    with pytest.raises(InputError, match=words) as caught:
        logpi.train(lambda: Odd(space), out=tmp_path / "run", steps=8, num_envs=1, rollout_length=8)
    is_a_sentence(caught.value)
    assert not (tmp_path / "run").exists()


NUMBERS = st.sampled_from(
    [math.inf, np.float32("inf"), np.float64("inf"), jnp.asarray(jnp.inf), np.asarray(np.inf), 0.25]
)


@pytest.mark.usefixtures("as_users_have_it")
@settings(max_examples=100, **STILL)
@given(NUMBERS, NUMBERS, NUMBERS, st.text(max_size=30), st.integers(0, 600))
def test_settings_are_read_as_they_are(clip: Any, kl: Any, limit: Any, source: str, flags: int) -> None:
    source = source + "--learning-rate 0.000273481 " * flags
    try:
        mine = Settings(PPO(value_clip=clip, target_kl=kl), reward_scaling=RewardScaling(limit=limit), source=source)
        data = check_readable(dataclasses.replace(BLANK, settings=mine).config())
    except InputError as error:
        is_a_sentence(error)
        assert not source.isprintable() or len(source) > 15_000
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logpi.runs.files.read_bytes_checked", lambda path, limit: data)
        back = read_entries(Path("a folder"))["settings"]
    assert back.source == source
    assert (back.algorithm.value_clip, back.algorithm.target_kl) == (float(clip), float(kl))
    assert back.reward_scaling.limit == float(limit)


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize("source", [None, 3, "a\nb", b"text", "\x1b[2J", "x" * 20_001])
def test_a_source_is_a_line_of_text(source: Any) -> None:
    with pytest.raises(InputError, match="source is"):
        Settings(source=source)


class Odder(eqx.Module):
    """A model of arrays under names that may be anything."""

    parts: dict[Any, jax.Array]


@settings(max_examples=60, **STILL)
@given(
    st.dictionaries(st.one_of(st.text(max_size=4), st.sampled_from(["__metadata__", "", "[0]", "a']['b"])),
                    st.sampled_from(["float32", "bfloat16", "int8", "uint32", "bool", "complex64", "float8_e4m3fn"]),
                    max_size=4)
)  # fmt: skip
def test_a_model_is_read_as_it_is_or_refused(tmp_path_factory: pytest.TempPathFactory, given: dict[str, str]) -> None:
    model = Odder({name: jnp.ones((2, i), dtype) for i, (name, dtype) in enumerate(given.items())})
    try:
        check_storable(model)
    except InputError as error:
        is_a_sentence(error)
        assert {"complex64", "float8_e4m3fn"} & set(given.values())
        return
    path = tmp_path_factory.mktemp("model") / "policy.safetensors"
    save_arrays(path, model)
    back = load_arrays(path, model)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: (a == b).all() and a.dtype == b.dtype, model, back)))


class Named:
    """A place in a tree that prints as another does."""

    def __init__(self, name: int):
        self.name = name

    def __repr__(self) -> str:
        return "'a'"

    def __lt__(self, other: Named) -> bool:
        return self.name < other.name


def test_two_arrays_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="have one name"):
        check_storable(Odder({Named(0): jnp.ones(2), Named(1): jnp.zeros(2)}))
