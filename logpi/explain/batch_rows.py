"""The rows of a batch, in plain numbers: what was pushed, how hard, and where it went."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, PyTree

from ..distributions.traits import traits

MOST_POINTS = 1500  # in the picture of all rows
MOST_NUMBERS = 12  # of an observation


@dataclasses.dataclass(frozen=True)
class BatchRows:
    """Rows in segments and times, before and after a step."""

    advantage: Float[np.ndarray, "s t"]
    log_prob: Float[np.ndarray, "s t"]  # of the action taken, nats
    log_prob_after: Float[np.ndarray, "s t"]
    valid: Bool[np.ndarray, "s t"]
    score_norms: Float[np.ndarray, "s t"]  # lengths of the scores; NaN where they were not computed
    obs: PyTree
    action: PyTree
    policy: Any  # the distribution of each row
    policy_after: Any

    @property
    def change(self) -> Float[np.ndarray, "s t"]:
        """Of the log-probability of the action taken, nats."""
        return self.log_prob_after - self.log_prob

    @property
    def push(self) -> Float[np.ndarray, "s t"]:
        """Advantage times the length of the score: how hard a row pulls at the parameters, and which way."""
        return self.advantage * self.score_norms

    @property
    def scored(self) -> Bool[np.ndarray, "s t"]:
        """The rows of actions whose scores were computed."""
        return self.valid & ~np.isnan(self.score_norms)

    def points(self) -> dict[str, list[float]]:
        """Push and change of the log-probability of each scored row; of evenly spaced ones, where they are many."""
        places = np.flatnonzero(self.scored.ravel())
        places = places[:: max(1, -(-len(places) // MOST_POINTS))]
        return {"push": _plain(self.push.ravel()[places]), "change": _plain(self.change.ravel()[places])}

    def summary(self) -> dict[str, float]:
        r"""Of all rows: how many there are, how many of them were scored, and what the step gained.

        `gain` is the mean of advantage times change of the log-probability, which is what a step along the gradient
        raises: to first order by $\eta |\nabla J|^2$, as $\nabla J$ is the mean of advantage times score. `won` and
        `lost` are the parts of the rows that went the way they asked for, and of those that went the other way.
        """
        parts = (self.advantage * self.change)[self.valid].astype(float)
        won, lost = np.maximum(parts, 0.0).mean(), np.minimum(parts, 0.0).mean()
        counts = {"rows": int(self.valid.sum()), "scored": int(self.scored.sum())}
        return {**counts, "gain": float(won + lost), "won": float(won), "lost": float(lost)}

    def pushed(self, sign: int, count: int) -> list[dict[str, Any]]:
        """The scored rows that are pushed hardest up (`sign` 1) or down (-1)."""
        pushes = np.where(self.scored, sign * self.push, 0.0)
        order = np.argsort(-pushes, axis=None, kind="stable")[:count]
        places = [tuple(int(i) for i in np.unravel_index(top, pushes.shape)) for top in order]
        return [self._row(place) for place in places if pushes[place] > 0]

    def _row(self, place: tuple[int, ...]) -> dict[str, Any]:
        advantage, norm = float(self.advantage[place]), float(self.score_norms[place])
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
    return {name: _plain(np.ravel(numbers)) for name, numbers in traits(policy).summary().items()}


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
