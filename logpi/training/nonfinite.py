"""Where NaN or infinity came up first: which quantity, in which environment, at which step, after which actions."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from ..errors import TrainingFault
from ..trajectory import Trajectory
from .loop import Iterated, Trainer

LAST_ACTIONS = 5
_CURES = {
    "observation": "mend the environment",
    "reward": "mend the environment",
    "action": "the policy's own numbers have grown too large: lower the learning rate",
    "log-probability": "the policy's own numbers have grown too large: lower the learning rate",
    "parameters": "lower the learning rate",
}
_CURE = "lower the learning rate, scale the rewards, or bound the observations"  # of a measurement


@dataclasses.dataclass(frozen=True)
class Fault:
    """What was not a number, and where. `environment` and `step` (of the rollout) where it is of a row."""

    quantity: str
    seed: int
    update: int  # the first is 1
    environment: int | None = None
    step: int | None = None
    value: float | None = None
    last_actions: list[Any] = dataclasses.field(default_factory=list)  # of that environment, the newest last

    def error(self) -> TrainingFault:
        """In a sentence."""
        where = "" if self.environment is None else f" in environment {self.environment} at step {self.step} of it"
        acted = f", after the actions {self.last_actions}" if self.last_actions else ""
        what = f"is {self.value}" if self.value is not None else "is not finite"
        cure = _CURES.get(self.quantity, _CURE)
        return TrainingFault(
            f"The {self.quantity} {what} in rollout {self.update} of seed {self.seed}{where}{acted}; training stopped "
            f"there, and what was learned before it is kept: {cure}, or drop such updates (--on-nan skip)."
        )


def find_fault(trainer: Trainer, result: Iterated, seed: int) -> Fault:
    """What was not finite in the iteration that ended a loop."""
    update = int(result.state.iteration) + 1
    trajectory, failed = result.trajectory, result.failed
    rows = {} if trajectory is None else {
        "observation": jax.tree.map(_with_last, trajectory.obs, trajectory.last_obs),
        "action": trajectory.action,
        "log-probability": trajectory.log_prob,
        "reward": trajectory.reward,
    }  # fmt: skip
    # The row that is first in time, and in a row what comes first in it.
    found = [(at[1], i, name, at) for i, (name, x) in enumerate(rows.items()) if (at := _first_bad(x)) is not None]
    if found and trajectory is not None:
        _, _, name, (environment, step, value) = min(found)
        return Fault(name, seed, update, environment, step, value, _actions(trajectory, environment, step))
    shown = {} if failed is None else failed.shown
    bad = [m.name for m in trainer.algorithm.measurements if not np.isfinite(shown.get(m.name, 0.0))]
    return Fault(bad[0].replace("_", " ") if bad else "parameters", seed, update)


def _with_last(obs: Any, last: Any) -> np.ndarray:
    """Observations with the one that follows the last row."""
    return np.concatenate([np.asarray(obs), np.asarray(last)[:, None]], axis=1)


def _first_bad(tree: PyTree) -> tuple[int, int, float] | None:
    """Environment, step and value of the earliest float that is none; leaves are (environments, time, ...)."""
    found = []
    for leaf in jax.tree.leaves(tree):
        x = np.asarray(leaf)
        if np.issubdtype(x.dtype, np.floating) and not np.isfinite(x).all():
            flat = x.reshape(*x.shape[:2], -1)
            time, environment, entry = min((t, e, k) for e, t, k in np.argwhere(~np.isfinite(flat)))
            found.append((int(time), int(environment), float(flat[environment, time, entry])))
    return (found[0][1], found[0][0], found[0][2]) if (found := sorted(found)) else None


def _actions(trajectory: Trajectory, environment: int, step: int) -> list[Any]:
    first = max(0, step + 1 - LAST_ACTIONS)
    taken = jax.tree.map(lambda x: np.asarray(x)[environment, first : step + 1].tolist(), trajectory.action)
    return taken if isinstance(taken, list) else [taken]
