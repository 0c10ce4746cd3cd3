"""What a name means, and what is said where it means nothing."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from logpi.envs import CompiledSource, HostSource, names, resolve
from logpi.envs.adapters.envpool import EnvPoolVector
from logpi.envs.probes import Recall
from logpi.envs.sources import EnvPoolMaker, GymnasiumMaker
from logpi.errors import InputError
from logpi.spaces.actions import clip_to
from logpi.spaces.kinds import Box, Discrete
from tests.envs.worlds import Dice, Script

ROOT = Path(__file__).resolve().parents[2]


def without(monkeypatch, *packages: str) -> None:
    """As if packages were not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in packages else find(name, *a))
    if "envpool" in packages:
        monkeypatch.setattr(names, "envpool_ids", frozenset)


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1"])
def test_the_classics_are_the_compiled_twins_and_say_so(id: str) -> None:
    source = resolve(id)
    assert isinstance(source, CompiledSource) and source.name == id
    assert source.note == f"{id} runs compiled (Gymnasium's own JAX twin); gymnasium:{id} is the original."


def test_other_ids_are_envpools_where_it_has_them(monkeypatch) -> None:
    source = resolve("HalfCheetah-v5")
    assert isinstance(source, HostSource) and source.make == EnvPoolMaker("HalfCheetah-v5")
    assert source.note == "HalfCheetah-v5 runs in EnvPool; gymnasium:HalfCheetah-v5 is the original."
    assert source.action_space == Box((6,), -1.0, 1.0, "float64") and source.obs_space.shape == (17,)
    assert resolve("Blackjack-v1").make == GymnasiumMaker("Blackjack-v1")  # EnvPool's has another observation
    without(monkeypatch, "envpool")
    assert resolve("HalfCheetah-v5").make == GymnasiumMaker("HalfCheetah-v5")


@pytest.mark.parametrize("version", ["v4", "v5"])
@pytest.mark.parametrize(
    "robot", ["HalfCheetah", "Hopper", "Walker2d", "InvertedPendulum", "Swimmer", "Ant", "Reacher"]
)
def test_robots_are_the_same_in_envpool_and_gymnasium(robot: str, version: str) -> None:
    id = f"{robot}-{version}"
    one, other = resolve(f"envpool:{id}"), resolve(f"gymnasium:{id}")
    assert one.obs_space.shape == other.obs_space.shape
    assert one.action_space.shape == other.action_space.shape
    assert (one.action_space.low, one.action_space.high) == (other.action_space.low, other.action_space.high)
    for source in (one, other):
        env = source.make(1, 0)
        env.reset()
        obs, reward, terminated, truncated = env.step(np.zeros((1, *source.action_space.shape), np.float32))
        assert obs.dtype == reward.dtype == np.float32 and terminated.dtype == truncated.dtype == np.bool_
        env.close()


def test_bounds_of_envpool_that_mean_none() -> None:
    assert resolve("envpool:LunarLander-v3").obs_space == Box((8,))
    assert resolve("gymnasium:LunarLander-v3").obs_space.shape == (8,)


def test_images_of_envpool_have_their_channels_last() -> None:
    source = resolve("envpool:Pong-v5")
    assert source.obs_space == Box((84, 84, 4), 0.0, 255.0, "uint8") and source.action_space == Discrete(6)
    env = EnvPoolVector("Pong-v5", 2, 0)
    assert env.reset().shape == (2, 84, 84, 4)
    env.close()


def test_envpool_gets_no_action_beyond_its_bounds(monkeypatch) -> None:
    source, sent = resolve("envpool:Humanoid-v5"), []
    env = source.make(2, 0)
    pool = env._env
    drawn = np.array([[-9.0] * 17, [9.0] * 17], np.float32)
    with monkeypatch.context() as patch:
        patch.setattr(pool, "_send", lambda parts: sent.append(parts[-1]))
        env.send(np.asarray(clip_to(source.action_space, drawn)))  # 0.4 in 32 bits is more than it is in 64
    env.close()
    assert all(pool.action_space.contains(action) for action in sent[0]) and sent[0].flags.owndata


def test_an_observation_of_several_parts_from_envpool() -> None:
    source = resolve("envpool:HopperStand-v1")
    env = source.make(2, 0)
    obs, *_ = env.reset(), env.step(np.zeros((2, 4), np.float32))
    assert {name: part.shape for name, part in obs.items()} == {"position": (2, 6), "velocity": (2, 7), "touch": (2, 2)}
    assert set(dict(source.obs_space.parts)) == set(obs)
    with pytest.raises(InputError, match="shows no pictures here"):
        env.render()
    env.close()


def test_an_environment_of_the_users_own() -> None:
    by_module = resolve("tests.envs.worlds:Dice-v0")
    assert by_module.obs_space == Box((3,), 0.0, 1.0) and by_module.name == "tests.envs.worlds:Dice-v0"
    assert resolve("gymnasium:tests.envs.worlds:Dice-v0").obs_space == by_module.obs_space
    assert resolve("Dice-v0").obs_space == by_module.obs_space  # registered by now
    assert resolve(Dice).obs_space == resolve(lambda: Dice()).obs_space == by_module.obs_space
    assert resolve(lambda: gymnasium.make("Dice-v0")).name == "Dice-v0"
    assert resolve(Script).name == "Script"
    assert resolve(Recall()).env == Recall()
    assert resolve(resolve("CartPole-v1")) == resolve("CartPole-v1")


def test_options_reach_the_environment() -> None:
    assert resolve("CartPole-v1", sutton_barto_reward=True).make.options == {"sutton_barto_reward": True}
    short = resolve("gymnasium:Pendulum-v1", max_episode_steps=2).make(1, 0)
    short.reset()
    assert [short.step(np.zeros((1, 1)))[3].item() for _ in range(2)] == [False, True]
    assert resolve("HalfCheetah-v5", num_threads=1).make == EnvPoolMaker("HalfCheetah-v5", {"num_threads": 1})
    shown = resolve("HalfCheetah-v5", render_mode="rgb_array")  # EnvPool has no such option, Gymnasium has
    assert shown.make == GymnasiumMaker("HalfCheetah-v5", {"render_mode": "rgb_array"})


def test_equal_makers_serve_the_same_programs() -> None:
    one, other = resolve("FrozenLake-v1", desc=["SF", "FG"]).make, resolve("FrozenLake-v1", desc=["SF", "FG"]).make
    assert one == other and hash(one) == hash(other)
    assert one != resolve("FrozenLake-v1").make


def test_pictures() -> None:
    env = resolve("gymnasium:CartPole-v1", render_mode="rgb_array").make(2, 0)
    env.reset()
    assert env.render().shape == (2, 400, 600, 3) and env.render().dtype == np.uint8
    env.close()
    blind = resolve("gymnasium:CartPole-v1").make(1, 0)
    blind.reset()
    with pytest.raises(InputError, match="shows nothing: make it with render_mode='rgb_array'"):
        blind.render()


SENTENCES = {
    "HalfCheeta-v5": r"There is no environment 'HalfCheeta-v5'; the nearest: HalfCheetah-v5, ",
    "cartpole-v1": r"no environment 'cartpole-v1'; the nearest: CartPole-v1",
    "HalfCheetah": r"the nearest: HalfCheetah-v",
    "Breakout-MinAtar": r"the nearest: gymnax:Breakout-MinAtar",
    "recall": r"the nearest: probe:recall",
    "gymnax:Breakout": r"no environment 'gymnax:Breakout'; the nearest: gymnax:Breakout-MinAtar",
    "envpool:HalfCheeta-v5": r"the nearest: envpool:HalfCheetah-v5",
    "gymnasium:HalfCheetah-v9": r"the nearest: gymnasium:HalfCheetah-v",
    "phys2d:CartPole-v2": r"the nearest: phys2d:CartPole-v",
    "probe:recal-box": r"the nearest: probe:recall-box",
    "qqqqqqqqqqqqqqqq": r"Gymnasium's, EnvPool's, gymnax:\.\.\., phys2d:\.\.\. and probe:\.\.\. are known",
    "nosuchmodule:Env-v0": r"nosuchmodule:Env-v0 is not there \(No module named .*: name a module that registers",
    "tests.envs.worlds:Nothing-v0": r"Nothing-v0 is not there \(Environment `Nothing` doesn't exist\): name a module",
    "gymnasium:HalfCheetah-v3": r"Gymnasium cannot make HalfCheetah-v3 \(ImportError: .* moved to the gymnasium-rob",
    "envpool:TicTacToe-v0": r"several players|There is no environment",
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_name_that_means_nothing_gets_one_sentence(name: str) -> None:
    with pytest.raises(InputError, match=SENTENCES[name]) as caught:
        resolve(name)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_what_is_no_environment() -> None:
    for given, sentence in (
        (3, "3 is no environment: give a name, a function"),
        (Script(), "is one environment, but several are needed: give the function that makes it"),
        (lambda: 3, "made 3, but it must make a gymnasium.Env"),
        (lambda: 1 / 0, r"raised ZeroDivisionError \(division by zero\): mend it"),
    ):
        with pytest.raises(InputError, match=sentence):
            resolve(given)
    with pytest.raises(InputError, match="options go with a name"):
        resolve(Script, obs="box")
    with pytest.raises(InputError, match=r"speed is no option of EnvPool's Hopper-v5; its options are .*num_threads"):
        resolve("envpool:Hopper-v5", speed=3)
    with pytest.raises(InputError, match=r"Gymnasium cannot make CartPole-v1 with \{'speed': 3\} \(TypeError"):
        resolve("CartPole-v1", speed=3)
    with pytest.raises(InputError, match="probe:recall does not take these options"):
        resolve("probe:recall", speed=3)


@pytest.mark.parametrize(
    ("name", "package", "module", "extra"),
    [
        ("gymnasium:HalfCheetah-v5", "MuJoCo", "gymnasium.envs.mujoco", "mujoco"),
        ("gymnasium:LunarLander-v3", "Box2D", "gymnasium.envs.box2d", "box2d"),
    ],
)
def test_a_simulator_that_is_missing(name: str, package: str, module: str, extra: str, monkeypatch) -> None:
    def refuse(*args, **kwargs):
        raise gymnasium.error.DependencyNotInstalled("no simulator")

    monkeypatch.setattr(gymnasium, "make", refuse)
    id = name.partition(":")[2]
    with pytest.raises(
        InputError, match=rf'{id} needs {package}, which is not installed: pip install "logpi\[{extra}\]"'
    ):
        resolve(name)


def test_a_suite_that_is_missing(monkeypatch) -> None:
    without(monkeypatch, "envpool", "gymnax")
    for name, extra in (("envpool:Hopper-v5", "envpool"), ("gymnax:Breakout-MinAtar", "gymnax")):
        with pytest.raises(InputError, match=rf'which is not installed: pip install "logpi\[{extra}\]"'):
            resolve(name)
    with pytest.raises(InputError, match=r'more come with pip install "logpi\[gymnax\]"'):
        resolve("Breakout-MinAtar")


def test_without_flax_the_original_serves(monkeypatch) -> None:
    without(monkeypatch, "flax")
    assert resolve("CartPole-v1").name == "CartPole-v1" and not resolve("CartPole-v1").compiled
    with pytest.raises(InputError, match="needs flax: pip install flax"):
        resolve("phys2d:CartPole-v1")


def test_names_cost_only_the_imports_that_they_need_and_make_no_noise() -> None:
    code = """
import sys
import logpi.envs, logpi.rollout
assert not {"gymnasium", "envpool", "gymnax", "flax"} & set(sys.modules), sorted(sys.modules)
logpi.envs.resolve("CartPole-v1")
assert not {"envpool", "gymnax"} & set(sys.modules)
logpi.envs.resolve("gymnasium:HalfCheetah-v4").make(2, 0).reset()
assert not {"envpool", "gymnax"} & set(sys.modules)
logpi.envs.resolve("HalfCheetah-v4").make(2, 0).reset()
logpi.envs.resolve("LunarLander-v3").make(2, 0).reset()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (ROOT / "MUJOCO_LOG.TXT").exists()


@pytest.mark.parametrize(
    ("name", "package", "cure"),
    [
        ("BreakoutNoFrameskip-v4", "ale_py", "ale-py brings it: pip install ale-py, and"),
        (
            "gymnasium:MiniGrid-Empty-8x8-v0",
            "minigrid",
            "minigrid brings it: pip install minigrid, and name it ",
        ),
        ("minigrid:MiniGrid-Empty-8x8-v0", "minigrid", "pip install minigrid, and name it minigrid:MiniGrid-Empty"),
        (
            "dm_control/cartpole-swingup-v0",
            "shimmy",
            'pip install "shimmy[dm-control]", and name it shimmy:dm_',
        ),
        ("FetchReach-v4", "gymnasium_robotics", "pip install gymnasium-robotics, and name it gymnasium_robotics:Fetch"),
    ],
)
def test_a_name_is_told_what_brings_it(name: str, package: str, cure: str, monkeypatch) -> None:
    without(monkeypatch, package, "envpool")
    monkeypatch.delitem(gymnasium.registry, name, raising=False)
    monkeypatch.delitem(sys.modules, package, raising=False)
    with pytest.raises(InputError) as caught:
        resolve(name)
    assert cure in str(caught.value) and "nearest" not in str(caught.value)


def test_a_package_that_is_there_only_has_to_be_named(monkeypatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: name == "ale_py" or find(name, *a))
    monkeypatch.delitem(gymnasium.registry, "PongNoFrameskip-v4", raising=False)
    monkeypatch.delitem(sys.modules, "ale_py", raising=False)
    with pytest.raises(InputError, match="name it ale_py:PongNoFrameskip-v4; ALE/Pong-v5 is prepared for learning"):
        resolve("PongNoFrameskip-v4")
    monkeypatch.setitem(sys.modules, "ale_py", sys)  # it has been imported: then there is no such game
    with pytest.raises(InputError, match="There is no environment 'PonggNoFrameskip-v4'; "):
        resolve("PonggNoFrameskip-v4")
