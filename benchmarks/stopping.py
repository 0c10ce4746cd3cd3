"""How often `stop_at` ends a training that never reaches it, and how much later than the naive rule it ends others.

A training is simulated by what its policies earn: 26 evaluations on the way, each of 20 episodes or more. The naive
rule stops at the first whose mean is above the threshold, as other libraries do. Run `python -m benchmarks.stopping`.
"""

import argparse
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
from jaxtyping import Float

from logpi.runs.options import EvaluationPlan
from logpi.training.evaluating import Evaluating

UPDATES, EVERY = 100, 4
THRESHOLD = 475.0
Returns = Float[np.ndarray, " n"]
Earned = Callable[[np.random.Generator, float, int], Returns]  # at a share of the training, so many episodes


def level(rng: np.random.Generator, mean: Any, n: int) -> Returns:
    """Episodes of CartPole's kind: the pole falls at any step alike, or the time is up. They have this mean."""
    mean = float(np.clip(mean, 10, 499.9))
    low, high = 1.0, 1e9  # of the mean time to a fall
    for _ in range(80):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if middle * (1 - np.exp(-500 / middle)) < mean else (low, middle)
    return np.minimum(rng.exponential(low, n), 500.0)


def risen(to: float) -> Earned:
    """A curve that has risen to a mean by half of the training."""
    return lambda rng, share, n: level(rng, 20 + (to - 20) * min(1.0, 2 * share), n)


# None of these has a policy whose mean return is above the threshold.
NEVER: dict[str, Earned] = {
    "rises to 475, the threshold itself": risen(475),
    "rises to 465": risen(465),
    "500 in 95 of 100 episodes, otherwise 0": lambda rng, _share, n: np.where(rng.random(n) < 0.95, 500.0, 0.0),
    "normal, 475 with a deviation of 100": lambda rng, _share, n: rng.normal(475, 100, n),
    "crosses over: 475 by chance, 300 in every second evaluation": lambda rng, share, n: level(
        rng, 475 if round(share * UPDATES / EVERY) % 2 else 300, n
    ),
    "500 in 99 of 100 episodes, otherwise -2,000": lambda rng, _share, n: np.where(
        rng.random(n) < 0.99, 500.0, -2000.0
    ),
}
LOWEST = {"500 in 99 of 100 episodes, otherwise -2,000": -2000.0}  # that has to be said there
REACHED: dict[str, Earned] = {f"rises to {mean}": risen(mean) for mean in (480, 485, 490, 499)} | {
    "rises to 500, all alike": lambda rng, share, n: np.full(n, min(500.0, 20 + 960 * share))
}


def stopped_after(
    earned: Earned, rng: np.random.Generator, lowest: float | None = None
) -> tuple[int | None, int, int | None]:
    """The evaluation that ends one training, the episodes up to it, and the evaluation that ends it by the naive rule.

    `None` for one that is not ended. `lowest`: what no return is below, where it is said.
    """
    nobody: Any = None
    means: list[float] = []

    def play(_policy: Any, _rollout: Any, n: int, *_rest: Any) -> tuple[Returns, Returns]:
        returns = earned(rng, update / UPDATES, n)
        means.append(float(returns.mean()))
        return returns, np.ones(n)

    plan = EvaluationPlan(EVERY, stop_at=THRESHOLD, lowest_return=lowest)
    evaluating, naive, episodes = Evaluating(plan, nobody, UPDATES, None, [], {}), None, 0
    with patch("logpi.training.evaluating.run_episodes", play):
        for look, update in enumerate(range(0, UPDATES + 1, EVERY)):
            means.clear()
            line: Any = evaluating.evaluate((0, update, 0), nobody, nobody, lambda: False)
            episodes = line["evidence"]["count"]
            naive = look if naive is None and means[0] >= THRESHOLD else naive
            if evaluating.reached([0]):
                return look, episodes, naive
    return None, episodes, naive


def table(trainings: int, seed: int = 0) -> tuple[str, float]:
    """Two tables in Markdown, and the largest share of trainings that were ended and never reach the threshold."""
    lines = [
        "| what policies earn; the mean never is above 475 | ended by `stop_at` | ended by the naive rule |",
        "|---|---|---|",
    ]
    shares = []
    for name, earned in NEVER.items():
        found = [stopped_after(earned, np.random.default_rng([seed, i]), LOWEST.get(name)) for i in range(trainings)]
        ended, naive = (sum(one[which] is not None for one in found) for which in (0, 2))
        shares.append(ended / trainings)
        said = f" (`lowest_return={LOWEST[name]:g}`)" if name in LOWEST else ""
        lines.append(f"| {name}{said} | {ended / trainings:.1%} | {naive / trainings:.1%} |")
    lines += [
        "",
        "| what policies earn; the mean is above 475 from some evaluation on | first such evaluation | ended by "
        "`stop_at` at (median, 90th percentile, not at all) | by the naive rule | episodes of all evaluations |",
        "|---|---|---|---|---|",
    ]
    for name, earned in REACHED.items():
        found = [stopped_after(earned, np.random.default_rng([seed, i])) for i in range(trainings)]
        looks, rng = range(UPDATES // EVERY + 1), np.random.default_rng(1)
        first = next(k for k in looks if earned(rng, k * EVERY / UPDATES, 10**5).mean() > THRESHOLD)
        ends = np.array([len(looks) if one[0] is None else one[0] for one in found])
        naive = np.median([len(looks) if one[2] is None else one[2] for one in found])
        late = f"{np.median(ends):g}, {np.quantile(ends, 0.9):g}, {np.mean(ends == len(looks)):.1%}"
        lines.append(f"| {name} | {first} | {late} | {naive:g} | {np.median([one[1] for one in found]):g} |")
    return "\n".join(lines), max(shares)


def main() -> int:
    """Prints the tables; the exit status says whether too many trainings were ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trainings", type=int, default=1000)
    options = parser.parse_args()
    text, worst = table(options.trainings)
    print(text)
    return 1 if worst > 0.05 else 0


if __name__ == "__main__":
    sys.exit(main())
