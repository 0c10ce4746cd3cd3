"""The tasks, and what each must reach."""

import dataclasses
from typing import Any, Literal

import logpi
from logpi.envs.probes import KINDS


@dataclasses.dataclass(frozen=True)
class Task:
    """One environment with its settings, and the bar: what the `metric` of every seed, or their IQM, is to reach."""

    name: str
    env: str
    bar: float
    metric: str  # "evaluation": fresh stochastic episodes; "training": the last 100 episodes of training, as CleanRL
    every_seed: bool  # each of the seeds, or only their interquartile mean
    published: str  # what the bar comes from
    algorithm: str = "ppo"
    settings: logpi.Settings | None = None  # in place of the preset
    at_most: bool = False  # the bar is not to be reached: what the task asks cannot be done so

    def reached(self, value: float) -> bool:
        """Whether a number keeps the bar."""
        return value <= self.bar if self.at_most else value >= self.bar


def _recall(kind: str, memory: Literal["none", "gru", "lstm"]) -> Task:
    """A cue at the first of eight steps: an episode pays 8 to a policy that remembers it, and at most 1 to another."""
    settings = logpi.Settings(
        logpi.PPO(logpi.Adam(3e-3, anneal=1.0), logpi.GAE(0.95, 0.95)),
        steps=300_000,
        num_envs=64,
        rollout_length=32,
        network=logpi.Network(memory=memory, width=32),
        source="the probe's own",
    )
    name = f"recall, {kind}, {'no memory' if memory == 'none' else memory.upper()}"
    blind = memory == "none"
    bar = 4 if blind else 7.5  # blind, chance alone moves the mean of 100 episodes by 0.7
    return Task(name, f"probe:recall-{kind}", bar, "evaluation", True, "known answer", "ppo", settings, blind)


def _mujoco(env: str, at_least: float, published: str) -> Task:
    # Gymnasium's own: with one environment, EnvPool's threads cost more than they save.
    return Task(env, f"gymnasium:{env}", at_least, "training", False, published)


def _overlapped(env: str, bar: float, every_seed: bool, published: str) -> Task:
    """PPO's preset with rollouts of the policy before."""
    settings = logpi.preset(env).with_(overlap=True)
    return Task(f"{env} (overlap)", env, bar, "evaluation", every_seed, published, "ppo", settings)


_ATARI = Task(
    "Pong-v5 (EnvPool, 2 M frames)", "envpool:Pong-v5", -17, "training", False, "none; random actions -20.3 +- 0.1",
    "ppo", logpi.preset("envpool:Pong-v5").with_(steps=500_000),
)  # fmt: skip

TASKS = (
    Task("CartPole-v1", "CartPole-v1", 475, "evaluation", True, "registered threshold 475"),
    _overlapped("CartPole-v1", 475, True, "registered threshold 475"),
    Task("CartPole-v1 (A2C)", "CartPole-v1", 475, "evaluation", False, "registered threshold 475", "a2c"),
    Task("CartPole-v1 (REINFORCE)", "CartPole-v1", 475, "evaluation", False, "registered threshold 475", "reinforce"),
    Task("CartPole-v1 (TRPO)", "CartPole-v1", 475, "evaluation", True, "registered threshold 475", "trpo"),
    Task("CartPole-v1 (NPG)", "CartPole-v1", 475, "evaluation", True, "registered threshold 475", "npg"),
    Task("CartPole-v1 (IMPALA, overlap)", "CartPole-v1", 475, "evaluation", True, "registered threshold 475", "impala"),
    Task("CartPole-v1 (PGPE)", "CartPole-v1", 475, "evaluation", True, "registered threshold 475", "pgpe"),
    Task("CartPole-v1 (ES)", "CartPole-v1", 475, "evaluation", True, "registered threshold 475", "es"),
    Task("CartPole-v1 (ARS)", "CartPole-v1", 475, "evaluation", True, "registered threshold 475", "ars"),
    Task("CartPole-v1 (SAC)", "CartPole-v1", 475, "evaluation", False, "registered threshold 475", "sac"),
    Task("Acrobot-v1", "Acrobot-v1", -90, "evaluation", True, "CleanRL -86.4, zoo -73.5"),
    Task("Pendulum-v1", "Pendulum-v1", -200, "evaluation", False, "zoo -172 with gSDE, SLM-Lab -175"),
    _overlapped("Pendulum-v1", -200, False, "zoo -172 with gSDE, SLM-Lab -175"),
    Task("Pendulum-v1 (SAC)", "Pendulum-v1", -160, "evaluation", False, "zoo -157 +- 89, SLM-Lab -151", "sac"),
    Task("Pendulum-v1 (TD3)", "Pendulum-v1", -180, "evaluation", False, "zoo -152", "td3"),
    Task("Pendulum-v1 (DDPG)", "Pendulum-v1", -180, "evaluation", False, "zoo -152", "ddpg"),
    Task("LunarLander-v3", "LunarLander-v3", 200, "evaluation", False, "SLM-Lab 183, zoo 242 (v2)"),
    Task("MountainCarContinuous-v0", "MountainCarContinuous-v0", 90, "evaluation", False, "zoo 88.3"),
    _mujoco("HalfCheetah-v4", 1300, "CleanRL 1443 +- 46, baselines 1669"),
    _mujoco("Hopper-v4", 2100, "CleanRL 2383 +- 272, baselines 2316"),
    _mujoco("InvertedPendulum-v4", 930, "CleanRL 963 +- 22, baselines 809"),
    _mujoco("HalfCheetah-v5", 1300, "none for v5; the bar is v4's"),
    _mujoco("Hopper-v5", 2100, "none for v5; the bar is v4's"),
    _mujoco("InvertedPendulum-v5", 930, "none for v5; the bar is v4's"),
    _ATARI,
    *(_recall(kind, memory) for kind in KINDS for memory in ("none", "gru", "lstm")),
)


def train_seeds(name: str, seeds: tuple[int, ...]) -> tuple[str, list[dict[str, Any]]]:
    """Some seeds of the task of this name: trained, and evaluated over 100 episodes both ways. Plain numbers.

    What a process of its own is asked for, so it returns the name too.
    """
    from logpi.runs.metrics import recent_return

    task = next(task for task in TASKS if task.name == name)
    run = logpi.train(task.env, task.algorithm, seeds=seeds, settings=task.settings)
    stochastic, deterministic = (run.evaluate(100, deterministic=mode).returns.mean(1) for mode in (False, True))
    rows = []
    for i, seed in enumerate(seeds):
        recent = recent_return([row for row in run.history if row["seed"] == seed])
        rows.append(
            {
                "seed": seed,
                "training": recent[0] if recent else None,
                "stochastic": float(stochastic[i]),
                "deterministic": float(deterministic[i]),
                "steps": max(row["steps"] for row in run.history if row["seed"] == seed),
                "train_seconds": run.summary["train_seconds"] / len(seeds),
                "source": run.settings.source,
                "versions": run.versions,
            }
        )
    return name, rows
