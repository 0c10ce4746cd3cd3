"""Environments of Gymnasium's whose every number is known beforehand, to see what an adapter makes of them.

`tests.envs.worlds:Script-v0` names one: Gymnasium imports this module and finds it registered.
"""

import gymnasium
import numpy as np

SPACES = gymnasium.spaces
# How episodes end, one after the other and over again: after how many steps, terminated, truncated.
ENDS = ((3, True, False), (2, False, True), (1, True, True), (4, True, False))
OBSERVATIONS = {
    "box": SPACES.Box(-np.inf, np.inf, (2,), np.float64),
    "image": SPACES.Box(0, 255, (4, 4), np.uint8),
    "discrete": SPACES.Discrete(64),
    "multidiscrete": SPACES.MultiDiscrete([8, 8]),
    "multibinary": SPACES.MultiBinary(6),
    "dict": SPACES.Dict({"b": SPACES.Discrete(64), "a": SPACES.Box(0, 64, (2,), np.float32)}),
    "tuple": SPACES.Tuple((SPACES.Discrete(64), SPACES.Box(0, 255, (2, 2), np.uint8))),
}
ACTIONS = {
    "box": SPACES.Box(np.array([-0.5, -1.0], np.float32), np.array([0.5, 3.0], np.float32)),
    "discrete": SPACES.Discrete(3, start=5),
    "multidiscrete": SPACES.MultiDiscrete(np.array([[2, 3], [4, 2]]), start=np.array([[1, 0], [0, 7]])),
    "multibinary": SPACES.MultiBinary((2, 2)),
}


def shown(kind: str, episode: int, step: int):
    """The observation of a step of an episode."""
    number = (8 * episode + step) % 64
    match kind:
        case "box":
            return np.array([episode, step], np.float64)
        case "image":
            return np.full((4, 4), number, np.uint8)
        case "discrete":
            return number
        case "multidiscrete":
            return np.array([episode % 8, step])
        case "multibinary":
            return np.array([number >> i & 1 for i in range(6)], np.int8)
        case "dict":
            return {"b": number, "a": np.array([episode % 64, step], np.float32)}
        case _:
            return number, np.full((2, 2), number, np.uint8)


class Script(gymnasium.Env):
    """Episode k ends as `ENDS` says; step t of it shows (k, t) and pays 100 k + t. Keeps the actions it receives."""

    def __init__(self, obs: str = "box", action: str = "discrete", breaks_at: int | None = None):
        self.observation_space, self.action_space = OBSERVATIONS[obs], ACTIONS[action]
        self.kind, self.breaks_at = obs, breaks_at
        self.episode, self.count, self.received = -1, 0, []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.count = self.episode + 1, 0
        return shown(self.kind, self.episode, 0), {}

    def step(self, action):
        if len(self.received) == self.breaks_at:
            raise RuntimeError("the spring is broken")
        self.received.append(action)
        self.count += 1
        length, terminated, truncated = ENDS[self.episode % len(ENDS)]
        over = self.count == length
        reward = 100.0 * self.episode + self.count
        return shown(self.kind, self.episode, self.count), reward, over and terminated, over and truncated, {}


class Dice(gymnasium.Env):
    """Shows nothing but luck, so that a seed shows; an episode lasts 5 steps."""

    observation_space = SPACES.Box(0.0, 1.0, (3,), np.float32)
    action_space = SPACES.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self.np_random.random(3, np.float32), {}

    def step(self, action):
        self.count += 1
        return self.np_random.random(3, np.float32), float(action), False, self.count == 5, {}


for _name, _env in (("Script-v0", Script), ("Dice-v0", Dice)):
    if _name not in gymnasium.registry:
        gymnasium.register(_name, _env)
