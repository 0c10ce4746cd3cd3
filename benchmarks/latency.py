"""`python -m benchmarks.latency`: how long `run.policy(obs)` takes, beside Stable-Baselines3's if that is there.

Networks of CartPole's size (two hidden layers of 64), one observation after the other, in one process, in turns of some
fifty actions: so short that they mostly fall between what else the machine does, which meets all alike.
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import jax
import numpy as np

from logpi.models import make_actor_critic, Network
from logpi.rollout.base import compute_inline
from logpi.runs.agent import Agent
from logpi.runs.folder import versions
from logpi.spaces.kinds import Box, Discrete

from .speed.measure import hardware

RESULTS = Path(__file__).parent / "speed" / "latency.md"
TURN = 50  # actions of a contender in a round
MOST = 25.0  # microseconds that an action drawn by a network of CartPole's size may take
CARTPOLE, ROBOT = Box((4,)), Box((17,))
POLICIES = {
    "CartPole-v1": (CARTPOLE, Discrete(2), Network()),
    "CartPole-v1, observations normalised": (CARTPOLE, Discrete(2), Network(normalize_observations=True)),
    "CartPole-v1, LSTM": (CARTPOLE, Discrete(2), Network(memory="lstm")),
    "HalfCheetah-v5": (ROBOT, Box((6,), -1.0, 1.0), Network()),
}


def contenders() -> dict[str, Callable[[], Any]]:
    """A function for each that gives one action."""
    compute_inline()
    found: dict[str, Callable[[], Any]] = {}
    for name, (obs_space, action_space, network) in POLICIES.items():
        model = make_actor_critic(obs_space, action_space, network, key=jax.random.key(0))
        obs = np.full(obs_space.shape, 0.1, np.float32)
        for how, deterministic in (("drawn", False), ("likeliest", True)):
            agent = Agent(model, obs_space, action_space)
            found[f"logpi, {name}, {how}"] = lambda a=agent, o=obs, d=deterministic: a(o, d)
    if importlib.util.find_spec("stable_baselines3"):
        import stable_baselines3
        import torch

        torch.set_num_threads(1)
        model = stable_baselines3.PPO("MlpPolicy", gymnasium.make("CartPole-v1"), device="cpu")
        obs = np.full(4, 0.1, np.float32)
        for how, deterministic in (("drawn", False), ("likeliest", True)):
            name = f"Stable-Baselines3, CartPole-v1, {how}"
            found[name] = lambda d=deterministic: model.predict(obs, deterministic=d)
    return found


def measured(rounds: int) -> dict[str, list[float]]:
    """Microseconds of an action in each round."""
    times: dict[str, list[float]] = {}
    acting = contenders()
    for act in acting.values():
        act()  # compiles it
    for _ in range(rounds):
        for name, act in acting.items():
            started = time.perf_counter()
            for _ in range(TURN):
                act()
            times.setdefault(name, []).append(1e6 * (time.perf_counter() - started) / TURN)
    return times


def table(times: dict[str, list[float]]) -> str:
    """Quartiles of the rounds, with what they were measured on."""
    rows = []
    for name, each in times.items():
        low, middle, high = statistics.quantiles(each, n=4)
        rows.append(f"| {name} | {middle:.1f} | {low:.1f} to {high:.1f} | {min(each):.1f} |")
    known = versions()
    packages = ", ".join(f"{name} {known[name]}" for name in ("logpi", "jax", "numpy", "python"))
    if importlib.util.find_spec("stable_baselines3"):
        packages += f", stable-baselines3 {importlib.metadata.version('stable-baselines3')}"
    head = "# One action, in microseconds\n\n| | median | quartiles | least |\n|---|---|---|---|\n"
    machine = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in hardware().items())
    about = (
        f"{datetime.date.today()}, {packages}; {machine}; {len(next(iter(times.values())))} rounds of {TURN} in turn."
    )
    return head + "\n".join(rows) + f"\n\n{about} Made by `python -m benchmarks.latency`.\n"


def main() -> int:
    """Measures, writes the table, and returns 1 where an action takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2000)
    times = measured(parser.parse_args().rounds)
    RESULTS.write_text(table(times), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))
    return int(statistics.median(times["logpi, CartPole-v1, drawn"]) > MOST)


if __name__ == "__main__":
    raise SystemExit(main())
