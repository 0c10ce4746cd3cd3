"""Atari: what a name brings, what the learner sees of rewards and lives, and that frames stay bytes to the update."""

import types

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi.envs import first_timestep, resolve
from logpi.envs.adapters.envpool import option_names
from logpi.envs.base import AbstractEnv, Timestep
from logpi.envs.seen import is_seen, SeenGame
from logpi.envs.sources import as_judged, EnvPoolMaker
from logpi.errors import InputError
from logpi.models import make_actor_critic
from logpi.rollout.host import HostRollout
from logpi.rollout.make import make_rollout
from logpi.runs.presets import ATARI, GENERAL
from logpi.runs.run import Run
from logpi.spaces.actions import clip_to
from logpi.spaces.kinds import Box, Discrete
from logpi.training.loop import Trainer

STANDARD = {"frame_skip": 4, "stack_num": 4, "noop_max": 30, "use_fire_reset": True, "img_height": 84, "img_width": 84}
LIFE = {"episodic_life": True, "num_threads": 1}
SMALL = {"num_envs": 2, "rollout_length": 8, "num_minibatches": 1, "num_epochs": 1, "width": 8, "anneal": 0.0}


def ends(source, steps: int) -> int:
    """How many episodes end under random actions, from one seed."""
    env, random, found = source.make(4, 0), np.random.default_rng(0), 0
    env.reset()
    for _ in range(steps):
        _, _, terminated, truncated = env.step(random.integers(4, size=4))
        found += int((terminated | truncated).sum())
    env.close()
    return found


def test_every_game_has_the_published_settings() -> None:
    names = ["envpool:Pong-v5", "Breakout-v5", "ALE/Pong-v5", "ale:Breakout-v5", "gymnasium:ALE/Pong-v5"]
    assert all(logpi.preset(name) is ATARI for name in names)
    assert logpi.preset("envpool:HalfCheetah-v5") is not ATARI
    assert logpi.preset("MyOwn-v5") is GENERAL["ppo"] and logpi.preset("gymnasium:Pong-v5") is GENERAL["ppo"]
    assert ATARI.steps_per_rollout // ATARI.algorithm.num_minibatches == 256
    assert all(logpi.preset("ALE/Pong-v5", other).reward_clipping == 1 for other in ("a2c", "sac"))


def test_envpools_games_are_prepared_and_told_as_they_are() -> None:
    spec = pytest.importorskip("envpool").make_spec("Breakout-v5")
    options = dict(zip(spec._config_keys, spec._config_values, strict=True))
    assert option_names("Breakout-v5") >= STANDARD.keys() and options.items() >= STANDARD.items()
    assert not (options["reward_clip"] or options["episodic_life"] or options["repeat_action_probability"])


def test_an_evaluation_plays_whole_games() -> None:
    source = resolve("envpool:Breakout-v5", **LIFE)
    assert as_judged(source).make == EnvPoolMaker("Breakout-v5", {"num_threads": 1})
    assert ends(source, 100) > 0 == ends(as_judged(source), 100)
    run = types.SimpleNamespace(rollout=lambda source, *sizes: make_rollout(source, *sizes, clip_to))
    assert Run.playing(run, source, 2).make.options == {"num_threads": 1}  # type: ignore[arg-type]


class Jackpot(AbstractEnv):
    """Episodes of one step, which pay 100."""

    obs_space: Box = Box((1,), 0.0, 1.0)
    action_space: Discrete = Discrete(2)

    def reset(self, key):
        return jnp.zeros(()), first_timestep(jnp.zeros(1))

    def step(self, key, state, action):
        return state, Timestep(jnp.zeros(1), jnp.asarray(100.0), jnp.ones((), bool), jnp.zeros((), bool))


def test_people_see_returns_and_the_learner_clipped_rewards() -> None:
    settings = {**SMALL, "steps": 64, "value_clip": np.inf}
    run = logpi.train(Jackpot(), reward_clipping=1.0, evaluate_every=1, **settings)
    assert all(row["return_mean"] == 100 for row in run.history)
    assert run.evaluations[-1]["return_mean"] == 100 == run.evaluate(2, env=Jackpot()).mean.value
    assert all(row["value_error"] < 5 for row in run.history)
    assert run.history[0]["reward"] == 100  # whose error would be 5,000


def test_frames_are_bytes_up_to_the_compiled_update() -> None:
    """In the buffers and in what programs are given; there is no program outside that makes floats of them."""
    source = resolve("envpool:Breakout-v5", num_threads=1)
    network = logpi.Network(width=8)
    model = make_actor_critic(source.obs_space, source.action_space, network, key=jax.random.key(0))
    rollout = HostRollout(source.obs_space, source.action_space, source.make, 2, 3)
    state = rollout.init(model, jax.random.key(1))
    try:
        trajectory, state = rollout.collect(model, state, jax.random.key(2))
    finally:
        rollout.close(state)
    assert state.obs.dtype == trajectory.obs.dtype == trajectory.last_obs.dtype == np.uint8
    assert trajectory.obs.shape == (2, 3, 84, 84, 4) and int(trajectory.obs.max()) > 1
    trainer = Trainer(logpi.PPO(num_minibatches=1, num_epochs=1), rollout)
    start = trainer.blank(model, 1, jax.random.key(3))
    program = jax.make_jaxpr(lambda x: jax.tree.leaves(trainer.learn(start, x, None, jax.random.key(4))[1]))(trajectory)
    taken = {(v.aval.shape, str(v.aval.dtype)) for v in program.jaxpr.invars if v.aval.ndim > 2}
    assert taken == {((2, 3, 84, 84, 4), "uint8"), ((2, 84, 84, 4), "uint8")}


@pytest.fixture
def ale():
    """ale-py, whose names are there for the test alone."""
    before = dict(gymnasium.registry)
    ale_py = pytest.importorskip("ale_py")
    if "ALE/Pong-v5" not in gymnasium.registry:
        ale_py.register_v5_envs()
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


@pytest.mark.usefixtures("ale")
def test_games_of_ale_py_by_name() -> None:
    source = resolve("ALE/Breakout-v5")
    assert source.obs_space == Box((4, 84, 84), 0.0, 255.0, "uint8") and source.action_space == Discrete(4)
    assert source.named == resolve(source.named.name).named and resolve("ale:Breakout-v5").make == source.make
    env = source.make(2, 0)
    given, game = env._env.spec.kwargs, env._env.unwrapped
    assert hasattr(game, "ale")
    env.close()
    assert not hasattr(game, "ale")  # nor its threads
    assert given["repeat_action_probability"] == 0.25 and given["reward_clipping"] is False
    living = resolve("ALE/Breakout-v5", episodic_life=True)
    assert ends(living, 100) > 0 == ends(as_judged(living), 100)
    with pytest.raises(InputError, match="the nearest: ALE/Pong-v5"):
        resolve("ALE/Pongg-v5")
    with pytest.raises(InputError, match="life_loss_info is no option of ale-py's Pong-v5; its options are continuous"):
        resolve("ALE/Pong-v5", life_loss_info=True)
    with pytest.raises(InputError, match="but ALE/Pong-v5 has none: it is compiled, has threads"):
        resolve("ALE/Pong-v5", processes=2)


@pytest.mark.usefixtures("ale")
def test_games_of_ale_py_are_trained_saved_and_evaluated(tmp_path) -> None:
    logpi.train("ALE/Pong-v5", steps=1, out=tmp_path / "run", **SMALL)
    run = logpi.load(tmp_path / "run")
    assert run.settings.reward_clipping == 1 and run.source().name == "ALE/Pong-v5"
    assert run.playing(run.source(), 2).obs_space == run.obs_space


def test_without_ale_py_its_games_are_told_what_brings_them(monkeypatch) -> None:
    monkeypatch.setattr("logpi.envs.names.is_installed", lambda package: package != "ale_py")
    with pytest.raises(InputError, match=r'ALE/Pong-v5 needs ale-py, .*: pip install "logpi\[atari\]"'):
        resolve("ALE/Pong-v5")


def test_a_game_that_draws_nothing_is_filmed_by_what_is_observed() -> None:
    source = resolve("envpool:Breakout-v5", **LIFE)
    assert is_seen(source) and not is_seen(resolve("envpool:CarRacing-v3")) and not is_seen(resolve("CartPole-v1"))
    game = SeenGame(source)
    obs, _ = game.reset(seed=3)
    again, _ = game.reset(seed=3)
    np.testing.assert_array_equal(obs, again)
    for _ in range(3):
        obs, reward, terminated, truncated, _ = game.step(np.int64(2))
    picture = game.render()
    game.close()
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    assert picture.shape == (336, 336, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[::4, ::4, 1], obs[:, :, 3])
    assert (obs[:, :, 2] != obs[:, :, 3]).any()  # it moves
