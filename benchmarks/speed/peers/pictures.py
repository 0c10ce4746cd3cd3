"""An environment of pictures that costs nothing, so that what is timed is how they are kept and learned from."""

from typing import Any

import gymnasium
import numpy as np

SHAPE, NUMBER, LONGEST = (84, 84, 4), 16, 200


class Pictures(gymnasium.Env):
    """Shows the same few pictures of noise in turn; a reward of 1 for naming which of six it is, by its number."""

    observation_space = gymnasium.spaces.Box(0, 255, SHAPE, np.uint8)
    action_space = gymnasium.spaces.Discrete(6)

    def __init__(self) -> None:
        self._shown = np.random.default_rng(0).integers(0, 256, (NUMBER, *SHAPE), np.uint8)
        self._time = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """The first picture."""
        super().reset(seed=seed)
        self._time = 0
        return self._shown[0], {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        """The next one, and whether the one before was named."""
        named = int(action) == self._time % NUMBER % int(self.action_space.n)
        self._time += 1
        return self._shown[self._time % NUMBER], float(named), False, self._time == LONGEST, {}
