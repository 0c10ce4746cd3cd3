"""Which environments a name and options make again, and that no other is played in their place in silence."""

import json
from collections import deque
from pathlib import Path

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi.cli.main import main
from logpi.envs import resolve
from logpi.envs.named import alike, Named
from logpi.envs.probes import Recall
from logpi.errors import InputError
from logpi.runs.run import skeleton
from logpi.runs.settings import Settings
from tests.envs import worlds  # registers Script-v0 and Dice-v0

AGAIN = r"give it again, as environment= in Python or as --env FILE.py:NAME"
wrappers = gymnasium.wrappers


def changed(**attributes):
    """A function that makes a CartPole-v1 whose own attributes are changed."""

    def make():
        env = gymnasium.make("CartPole-v1")
        for name, value in attributes.items():
            setattr(env.unwrapped, name, value)
        return env

    return make


def light():
    """A robot whose world has another gravity, which is kept in an object of C."""
    env = gymnasium.make("InvertedPendulum-v5")
    env.unwrapped.model.opt.gravity[2] = -1.6
    return env


class Louder(gymnasium.RewardWrapper):
    """Notes nothing of itself in the specification."""

    def reward(self, reward):
        return 2 * float(reward)


NAMES = {
    "a compiled twin": ("CartPole-v1", {}, Named("phys2d:CartPole-v1")),
    "a suite": ("gymnasium:Acrobot-v1", {}, Named("gymnasium:Acrobot-v1")),
    "Gymnasium's alone": ("Blackjack-v1", {}, Named("gymnasium:Blackjack-v1")),
    "an option": ("Blackjack-v1", {"natural": True}, Named("gymnasium:Blackjack-v1", {"natural": True})),
    "a list": ("FrozenLake-v1", {"desc": ["SF", "FG"]}, Named("gymnasium:FrozenLake-v1", {"desc": ["SF", "FG"]})),
    "a limit": ("Dice-v0", {"max_episode_steps": 9}, Named("gymnasium:Dice-v0", {"max_episode_steps": 9})),
    "a module": ("tests.envs.worlds:Dice-v0", {}, Named("gymnasium:tests.envs.worlds:Dice-v0")),
    "one's own": ("Dice-v0", {}, Named("gymnasium:Dice-v0")),
    "of a twin": ("phys2d:CartPole-v1", {"gravity": 5.0}, Named("phys2d:CartPole-v1", {"gravity": 5.0})),
    "gymnax": ("gymnax:CartPole-v1", {}, Named("gymnax:CartPole-v1")),
    "a probe": ("probe:recall", {"length": 4}, Named("probe:recall", {"length": 4})),
    "a tuple, which comes back as a list": ("FrozenLake-v1", {"desc": ("SF", "FG")}, None),
    "an object": ("Script-v0", {"breaks_at": np.int64(3)}, None),
}


@pytest.mark.parametrize("what", NAMES)
def test_a_name_and_its_options_are_noted(what: str) -> None:
    name, options, expected = NAMES[what]
    if name.startswith("gymnax"):
        pytest.importorskip("gymnax")
    source = resolve(name, **options)
    assert source.named == expected and source.name == name
    if expected is not None:
        again = resolve(expected.name, **expected.options)
        assert again.named == expected and (again.obs_space, again.compiled) == (source.obs_space, source.compiled)


FUNCTIONS = {
    "plain": (lambda: gymnasium.make("MountainCar-v0"), Named("gymnasium:MountainCar-v0")),
    "unchecked": (lambda: gymnasium.make("Acrobot-v1", disable_env_checker=True), Named("gymnasium:Acrobot-v1")),
    "a limit": (
        lambda: gymnasium.make("MountainCar-v0", max_episode_steps=30),
        Named("gymnasium:MountainCar-v0", {"max_episode_steps": 30}),
    ),
    "an argument": (
        lambda: gymnasium.make("FrozenLake-v1", is_slippery=False),
        Named("gymnasium:FrozenLake-v1", {"is_slippery": False}),
    ),
    "drawn": (lambda: gymnasium.make("CartPole-v1", render_mode="rgb_array"), Named("gymnasium:CartPole-v1")),
    "one's own id": (lambda: gymnasium.make("Script-v0", obs="dict"), Named("gymnasium:Script-v0", {"obs": "dict"})),
    "the attribute that it had": (changed(length=0.5), Named("gymnasium:CartPole-v1")),
    "another attribute": (changed(length=2.0), None),
    "a new attribute": (changed(more=1), None),
    "another space": (changed(action_space=gymnasium.spaces.Discrete(2, start=1)), None),
    "a function in the place of a method": (changed(step=lambda action: None), None),
    "without its limit": (
        lambda: gymnasium.make("CartPole-v1").unwrapped,
        Named("gymnasium:CartPole-v1", {"max_episode_steps": -1}),
    ),
    "a limit around it": (
        lambda: wrappers.TimeLimit(gymnasium.make("CartPole-v1").unwrapped, 7),
        Named("gymnasium:CartPole-v1", {"max_episode_steps": 7}),
    ),
    "a robot": (lambda: gymnasium.make("InvertedPendulum-v5"), Named("gymnasium:InvertedPendulum-v5")),
    "a robot on the moon": (light, None),
    "two limits": (lambda: wrappers.TimeLimit(gymnasium.make("CartPole-v1"), 7), None),
    "a noted wrapper": (lambda: wrappers.TransformReward(gymnasium.make("MountainCar-v0"), lambda r: r + 100), None),
    "a wrapper with plain arguments": (lambda: wrappers.FrameStackObservation(gymnasium.make("CartPole-v1"), 2), None),
    "a wrapper of one's own": (lambda: Louder(gymnasium.make("CartPole-v1")), None),
    "no id": (worlds.Dice, None),
}


@pytest.mark.parametrize("what", FUNCTIONS)
def test_what_a_function_makes_is_told_by_a_name_only_where_that_makes_the_same(what: str) -> None:
    make, expected = FUNCTIONS[what]
    assert resolve(make).named == expected


def test_objects_have_no_name() -> None:
    vector = gymnasium.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
    assert resolve(Recall(length=2)).named is None and resolve(vector).named is None
    vector.close()


def test_what_consists_of_the_same() -> None:
    class Thing:
        def __init__(self, **parts):
            vars(self).update(parts)

    rng, array = np.random.default_rng, np.arange(3.0)
    pairs = [
        (Thing(a=[1, {"b": (2.0, np.nan)}]), Thing(a=[1, {"b": (2.0, np.nan)}]), True),
        (Thing(a=rng(0)), Thing(a=rng(1)), True),
        (Thing(a=array), Thing(a=array.copy()), True),
        (Thing(a=array), Thing(a=array + 1), False),
        (Thing(a=array), Thing(a=array.astype(np.float32)), False),
        (deque([1, 2]), deque([1, 3]), False),
        (deque([1, 2]), deque([1, 2]), True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        (1, True, False),
        (Thing(a=jnp.ones(2)), Thing(a=jnp.ones(2)), True),
        (Thing(a=jnp.ones(2)), Thing(a=jnp.zeros(2)), False),
        (iter([1]), iter([1]), False),  # cannot be looked into
    ]
    for one, other, same in pairs:
        assert alike(one, other) is same, (one, other)
    one, other = Thing(), Thing()
    one.me, other.me = one, other  # goes round
    assert alike(one, other)
    other.me = one
    one.more = 1
    assert not alike(one, other)


def saved(folder: Path, env, **options) -> Path:
    """The folder of a run that knows nothing yet, as if it had been trained there."""
    source = resolve(env, **options)
    settings = Settings(num_envs=2, rollout_length=8, network=logpi.Network(width=4, depth=1))
    run = logpi.Run(
        source.name, settings, (0,), (), source.obs_space, source.action_space, [], {}, {}, named=source.named,
    )  # fmt: skip
    model = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), skeleton(run, settings.network))
    return logpi.Run(**{**vars(run), "models": (model,)}).save(folder)


def wrapped():
    """A registered environment that pays 100 more."""
    return wrappers.TransformReward(gymnasium.make("MountainCar-v0", max_episode_steps=30), lambda r: r + 100)


def test_options_are_kept_and_used_again(tmp_path: Path) -> None:
    run = logpi.load(saved(tmp_path / "a", lambda: gymnasium.make("MountainCar-v0", max_episode_steps=30)))
    assert json.loads((tmp_path / "a/config.json").read_text())["named"]["options"] == {"max_episode_steps": 30}
    source = run.source()
    assert source.name == run.env == "MountainCar-v0" and source.make.options == {"max_episode_steps": 30}
    twin = logpi.load(saved(tmp_path / "b", "CartPole-v1")).source()
    assert twin.compiled and twin.name == "CartPole-v1"


def test_what_no_name_tells_must_be_given_again(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", wrapped)
    run = logpi.load(folder)
    sentence = rf"trained in an environment of your own \(MountainCar-v0\), which no name tells: {AGAIN}"
    for refused in (
        run.evaluate,
        lambda: logpi.resume(folder),
        lambda: logpi.audit.run(folder),
        lambda: logpi.explain.run_page(folder),
    ):
        with pytest.raises(InputError, match=sentence):
            refused()
    page = logpi.report.page(folder)
    assert "which no name tells: give it again" not in page or "Left out" in page
    assert logpi.load(folder, environment=wrapped).source().make.function is wrapped
    assert run.evaluate(2, env=wrapped).returns.mean() == 30 * 99


@pytest.mark.parametrize(
    "command", ["evaluate", "resume", "watch --video a.gif", "audit run", "audit policy", "explain", "train --from"]
)
def test_every_command_asks_for_it(command: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = saved(tmp_path / "run", wrapped)
    assert main([*command.split(), str(folder)]) == 2
    assert "which no name tells: give it again" in capsys.readouterr().err


def test_a_command_takes_it_from_a_file(tmp_path: Path, capsys) -> None:
    folder = saved(tmp_path / "run", wrapped)
    own = tmp_path / "own.py"
    own.write_text("from tests.envs.test_named import wrapped\n")
    assert main(["evaluate", str(folder), "--episodes", "2", "--env", f"{own}:wrapped", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean"]["value"] == 30 * 99
    assert (folder / "evaluation.json").exists()


def test_what_is_not_there_any_more_is_said_with_the_cure(tmp_path: Path) -> None:
    gymnasium.register("Passing-v0", worlds.Dice)
    folder = saved(tmp_path / "run", "Passing-v0")
    assert logpi.load(folder).source().named == Named("gymnasium:Passing-v0")
    del gymnasium.registry["Passing-v0"]
    with pytest.raises(InputError, match=rf"There is no environment .*: register or install it, or {AGAIN}"):
        logpi.load(folder).source()


WRONG = (1, "a", [], {"suite": 1, "options": {}}, {"suite": "os", "options": {}}, {"suite": "gymnasium"})


@pytest.mark.parametrize("named", WRONG, ids=repr)
def test_a_damaged_name_is_refused(named, tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", "CartPole-v1")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"named": named}))
    with pytest.raises(InputError, match="for named: the run folder is damaged"):
        logpi.load(folder)


def test_a_module_that_nobody_asked_for_is_not_imported(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", "CartPole-v1")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"env": "antigravity:Env-v0"}))
    with pytest.raises(InputError, match="the module 'antigravity' would be imported"):
        logpi.load(folder).source()
