"""What a policy earns, in fresh episodes."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ..errors import check_whole, InputError
from ..models import AbstractPolicy, Deterministic
from ..rollout import AbstractRollout
from ..statistics.intervals import Interval, iqm_interval, mean_interval
from ..trajectory import Trajectory
from .episodes import EpisodeRows
from .playing import in_shares, rollouts, shares

MAX_EPISODE_STEPS = 200_000


@dataclasses.dataclass(frozen=True, repr=False)
class Evaluation:
    """Returns of fresh episodes, by seed. Undiscounted, in the environment's own units of reward."""

    env: str
    deterministic: bool
    seeds: tuple[int, ...]
    returns: Float[np.ndarray, "seeds episodes"]
    lengths: Float[np.ndarray, "seeds episodes"]

    @property
    def mean(self) -> Interval:
        """Over all episodes; of several seeds, over the means of the seeds, which are what is independent."""
        return mean_interval(self.returns[0] if len(self.seeds) == 1 else self.returns.mean(1))

    @property
    def iqm(self) -> Interval:
        """The interquartile mean of the seeds' means, with a bootstrap interval over seeds."""
        return iqm_interval(self.returns.mean(1))

    @property
    def by_seed(self) -> dict[int, Interval]:
        """Each seed's mean, with the interval over its episodes."""
        return {seed: mean_interval(returns) for seed, returns in zip(self.seeds, self.returns, strict=True)}

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, as in `evaluation.json`."""
        return {
            "env": self.env,
            "deterministic": self.deterministic,
            "episodes": self.returns.shape[1],
            "mean": dataclasses.asdict(self.mean),
            "iqm": dataclasses.asdict(self.iqm),
            "by_seed": {str(seed): dataclasses.asdict(interval) for seed, interval in self.by_seed.items()},
            "mean_length": float(self.lengths.mean()),
        }

    def __repr__(self) -> str:
        """In words, with an interval wherever there are enough values for one."""
        how = "deterministic" if self.deterministic else "stochastic"
        episodes, several = self.returns.shape[1], len(self.seeds) > 1
        count = ("1 episode" if episodes == 1 else f"{episodes:,} episodes") + (" a seed" if several else "")
        over = f", Student's t over {len(self.seeds)} seeds" if several else ""
        over = f" (95 %{over})" if self.mean.known else ""
        lines = [f"{self.env}, {how} policy, {count}: return {self.mean}{over}"]
        if several:
            lines += [f"interquartile mean of the seeds {self.iqm} (95 %, bootstrap over seeds)"]
            lines += [f"  seed {seed}: {interval}" for seed, interval in self.by_seed.items()]
        return "\n".join(lines)


def run_episodes(
    policy: AbstractPolicy,
    rollout: AbstractRollout,
    episodes: int,
    key: PRNGKeyArray,
    look: Callable[[], object] = lambda: None,
    opened: Callable[[Any], object] = lambda _: None,
) -> tuple[Float[np.ndarray, " episodes"], Float[np.ndarray, " episodes"]]:
    """Returns and lengths of `episodes` fresh episodes.

    Every environment plays its share to the end. `look` is called after each rollout; what it raises ends them.
    `opened` hears of the state of the environments. Raises `InputError` where an episode does not end, or the policy
    gives its actions no probability.
    """
    wanted = shares(episodes, rollout.num_envs)
    found: list[list[tuple[float, float]]] = [[] for _ in wanted]
    most = -(-int(wanted.max()) * MAX_EPISODE_STEPS // rollout.length)
    with contextlib.closing(rollouts(policy, rollout, most, key, _has_nan, opened)) as played:
        for broken, rows in played:
            if broken:
                raise InputError("The policy's probabilities are not numbers: it is broken, so train it again.")
            _take(found, rows)
            look()
            if len(kept := in_shares(found, wanted)) == episodes:
                returns, lengths = np.array(kept).T
                return returns, lengths
    raise InputError(f"An episode did not end within {MAX_EPISODE_STEPS} steps: give the environment a time limit.")


def _has_nan(trajectory: Trajectory) -> Bool[Array, ""]:
    """Whether the probability of an action that was played is none."""
    return jnp.any(jnp.isnan(trajectory.log_prob) & trajectory.valid)


def _take(found: list[list[tuple[float, float]]], rows: EpisodeRows) -> None:
    ended, total, length = (np.asarray(x) for x in (rows.ended, rows.total_reward, rows.length))
    for stream, time in zip(*np.nonzero(ended), strict=True):
        found[stream].append((float(total[stream, time]), float(length[stream, time])))


def evaluate_policies(
    policies: list[AbstractPolicy],
    rollout: AbstractRollout,
    *,
    env: str,
    seeds: tuple[int, ...],
    episodes: int,
    deterministic: bool,
    key: PRNGKeyArray,
) -> Evaluation:
    """`episodes` fresh episodes of each policy, stochastic as it was trained or by its modes."""
    episodes = check_whole("episodes", episodes, 1)
    results = []
    for i, policy in enumerate(policies):
        acting = Deterministic(policy) if deterministic else policy
        results.append(run_episodes(acting, rollout, episodes, jax.random.fold_in(key, i)))
    returns, lengths = (np.stack(x) for x in zip(*results, strict=True))
    return Evaluation(env, deterministic, seeds, returns, lengths)
