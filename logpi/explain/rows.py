"""The rows of a batch, in plain numbers: what was pushed, how hard, and where it went."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, PyTree

from ..distributions import Bernoulli, Categorical, Normal

MOST_POINTS = 1500  # in the picture of all rows
MOST_NUMBERS = 12  # of an observation


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows in segments and times, before and after a step."""

    advantage: Float[np.ndarray, "s t"]
    log_prob: Float[np.ndarray, "s t"]  # of the action taken, nats
    log_prob_after: Float[np.ndarray, "s t"]
    valid: Bool[np.ndarray, "s t"]
    chosen: Int[np.ndarray, "rows 2"]  # segment and time of those whose score is known
    score_norms: Float[np.ndarray, " rows"]
    obs: PyTree
    action: PyTree
    policy: Any  # the distribution of each row
    policy_after: Any

    def points(self) -> dict[str, list[float]]:
        """Advantage and change of the log-probability of each row; of evenly spaced ones, where they are many."""
        places = np.flatnonzero(self.valid.ravel())
        places = places[:: max(1, -(-len(places) // MOST_POINTS))]
        change = (self.log_prob_after - self.log_prob).ravel()[places]
        return {"advantage": _plain(self.advantage.ravel()[places]), "change": _plain(change)}

    def summary(self) -> dict[str, float]:
        """Of all rows: how many there are, and which share went the way it was pushed."""
        change = (self.log_prob_after - self.log_prob)[self.valid]
        advantage = self.advantage[self.valid]
        up, down = advantage > 0, advantage < 0
        return {
            "rows": int(self.valid.sum()),
            "up": float(np.mean(change[up] > 0)) if up.any() else float("nan"),
            "down": float(np.mean(change[down] < 0)) if down.any() else float("nan"),
        }

    def pushed(self, sign: int, count: int) -> list[dict[str, Any]]:
        """The rows pushed hardest up (`sign` 1) or down (-1), of those chosen."""
        pushes = self.advantage[tuple(self.chosen.T)] * self.score_norms
        order = [i for i in np.argsort(-sign * pushes, kind="stable") if sign * pushes[i] > 0]
        return [
            self._row((int(self.chosen[i][0]), int(self.chosen[i][1])), float(self.score_norms[i]))
            for i in order[:count]
        ]

    def _row(self, place: tuple[int, int], norm: float) -> dict[str, Any]:
        advantage = float(self.advantage[place])
        return {
            "obs": _observation(jax.tree.map(lambda x: x[place], self.obs)),
            "action": _numbers(jax.tree.map(lambda x: x[place], self.action)),
            "advantage": advantage,
            "score": norm,
            "push": advantage * norm,
            "before": float(np.exp(self.log_prob[place])),
            "after": float(np.exp(self.log_prob_after[place])),
            "policies": [_policy(jax.tree.map(lambda x: x[place], p)) for p in (self.policy, self.policy_after)],
        }


def _policy(policy: Any) -> dict[str, list[float]]:
    """A distribution's own numbers, where a picture of them is known."""
    if isinstance(policy, Categorical):
        return {"probabilities": _plain(jax.nn.softmax(policy.logits))}
    if isinstance(policy, Bernoulli):
        return {"ones": _plain(np.ravel(jax.nn.sigmoid(policy.logits)))}
    if isinstance(policy, Normal):
        return {"mean": _plain(np.ravel(policy.mean)), "std": _plain(np.ravel(np.exp(policy.log_std)))}
    return {}


def _observation(obs: PyTree) -> str:
    """An observation in words: its numbers, or its shape where they are many."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(obs)]
    if sum(leaf.size for leaf in leaves) <= MOST_NUMBERS:
        return ", ".join(f"{x:.3g}" for leaf in leaves for x in leaf.ravel())
    return "; ".join(f"{' x '.join(map(str, leaf.shape))} numbers, mean {leaf.mean():.3g}" for leaf in leaves)


def _numbers(action: PyTree) -> list[float]:
    return [number for leaf in jax.tree.leaves(action) for number in _plain(np.ravel(leaf))]


def _plain(values: Any) -> list[float]:
    return [float(f"{float(value):.7g}") for value in np.asarray(values)]
