"""Rollouts that are one ahead: who acted, that nothing else changes, and what becomes of one that nobody waits for."""

import time
from pathlib import Path
from typing import Any

import equinox as eqx
import gymnasium
import jax
import numpy as np
import pytest

import logpi
from logpi import DDPG, IMPALA, InputError, PPO, SAC, TD3
from logpi.envs import resolve
from logpi.errors import EnvironmentFault
from logpi.experience import Replay
from logpi.rollout import Overlapping
from tests.rollout.running import policy_for, rollout_in
from tests.training.test_environment_faults import Fragile
from tests.training.test_resume import files, Recorder, rewound

SMALL: dict[str, Any] = {
    "num_envs": 4, "rollout_length": 16, "steps": 640, "overlap": True, "network": logpi.Network(depth=1, width=8),
}  # fmt: skip
REPLAYED: dict[str, Any] = {"experience": Replay(4 * 16 * 4, batch_size=16), "warmup": 100, "updates_per_step": 1 / 8}
HOST = "gymnasium:CartPole-v1"


@pytest.mark.parametrize("env", ["phys2d:CartPole-v1", HOST], ids=["compiled", "host"])
def test_each_rollout_is_that_of_the_policy_before(env: str) -> None:
    source = resolve(env)
    rollout = rollout_in(source, 2, 8)
    overlapping = Overlapping(rollout)
    policies = [policy_for(source, seed=seed) for seed in range(4)]
    keys = jax.random.split(jax.random.key(0), 4)

    def collected(rollout: Any, policies: list[Any], state: Any, keys: Any) -> list[Any]:
        collect = eqx.filter_jit(rollout.collect) if rollout.compiled else rollout.collect
        found = []
        for policy, key in zip(policies, keys, strict=True):
            trajectory, state = collect(policy, state, key)
            found.append(jax.tree.map(np.asarray, trajectory))
        rollout.close(state)
        return found

    ahead = collected(overlapping, policies, overlapping.begin(policies[0], keys[0]), keys)
    first = [jax.random.fold_in(keys[0], 0xF1857), *keys[:3]]  # with what each was begun
    alone = collected(rollout, [policies[0], *policies[:3]], rollout.begin(policies[0], keys[0]), first)
    jax.tree.map(np.testing.assert_array_equal, ahead, alone)


@pytest.mark.parametrize(
    "algorithm", [PPO(num_epochs=2, num_minibatches=2), IMPALA(), SAC(**REPLAYED)], ids=lambda a: type(a).__name__
)
def test_compiled_it_is_stored_and_goes_on_bit_for_bit(algorithm: Any, tmp_path: Path) -> None:
    run = logpi.train("CartPole-v1", algorithm, **SMALL, out=tmp_path / "run", checkpoint_every=4)
    whole = files(tmp_path / "run")
    recorder = Recorder()
    logpi.resume(rewound(tmp_path / "run", 4), callbacks=recorder)
    assert files(tmp_path / "run") == whole and recorder.warnings == []
    assert run.settings.overlap and logpi.load(tmp_path / "run").settings.overlap


@pytest.mark.parametrize("algorithm", [TD3(**REPLAYED), DDPG(**REPLAYED), PPO()], ids=lambda a: type(a).__name__)
def test_on_the_host_it_is_the_same_whoever_is_faster(algorithm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an environment that takes its time, or without: then it is the update that one waits for."""

    def trained() -> tuple[Any, list[Any]]:
        run = logpi.train("gymnasium:Pendulum-v1", algorithm, **SMALL)
        return run.history, jax.tree.leaves(eqx.filter(run.models[0], eqx.is_array))

    def slowly(method: Any) -> Any:
        def later(*arguments: Any, **more: Any) -> Any:
            time.sleep(0.001)
            return method(*arguments, **more)

        return later

    history, networks = trained()
    monkeypatch.setattr(
        "gymnasium.envs.classic_control.pendulum.PendulumEnv.step",
        slowly(gymnasium.envs.classic_control.pendulum.PendulumEnv.step),
    )
    again, slow = trained()
    assert history == again
    jax.tree.map(np.testing.assert_array_equal, networks, slow)


def test_what_breaks_while_it_learns_loses_nothing(tmp_path: Path) -> None:
    """The 40th step is in the third rollout, which is begun before the second is learned from."""
    with pytest.raises(EnvironmentFault, match="the spring is broken") as fault:
        logpi.train(lambda: Fragile("raises"), **SMALL, out=tmp_path / "run")
    assert fault.value.run.summary["updates"] == 2
    with pytest.raises(EnvironmentFault):
        logpi.resume(tmp_path / "run", environment=lambda: Fragile("raises"))
    assert logpi.load(tmp_path / "run").summary["updates"] == 4


def test_an_environment_that_hangs_meanwhile_is_named() -> None:
    began = time.monotonic()
    with pytest.raises(EnvironmentFault, match="has not answered for"):
        logpi.train(lambda: Fragile("hangs"), **SMALL, step_timeout=0.5)
    assert time.monotonic() - began < 30  # and not the minute that it hangs


class Slow(gymnasium.Env):
    """A step takes a while."""

    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(2)
    steps, opened = 0, 0

    def __init__(self):
        Slow.opened += 1

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        Slow.steps += 1
        time.sleep(0.02)
        return np.zeros(2, np.float32), 1.0, False, False, {}

    def close(self):
        Slow.opened -= 1


def test_what_nobody_waits_for_is_given_up() -> None:
    Slow.steps = Slow.opened = 0
    logpi.train(Slow, PPO(num_epochs=1), **SMALL | {"num_envs": 1, "rollout_length": 100, "steps": 200})
    # Two rollouts are learned from. Of the third no more is done than while the second is.
    assert 200 <= Slow.steps < 300 and Slow.opened == 0


def test_closing_does_not_wait_for_one_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The 32nd step begins the rollout that nobody learns from any more."""
    monkeypatch.setattr("logpi.rollout.overlapping.PATIENCE", 0.2)
    began, recorder = time.monotonic(), Recorder()
    run = logpi.train(lambda: Fragile("hangs", 32), **SMALL | {"steps": 128}, callbacks=recorder)
    assert run.summary["updates"] == 2 and time.monotonic() - began < 30
    assert "could not be closed" in recorder.warnings[-1] and "still waited for" in recorder.warnings[-1]


def test_it_is_refused_where_who_acted_is_taken_for_who_learns() -> None:
    with pytest.raises(InputError, match=r"credit is VTrace\(.*, but PPO's surrogate does that already: take GAE"):
        PPO(credit=logpi.VTrace())
    with pytest.raises(InputError, match=r"overlap is True, but A2C takes its gradient for that .*take IMPALA, PPO"):
        logpi.preset("CartPole-v1", "a2c").with_(overlap=True)
