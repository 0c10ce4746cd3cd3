"""Advantage loops of CleanRL, rejax and Stable-Baselines3 on a small task with a time limit that is no end of the task.

CleanRL's is an array form of what `cleanrl/ppo.py` computes; those of rejax and Stable-Baselines3 are the installed
methods. Each sees one stream of a rollout: rewards, the two kinds of end, and values, of what follows each row too.
"""

import functools
import sys
from types import SimpleNamespace

import jax
import numpy as np
import peers

import logpi
from logpi import audit

GAMMA, TRACE = 0.8, 0.95


def backwards(reward, value, done):
    """The recursion of GAE in which one flag, `done`, cuts both the value and the trace."""
    found, after = np.zeros(len(reward)), 0.0
    for t in reversed(range(len(reward))):
        goes_on = 1.0 - done[t]
        after = reward[t] + GAMMA * value[t + 1] * goes_on - value[t] + GAMMA * TRACE * goes_on * after
        found[t] = after
    return found, found + value[:-1]


def cleanrl(reward, terminated, truncated, value):
    """`dones` of CleanRL's vector environments are either kind of end."""
    return backwards(reward, value, terminated | truncated)


@functools.partial(jax.jit, static_argnums=0)
def calculate_gae(names, arrays):
    """`PPO.calculate_gae` of rejax, compiled once for all streams; `names` are those of its trajectory's fields."""
    from rejax import PPO
    from rejax.algos.ppo import Trajectory

    *rows, last = arrays
    agent = SimpleNamespace(gamma=GAMMA, gae_lambda=TRACE)
    return PPO.calculate_gae(agent, Trajectory(**dict(zip(names, rows, strict=True))), last)


def rejax(reward, terminated, truncated, value):
    """`PPO.calculate_gae`; `done` is either kind of end, as in rejax's own adapter `gymnasium2gymnax`."""
    done = (terminated | truncated)[:, None].astype(float)
    names = ("obs", "action", "log_prob", "reward", "value", "done")
    advantage, target = calculate_gae(names, (done, done, done, reward[:, None], value[:-1, None], done, value[-1:]))
    return np.asarray(advantage)[:, 0], np.asarray(target)[:, 0]


def sb3(reward, terminated, truncated, value):
    """`RolloutBuffer.compute_returns_and_advantage`, after what `collect_rollouts` adds to a truncation's reward."""
    import torch
    from stable_baselines3.common.buffers import RolloutBuffer

    reward = reward + GAMMA * value[1:] * truncated
    done = (terminated | truncated).astype(float)[:, None]
    buffer = SimpleNamespace(
        buffer_size=len(reward), gamma=GAMMA, gae_lambda=TRACE, rewards=reward[:, None], values=value[:-1, None],
        episode_starts=np.concatenate([np.zeros((1, 1)), done[:-1]]), advantages=np.zeros((len(reward), 1)),
    )  # fmt: skip
    RolloutBuffer.compute_returns_and_advantage(buffer, torch.from_numpy(value[-1:].copy()), done[-1])
    return buffer.advantages[:, 0], buffer.returns[:, 0]


LOOPS = {"CleanRL": cleanrl, "rejax": rejax, "Stable-Baselines3": sb3}
PACKAGES = {"rejax": "rejax", "Stable-Baselines3": "stable_baselines3"}


def report(name):
    """Of A2C without an entropy bonus, its credit replaced by a library's loop, with the critic exact."""
    problem = audit.problems.three_states(horizon=3, limit="truncates", hidden=True, name="time limit")
    return audit.objective(logpi.A2C(entropy_coef=0.0), problem=problem, credit=LOOPS[name], key=jax.random.key(0))


def main():
    """Prints what was found, for those named on the command line or for all."""
    for name in sys.argv[1:] or LOOPS:
        if name in PACKAGES and not peers.make_importable(PACKAGES[name]):
            print(f"== {name}: not installed\n")
            continue
        print(f"== {name}, advantages\n{report(name)}\n")


if __name__ == "__main__":
    main()
