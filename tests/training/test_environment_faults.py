"""Environments that break down, misbehave or hang: it is said where, nothing learned is lost, training can go on."""

import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import logpi
from logpi import InputError
from logpi.errors import EnvironmentFault
from logpi.runs.checkpoints import listed
from tests.training.test_resume import Recorder

SMALL = {"num_envs": 3, "rollout_length": 16, "steps": 48 * 6}


class Fragile(gymnasium.Env):
    """Breaks down in a way of its own at the 40th step of each instance (all steps of an instance counted)."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    made = 0

    def __init__(self, how: str, at: int = 40):
        self.how, self.at, self.steps = how, at, 0
        Fragile.made += 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps, self.time = self.steps + 1, self.time + 1
        obs, end = np.full(2, self.time / 30, np.float32), self.time >= 25
        if self.steps == self.at:
            match self.how:
                case "raises":
                    raise RuntimeError("the spring is broken")
                case "shape":
                    return np.zeros(3, np.float32), 1.0, end, False, {}
                case "four things":
                    return obs, 1.0, end, {}
                case "reward of an axis":
                    return obs, np.ones(1), end, False, {}
                case "no reward":
                    return obs, None, end, False, {}
                case "no info":
                    return obs, 1.0, end, False, None
                case "a reward in words":
                    return obs, "high", end, False, {}
                case "an array of ends":
                    return obs, 1.0, np.zeros(2, bool), False, {}
                case "exits":
                    raise SystemExit(0)
                case "hangs":
                    time.sleep(60)
        return obs, 1.0, end, False, {}


SENTENCES = {
    "raises": r"Environment 0 of .* \(seed \d+\) broke down in episode \d at step \d+, on the action [01] "
    r"\(RuntimeError: the spring is broken\): mend it",
    "shape": r"an observation of shape \(3,\), but its space has \(2,\)",
    "four things": "step returned 4 things",
    "reward of an axis": r"Environment 0 of .*the reward of shape \(1,\), but a reward is one number",
    "no reward": "the reward None, but a reward is one number",
    "no info": "the info None, but an info is a dictionary",
    "a reward in words": "the reward 'high', but a reward is one number",
    "an array of ends": "terminated or truncated as an array",
    "exits": r"broke down in episode \d at step \d+, on the action [01] \(SystemExit: 0\)",
}


@pytest.mark.parametrize("how", SENTENCES)
def test_it_stops_and_says_where(how: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=SENTENCES[how]):
        logpi.train(lambda: Fragile(how), out=tmp_path / "run", **SMALL)
    run = logpi.load(tmp_path / "run")
    assert [row["iteration"] for row in run.history] == [1, 2]
    assert [int(path.name) for path in listed(tmp_path / "run/checkpoints")] == [2]


@pytest.mark.parametrize("how", SENTENCES)
def test_it_is_restarted_counted_and_left_out(how: str) -> None:
    recorder, Fragile.made = Recorder(), 0
    run = logpi.train(lambda: Fragile(how), on_env_error="restart", callbacks=recorder, **SMALL)
    broken = 3 * ((6 * 16) // 40)
    assert run.summary["restarts"] in (broken - 3, broken) and Fragile.made == 1 + 3 + run.summary["restarts"]
    assert len(recorder.warnings) == run.summary["restarts"] and "made anew" in recorder.warnings[0]
    # Rows that reset, and those on which an environment broke down, are no steps of the agent.
    assert all(np.isfinite(row["gradient_norm"]) for row in run.history)
    assert 6 * 48 - run.summary["steps"] >= run.summary["restarts"]


class Astray(gymnasium.Env):
    """Gives one observation at its fifth step, and another at all others."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, space: gymnasium.Space, usual, fifth):
        self.observation_space, self.usual, self.fifth = space, usual, fifth

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self.usual, {}

    def step(self, action):
        self.time += 1
        return self.fifth if self.time == 5 else self.usual, 1.0, self.time >= 9, False, {}


@pytest.mark.parametrize(
    ("space", "usual", "fifth", "shown"),
    [
        (gymnasium.spaces.Discrete(4, start=1), 1, 5, r"5, which is not in Discrete\(4, start=1\)"),
        (gymnasium.spaces.MultiDiscrete([2, 3]), [0, 2], [0, -1], "-1, which is not in MultiDiscrete"),
        (gymnasium.spaces.Dict(a=gymnasium.spaces.MultiBinary(2)), {"a": [0, 1]}, {"a": [0, 2]}, "2, which is not in"),
        (type("Own", (gymnasium.spaces.Discrete,), {})(3), 2, 1.5, "1.5, which is not in"),
    ],
    ids=["one", "several", "inside", "a fraction"],
)
def test_no_choice_is_made_of_what_is_none(space, usual, fifth, shown) -> None:
    usual, fifth = ({"a": np.array(x["a"])} if isinstance(x, dict) else np.array(x) for x in (usual, fifth))
    with pytest.raises(EnvironmentFault, match=r"at step 5, on the action [01] .*an observation of " + shown):
        logpi.train(lambda: Astray(space, usual, fifth), **SMALL)
    run = logpi.train(lambda: Astray(space, usual, fifth), on_env_error="restart", callbacks=Recorder(), **SMALL)
    assert run.summary["restarts"] > 5


def test_a_number_beyond_its_bounds_is_told_once_and_seen() -> None:
    box = gymnasium.spaces.Box(-1, 1, (2,))
    near, far = np.array([0.5, 1.000001], np.float32), np.array([0.5, 7.0], np.float32)
    with pytest.warns(RuntimeWarning, match=r"Environment \d of .* at step 5, .* of 7, which is not in Box") as told:
        run = logpi.train(lambda: Astray(box, near, far), **SMALL)
    assert len([w for w in told if "which is not in" in str(w.message)]) == 3 and len(run.history) == 6


@pytest.mark.filterwarnings("ignore:Environment")
def test_a_number_beyond_its_bounds_hides_no_choice_that_is_none() -> None:
    space = gymnasium.spaces.Tuple((gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(2)))
    far, wrong = np.full(2, 9, np.float32), np.array(2)
    with pytest.raises(EnvironmentFault, match=r"of 2, which is not in Discrete\(2\)"):
        logpi.train(lambda: Astray(space, (far, np.array(1)), (far, wrong)), **SMALL)


def test_a_reset_without_an_info_is_named() -> None:
    class Silent(Fragile):
        def reset(self, *, seed=None, options=None):
            return super().reset(seed=seed)[0], None

    with pytest.raises(EnvironmentFault, match=r"Environment 0 of .* as it was reset .*the info None"):
        logpi.train(lambda: Silent("not at all"), **SMALL)


def test_what_breaks_down_at_every_step_is_not_restarted_for_ever() -> None:
    with pytest.raises(EnvironmentFault, match="the spring is broken"):
        logpi.train(lambda: Fragile("raises", at=1), on_env_error="restart", **SMALL)


def test_one_that_hangs_is_named_and_nobody_waits_for_it(tmp_path: Path) -> None:
    before = time.monotonic()
    with pytest.raises(EnvironmentFault, match=r"has not answered for \d s, at step 8 of a rollout, on the actions \["):
        logpi.train(lambda: Fragile("hangs"), out=tmp_path / "run", step_timeout=1.0, **SMALL)
    assert time.monotonic() - before < 50
    assert [row["iteration"] for row in logpi.load(tmp_path / "run").history] == [1, 2]


def test_one_that_hangs_as_the_policy_is_evaluated_is_not_waited_for_either(tmp_path: Path) -> None:
    plan = logpi.EvaluationPlan(2, episodes=4, env=lambda: Fragile("hangs"))
    with pytest.raises(EnvironmentFault, match=r"has not answered for \d s, at step \d+ of a rollout"):
        logpi.train(lambda: Fragile("never"), evaluate_every=plan, out=tmp_path / "run", step_timeout=1.0, **SMALL)
    assert logpi.load(tmp_path / "run").summary["updates"] == 0


def test_where_one_cannot_be_restarted_it_is_said() -> None:
    with pytest.raises(InputError, match="cannot be restarted one by one"):
        logpi.train("envpool:CartPole-v1", on_env_error="restart", **SMALL)


def test_the_row_before_is_the_last_of_its_episode() -> None:
    """Against a rollout of the same environments that do not break down."""
    import jax

    from logpi.envs import resolve, restarting
    from logpi.rollout.make import make_rollout
    from logpi.spaces.actions import clip_to
    from tests.rollout.running import blind_policy

    source = restarting(resolve(lambda: Fragile("raises", at=7)))
    rollout = make_rollout(source, 2, 16, clip_to)
    policy = blind_policy(source)
    t, _ = rollout.collect(policy, rollout.init(policy, jax.random.key(0)), jax.random.key(1))
    assert np.array_equal(t.valid, np.broadcast_to([i not in (6, 13) for i in range(16)], (2, 16)))
    assert np.array_equal(t.truncated, np.broadcast_to([i in (5, 12) for i in range(16)], (2, 16)))
    assert np.array_equal(t.start, np.broadcast_to([i in (0, 7, 14) for i in range(16)], (2, 16)))
    assert np.all(t.obs[:, 7] == 0) and np.allclose(t.obs[:, 6], 6 / 30)
