"""Bad inputs, each with the sentence it gets: the table that the tests are made from, and `docs/reliability.md`."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import logpi
from logpi import Adam, GAE, Network, NStep, PPO, RewardScaling, Settings
from tests.cli.test_bad_inputs import WRONG
from tests.estimators.test_bad_inputs import TABLE
from tests.reliability import folders
from tests.training.test_warm_start import REFUSED


@dataclasses.dataclass(frozen=True)
class Bad:
    """One bad input: what is done (a call, given a folder for it), and what its sentence must match."""

    name: str
    kind: str
    attempt: Callable[[Path], Any]
    sentence: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def words(arguments: list[str]) -> Callable[[Path], Any]:
    """A command line, for the tests to run."""
    return lambda folder: arguments


class Text(gymnasium.Env):
    """Observations that are words."""

    observation_space, action_space = gymnasium.spaces.Text(5), gymnasium.spaces.Discrete(2)


class Empty(gymnasium.Env):
    """Observations without a number."""

    observation_space = gymnasium.spaces.Box(-1, 1, (0,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, **_: Any) -> Any:
        return np.zeros(0, np.float32), {}


class Wide(gymnasium.Env):
    """Actions without bounds."""

    observation_space, action_space = gymnasium.spaces.Discrete(2), gymnasium.spaces.Box(-np.inf, np.inf, (2,))

    def reset(self, **_: Any) -> Any:
        return 0, {}


class Idle(gymnasium.Env):
    """Actions without a number."""

    observation_space, action_space = gymnasium.spaces.Discrete(2), gymnasium.spaces.Box(-1, 1, (0,))

    def reset(self, **_: Any) -> Any:
        return 0, {}


class Forgotten(gymnasium.Env):
    """It does not say what actions it takes."""

    observation_space = gymnasium.spaces.Discrete(2)


def broken() -> Any:
    """A function of the user's that makes no environment."""
    raise KeyError("port")


def train(env: Any = "probe:identity", **arguments: Any) -> Callable[[Path], Any]:
    return lambda folder: logpi.train(env, **arguments)


def make(kind: Callable[..., Any], *arguments: Any, **named: Any) -> Callable[[Path], Any]:
    return lambda folder: kind(*arguments, **named)


RANGE = "give a value in that range"
PYTHON = {
    "no steps": (train(steps=0), f"steps is 0, but it must be 1 or more: {RANGE}"),
    "steps are a fraction": (train(steps=1e6), "steps is 1000000.0, but it must be a whole number, 1 or more: "),
    "steps are text": (train(steps="many"), "steps is 'many', but it must be a whole number"),
    "too many steps": (make(Settings, steps=10**400), "but it must be less than 2.31 rollouts: give fewer"),
    "environments are a truth": (train(num_envs=True), "num_envs is True, but it must be a whole number"),
    "a huge rollout": (make(Settings, num_envs=2**20, rollout_length=2**20), r"less than 2\^31: give fewer"),
    "more than fits": (
        train(num_envs=2**25, rollout_length=1), "num_envs is 33,554,432 .* this machine has .*: give fewer",
    ),
    "a network that does not fit": (
        train(network=Network(width=65536, depth=128)), "width is 65,536, .*this machine has .*: give a smaller width",
    ),
    "a network of text": (train(network="mlp"), r"network is 'mlp', but it must be an object such as Network\(\)"),
    "settings of a dictionary": (train(settings={"steps": 1}), "must be an object such as logpi.Settings"),
    "an algorithm that is not": (train(algorithm="pop"), "algorithm is 'pop', but it must be ppo or a2c or reinforce"),
    "the class of an algorithm": (train(algorithm=PPO), "algorithm is <class .*but it must be ppo or a2c"),
    "ways of an action": (train(actions="squash"), "actions is 'squash', but it must be auto or clip or rescale"),
    "clipping is negative": (train(reward_clipping=-1), "reward_clipping is -1, but it must be 0 or more"),
    "scaling is a number": (train(reward_scaling=0.5), r"reward_scaling is 0.5, .*: give RewardScaling\(\)"),
    "no seeds": (train(seeds=[]), r"seeds are \[\], but they must be 1 to 10,000 different ones: give seeds=4"),
    "a seed twice": (train(seeds=[1, 1]), r"seeds are \[1, 1\], but they must be 1 to 10,000 different"),
    "half a seed": (train(seeds=2.5), "seeds is 2.5, but it must be a whole number, between 1"),
    "a million seeds": (train(seeds=10**6), "seeds is 1000000, but it must be between 1 and 10000"),
    "a negative seed": (train(seed=-1), "seed is -1, but it must be 0 or more"),
    "when to store": (train(checkpoint_every="soon"), "checkpoint-every is 'soon'.*: give 30s, 5m or 500"),
    "when to evaluate": (
        train(evaluate_every="30s"), "evaluate_every is '30s', but it must be a whole number, 1 or more",
    ),
    "half an update": (train(evaluate_every=2.5), "evaluate_every is 2.5, but it must be a whole number, 1 or more"),
    "a return of text": (train(stop_at="475"), "stop_at is '475', but it must be a number"),
    "returns": (train(stop_at=[475]), r"stop_at is \[475\], but it must be a number"),
    "an evaluation that is no truth": (
        make(logpi.EvaluationPlan, 5, deterministic=1), "deterministic is 1, but it must be True or False",
    ),
    "what to do at NaN": (train(on_nan="go"), "on_nan is 'go', but it must be stop or skip: give one"),
    "no time for a step": (train(step_timeout=0), f"step_timeout is 0, but it must be 0.001 or more: {RANGE}"),
    "a clip of text": (make(PPO, clip="0.2"), "clip is '0.2', but it must be a number, 0 or more: give one"),
    "no clip": (make(PPO, clip=None), "clip is None, but it must be a number, 0 or more"),
    "a clip of NaN": (make(PPO, clip=float("nan")), "clip is nan, but it must be 0 or more"),
    "an optimiser of a number": (make(PPO, optimiser=3e-4), r"optimiser is 0.0003, .* such as Adam\(\) or Optax"),
    "a schedule for Adam": (make(Adam, max), "learning_rate is <built-in .* schedule of steps as optimiser=Optax"),
    "the class of an optimiser": (make(PPO, Adam), r"optimiser is <class .*: give Adam\(\) or Opt"),
    "no credit": (make(PPO, credit=None), r"credit is None, but it must be an object such as GAE\(\)"),
    "no passes": (make(PPO, num_epochs=0), "num_epochs is 0, but it must be 1 or more"),
    "half a pass": (make(PPO, num_epochs=2.5), "num_epochs is 2.5, but it must be a whole number"),
    "segments of nothing": (make(PPO, segment_length=0), "segment_length is 0, but it must be 1 or more"),
    "a discount": (make(GAE, gamma=2), "gamma is 2, but it must be between 0 and 1"),
    "no rewards": (make(NStep, n=0), "n is 0, but it must be 1 or more"),
    "a rate of text": (make(Adam, "fast"), "learning_rate is 'fast', but it must be a number, between 0"),
    "a norm of whole numbers": (make(Adam, max_grad_norm=10**400), r"must be less than 2\^31: give a float"),
    "a rollout beyond counting": (make(Settings, num_envs=10**400), r"is 128000.* less than 2\^31: give fewer"),
    "half a unit": (make(Network, width=2.5), "width is 2.5, but it must be a whole number"),
    "a deep network": (make(Network, depth=10**5), "depth is 100000, but it must be between 0 and 128"),
    "a distribution of actions": (
        make(Network, action_distribution="tanh"), "action_distribution is 'tanh', but it must be .*tanh_normal",
    ),
    "a deviation that a network does not give": (
        make(Network, action_distribution="tanh_normal", initial_log_std=3),
        "initial_log_std is 3, .*between -5 and 2: give a number between these",
    ),
    "squashed actions that are clipped": (
        make(Settings, network=Network(action_distribution="tanh_normal"), actions="clip"),
        "actions is clip, but those of a tanh_normal .*: take rescale, or leave it out",
    ),
    "memory": (make(Network, memory=["gru"]), r"memory is \['gru'\], but it must be none or gru or lstm"),
    "normalising": (make(Network, normalize_observations="yes"), "is 'yes', but it must be True or False"),
    "a limit": (make(RewardScaling, limit=-1), "limit is -1, but it must be 0 or more"),
}  # fmt: skip
ENVIRONMENTS = {
    "a name": (train("Nope-v0"), "There is no environment 'Nope-v0'; "),
    "a number": (train(7), "7 is no environment: give a name, a function that makes"),
    "no module": (train("nowhere_to_be_found:A-v0"), "is not there .*: name a module that registers it"),
    "a function that raises": (train(broken), r"function broken raised KeyError \('port'\): mend it"),
    "a function of nothing": (train(lambda: 3), "made 3, but it must make a gymnasium.Env"),
    "one environment": (train(Text()), "is one environment, but several are needed: give the function that makes"),
    "a space of words": (train(Text), r"Text.*kind that logpi does not know.*: convert it with a gymnasium wrapper"),
    "a space of nothing": (train(Empty, num_envs=1), "has no entries: a policy needs at least one number to see"),
    "actions of nothing": (train(Idle, num_envs=1), "has no entries: a policy needs at least one to choose"),
    "a space forgotten": (train(Forgotten), "has no action_space: set self.action_space to a space of gymnasium's"),
    "no bounds to rescale to": (train(Wide, actions="rescale"), "is not bounded on both sides: take clip"),
    "no bounds to squash between": (
        train(Wide, action_distribution="tanh_normal"),
        "action_distribution is tanh_normal, .*: take normal or state",
    ),
    "choices of a Gaussian": (
        train(action_distribution="normal"),
        "action_distribution is normal, but actions in .* are choices.*: leave it",
    ),
    "an option": (lambda _: logpi.train(logpi.envs.resolve("probe:recall", depth=3)), "does not take these options"),
}
POLICIES = {
    "an observation's shape": (
        lambda f: folders.run(f).policy(np.zeros(7)),
        r"shape \(7,\), but its space has \(4,\)",
    ),
    "an observation of text": (
        lambda f: folders.run(f).policy("left"),
        "'left', which is no array of numbers: give",
    ),
    "a seed that is not there": (
        lambda f: folders.run(f).agent(5),
        "index is 5, but the run has 1 policies: give one from 0",
    ),
    "no episodes": (lambda f: folders.run(f).evaluate(0), "episodes is 0, but it must be 1 or more"),
    "other spaces": (
        lambda f: folders.run(f).evaluate(1, env="probe:identity"),
        "trained on CartPole-v1 .*: evaluate it where the spaces are the same",
    ),
    "a model of a number": (train(model=3), "model is 3, but it must be a logpi.AbstractPolicy, a network of"),
    "a function of no model": (train(model=lambda *_: 3), "model gave 3, but it must be a logpi.AbstractPolicy"),
}


def every() -> list[Bad]:
    """The whole table."""
    rows = [Bad(name, "command line", words(a), re.escape(s)) for name, (a, s) in WRONG.items()]
    for kind, table in (("Python", PYTHON), ("environment", ENVIRONMENTS), ("policy", POLICIES)):
        rows += [Bad(name, kind, attempt, sentence) for name, (attempt, sentence) in table.items()]
    rows += [Bad(name, "demonstrations", train(warm_start=data), s) for name, (data, s) in REFUSED.items()]
    rows += [Bad(name, "function f", lambda _, a=a: a(), s) for name, (a, s) in TABLE.items()]
    return rows + [Bad(name, "run folder", a, s) for name, (a, s) in folders.HOSTILE.items()]


PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- bad inputs: begin -->", "<!-- bad inputs: end -->"


def page() -> str:
    """The page with the table in it, between its markers."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + as_markdown() + END + rest.partition(END)[2]


def as_markdown() -> str:
    """The table, a section for each kind, with the part of each sentence that the tests look for."""
    rows, lines = every(), []
    lines.append(f"{len(rows)} bad inputs, each with the part of its sentence that the tests look for.")
    for kind in dict.fromkeys(row.kind for row in rows):
        lines += ["", f"### {kind[0].upper()}{kind[1:]}", "", "| what is wrong | what is said |", "|---|---|"]
        lines += [f"| {row.name} | {_plain(row.sentence)} |" for row in rows if row.kind == kind]
    return "\n".join(lines) + "\n"


def _plain(pattern: str) -> str:
    """A pattern as one reads it."""
    plain = re.sub(r"\\(.)", r"\1", pattern.replace(".*", " … "))
    return re.sub(r" +", " ", plain).strip().replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
