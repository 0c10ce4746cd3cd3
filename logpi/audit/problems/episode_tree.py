"""All that can happen in a finite MDP up to a number of steps."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from ...errors import InputError

MOST_STREAMS = 200_000


@dataclasses.dataclass(frozen=True)
class EpisodeTree:
    """Every episode from every state. States after an end are `num_states`, actions there 0."""

    states: Int[np.ndarray, "streams places"]
    actions: Int[np.ndarray, "streams steps"]
    length: Int[np.ndarray, " streams"]
    terminated: Bool[np.ndarray, " streams"]
    chance: Float[np.ndarray, " streams"]  # of the transitions alone: without the first state, without the policy


def every_episode(
    end: Float[np.ndarray, "states actions"],
    follow: Float[np.ndarray, "states actions states"],
    steps: int,
    terminates: bool,
) -> EpisodeTree:
    """Grows all episodes by a step at a time. `terminates`: whether all that still go on end at the last step.

    Raises `InputError` if there are more than 200,000.
    """
    num_states, num_actions = end.shape
    states, actions = np.arange(num_states)[:, None], np.zeros((num_states, 0), int)
    chance, grown = np.ones(num_states), []
    for step in range(steps):
        states, chance = np.repeat(states, num_actions, axis=0), np.repeat(chance, num_actions)
        acted = np.tile(np.arange(num_actions), len(actions))[:, None]
        actions = np.concatenate([np.repeat(actions, num_actions, axis=0), acted], axis=1)
        stop = end[states[:, -1], actions[:, -1]]
        if terminates and step == steps - 1:
            stop = np.ones_like(stop)
        over = np.flatnonzero(stop > 0)
        grown.append(_padded(states[over], actions[over], chance[over] * stop[over], steps, num_states, True))
        onward = (chance * (1 - stop))[:, None] * follow[states[:, -1], actions[:, -1]]
        stream, reached = np.nonzero(onward)
        states = np.concatenate([states[stream], reached[:, None]], axis=1)
        actions, chance = actions[stream], onward[stream, reached]
        if len(states) > MOST_STREAMS:
            raise InputError(
                f"the MDP has more than {MOST_STREAMS} episodes of {steps} steps: give a smaller horizon, or fewer "
                "states, actions or possible transitions."
            )
    grown.append(_padded(states, actions, chance, steps, num_states, False))
    parts = [np.concatenate(column) for column in zip(*grown, strict=True)]
    return EpisodeTree(*parts)


def _padded(states, actions, chance, steps: int, ended: int, terminated: bool):
    """To `steps` actions and a state more."""
    length = np.full(len(actions), actions.shape[1])
    states = np.pad(states, ((0, 0), (0, steps + 1 - states.shape[1])), constant_values=ended)
    actions = np.pad(actions, ((0, 0), (0, steps - actions.shape[1])))
    return states, actions, length, np.full(len(actions), terminated), chance
