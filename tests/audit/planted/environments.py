"""Environments with one thing wrong: one of Gymnasium's kind, and a compiled one."""

import itertools
import time

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from logpi.envs import AbstractEnv, first_timestep, Timestep
from logpi.spaces.kinds import Box, Discrete


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


class Narrow(Line):
    """Random actions never are at the bound that it does not take."""

    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def step(self, action):
        if action[0] == 1.0:
            raise IndexError("beyond the table")
        return super().step(int(action[0] > 0))


def fails():
    """Cannot be made."""
    raise RuntimeError("no licence")


def vector(mode: str):
    """Two lines side by side, with one of Gymnasium's ways to reset."""
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    return SyncVectorEnv([Line] * 2, autoreset_mode=AutoresetMode[mode])


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
