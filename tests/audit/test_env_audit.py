"""Every planted bug in an environment is found by its name, and what is correct passes."""

import itertools
import threading
import time

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.audit.env import env as audit_env
from logpi.envs import AbstractEnv, first_timestep, Timestep
from logpi.errors import InputError
from logpi.spaces import Box, Discrete

STEPS = 200


class Line(gymnasium.Env):
    """A walk on a line from near 0; it is over beyond 1, and is cut after 12 steps. `bug` is what is wrong with it."""

    observation_space = gymnasium.spaces.Box(-2.0, 2.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    max_episode_steps = 12

    def __init__(self, bug: str = ""):
        self.bug, self.calls, self.held, self.left = bug, 0, np.zeros(2, np.float32), 0.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        draw = np.random.uniform if self.bug == "global seed" else self.np_random.uniform
        self.x, self.steps = draw(-0.05, 0.05), 0
        if self.bug == "leak":
            self.x += self.left
        return self.obs(), {}

    def obs(self):
        values = (self.x, 0.1 * np.sin(self.steps))
        match self.bug:
            case "outside":
                return np.array((self.x, 5.0), np.float32)
            case "dtype":
                return np.array(values, np.float64)
            case "shape":
                return np.array((*values, 0.0), np.float32)
            case "list":
                return list(values)
            case "aliasing":
                self.held[:] = values
                return self.held
        return np.array(values, np.float32)

    def step(self, action):
        self.calls += 1
        if self.bug == "raises" and self.calls == 8:
            raise ZeroDivisionError("the wheel came off")
        if self.bug == "hangs" and self.calls == 6:
            time.sleep(30)
        if self.bug == "refuses" and action == 1 and self.steps == 0:
            raise ValueError("no such action here")
        self.x, self.steps = self.x + 0.35 * (2 * int(action) - 1), self.steps + 1
        self.left = 0.01
        terminated, truncated = bool(abs(self.x) > 1), self.steps >= 12
        obs, reward = self.obs(), 1.0
        match self.bug:
            case "reset observation" if terminated or truncated:
                obs, _ = self.reset()
            case "nan":
                reward = float("nan") if self.steps == 3 else 1.0
            case "reward array":
                reward = np.array([1.0])
            case "old":
                return obs, reward, terminated or truncated, {}
            case "int flag":
                terminated = int(terminated)
            case "limit as end":
                terminated, truncated = terminated or truncated, False
            case "never truncates":
                truncated = False
            case "both flags":
                terminated = truncated = terminated or truncated
            case "info":
                return obs, reward, terminated, truncated, None
        return obs, reward, terminated, truncated, {}


BUGS = {
    "outside": "observations in the space",
    "dtype": "dtype and shape",
    "shape": "dtype and shape",
    "list": "dtype and shape",
    "aliasing": "a fresh observation array",
    "global seed": "same seed, same episode",
    "leak": "reset starts anew",
    "raises": "no exception",
    "refuses": "no exception",
    "reset observation": "true successor",
    "nan": "rewards finite",
    "reward array": "rewards finite",
    "old": "terminated and truncated apart",
    "int flag": "terminated and truncated apart",
    "limit as end": "terminated and truncated apart",
    "both flags": "terminated and truncated apart",
    "never truncates": "time limit",
    "info": "results of reset and step",
}


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_found(bug):
    report = audit_env(lambda: Line(bug), steps=STEPS)
    found = {check.name for check in report.findings}
    assert BUGS[bug] in found
    # One cause is told once; some have two effects.
    also = {"results of reset and step", "actions accepted", "dtype and shape", "autoreset mode"}
    assert found <= {BUGS[bug], *also}
    assert all(check.cure for check in report.findings)


def test_a_correct_one_passes():
    report = audit_env(Line, steps=STEPS)
    assert report.passed, str(report)
    looked_at = {check.name for check in report.checks}
    assert looked_at >= set(BUGS.values()) | {"actions accepted", "no hang", "autoreset mode", "step after the end"}
    assert audit_env(Line(), steps=STEPS).passed  # the one that is given


def test_an_exception_is_told_with_its_place():
    (finding,) = (c for c in audit_env(lambda: Line("raises"), seed=3).findings if c.name == "no exception")
    assert "ZeroDivisionError" in finding.meaning and "at step 7 " in finding.meaning
    assert "seed 3" in finding.meaning and "action " in finding.meaning


def test_a_hang_is_told_and_left_behind():
    started = time.perf_counter()
    report = audit_env(lambda: Line("hangs"), timeout=0.5)
    assert time.perf_counter() - started < 10
    (finding,) = report.findings
    assert finding.name == "no hang" and "at step 5 " in finding.meaning and "seed 0" in finding.meaning
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "logpi.audit.env")


def test_making_it_may_fail_or_hang():
    def fails():
        raise RuntimeError("no licence")

    assert "no licence" in audit_env(fails).findings[0].meaning
    (finding,) = audit_env(lambda: time.sleep(30), timeout=0.02).findings
    assert finding.name == "no hang"


def test_corners_of_the_actions_are_tried():
    class Narrow(Line):
        """Random actions never are at the bound that it does not take."""

        action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

        def step(self, action):
            if action[0] == 1.0:
                raise IndexError("beyond the table")
            return super().step(int(action[0] > 0))

    (finding,) = audit_env(Narrow, steps=STEPS).findings
    assert finding.name == "actions accepted" and "beyond the table" in finding.meaning


def test_a_vector_that_resets_in_the_same_step_is_refused():
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    same = SyncVectorEnv([Line] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    (finding,) = audit_env(same, steps=50).findings
    assert finding.name == "autoreset mode" and "SameStep" in finding.meaning
    fine = audit_env(SyncVectorEnv([Line] * 2, autoreset_mode=AutoresetMode.NEXT_STEP), steps=50)
    assert fine.passed, str(fine)


def test_what_is_no_environment_is_refused():
    with pytest.raises(InputError, match="no environment"):
        audit_env(3)
    with pytest.raises(InputError, match="steps"):
        audit_env(Line, steps=0)


KNOWN = (
    *("gymnasium:MountainCar-v0", "gymnasium:Blackjack-v1", "gymnasium:Reacher-v5", "gymnasium:BipedalWalker-v3"),
    *("envpool:CartPole-v1", "envpool:Blackjack-v1"),
)


@pytest.mark.parametrize("name", KNOWN)
def test_known_ones_pass(name):
    report = audit_env(name, steps=250)
    assert report.passed, str(report)
    assert "next step" in str(report) or not name.startswith("envpool")


def test_caches_of_a_physics_engine_are_told_but_no_finding():
    report = audit_env("gymnasium:BipedalWalker-v3", seed=3, steps=600)
    assert report.passed, str(report)
    assert any("caches" in note for note in report.notes)


class Counter(AbstractEnv):
    """Counts up to 6, from 0 or 1; `bug` is what is wrong with it."""

    bug: str = eqx.field(static=True, default="")
    obs_space: Box = eqx.field(static=True, default=Box((1,), 0.0, 7.0))
    action_space: Discrete = eqx.field(static=True, default=Discrete(3))

    def reset(self, key):
        steps = jax.random.bernoulli(key).astype(jnp.int32)
        return steps, first_timestep(steps.astype(jnp.float32)[None])

    def step(self, key, state, action):
        if self.bug == "branch" and action > 1:  # Python asks an array that is traced
            state = state + 1
        state = state + 1.0 if self.bug == "types" else state + 1
        obs = jnp.asarray(state, jnp.float32)[None] + (self.bug == "outside") * 9.0
        if self.bug == "impure":
            obs = obs + 0.1 * next(CALLS)
        reward = jnp.where(state == 3, jnp.nan, 1.0) if self.bug == "nan" else jnp.ones(())
        return state, Timestep(obs, reward, state >= 6, jnp.zeros((), bool))


CALLS = itertools.count()


@pytest.mark.parametrize(
    ("bug", "name"),
    [
        ("branch", "no exception"),
        ("types", "state keeps its types"),
        ("outside", "observations in the space"),
        ("impure", "compiled and eager agree"),
        ("nan", "rewards finite"),
    ],
)
def test_planted_bugs_in_compiled_ones_are_found(bug, name):
    assert name in {check.name for check in audit_env(Counter(bug), steps=40).findings}


def test_compiled_ones_pass():
    for subject in (Counter(), "probe:truncation"):
        report = audit_env(subject, steps=60)
        assert report.passed, str(report)
        assert "mapped and single agree" in {check.name for check in report.checks}
