"""Evaluations of a training on the way: when they are due, what they show, the best policies, and when it is enough."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PyTree

from ..envs import EnvSource, HostSource, resolve
from ..envs.sources import GivenVector, seen_by
from ..errors import InputError
from ..evaluation.evaluate import run_episodes
from ..models import AbstractPolicy, Deterministic
from ..rollout import AbstractRollout
from ..runs.files import as_json, finite
from ..runs.folder import HeldFolder, policy_file
from ..runs.journals import EVALUATIONS, Journal, write_evaluations
from ..runs.options import EvaluationPlan
from ..runs.run import Best, misfit_of, Run
from ..runs.schema import Custom
from ..statistics.betting import Evidence, SHARES
from ..statistics.intervals import mean_interval

MOST_BATCHES = 10  # of a plan's episodes in one evaluation, as long as they speak for a stop
_KEYS = 0xE7A2  # sets the keys of these episodes apart from those of the training, and of `Run.evaluate`


class _GivenUp(Exception):
    """The training was interrupted amid an evaluation."""


def evaluation_rollout(run: Run, plan: EvaluationPlan, trained_in: EnvSource) -> AbstractRollout:
    """Where a training is evaluated on the way: in environments of their own, of the source or those of the plan.

    Raises `InputError` where there can be none.
    """
    if isinstance(plan.env, Custom):
        raise InputError(
            f"The run was evaluated on the way in an environment of your own ({plan.env.text}), which no name tells: "
            "give evaluate_every=logpi.EvaluationPlan(..., env=...) again (on the command line, --evaluate-every none "
            "leaves it out)."
        )
    source = trained_in if plan.env is None else seen_by(resolve(plan.env), run.obs_space)
    if (vector := _given_vector(source)) is not None and vector is _given_vector(trained_in):
        raise InputError(
            f"evaluate_every would step the one vector environment {source.name} amid its training: give "
            "logpi.EvaluationPlan(..., env=...) another."
        )
    if found := misfit_of(run, source):
        what, trained, theirs = found
        raise InputError(
            f"evaluate_every has the environment {source.name} with {what} in {theirs}, but those of {run.env}, which "
            f"is trained in, are in {trained}: give logpi.EvaluationPlan(..., env=...) one with the same spaces, or "
            "leave out env."
        )
    return run.playing(source, plan.episodes)


def _given_vector(source: EnvSource) -> Any:
    """The vector environment of the user's own that a source is, of which there is one; else `None`."""
    if not isinstance(source, HostSource) or not isinstance(source.make, GivenVector):
        return None
    return source.make.env


class Evaluating:
    """The evaluations of one session."""

    def __init__(
        self,
        plan: EvaluationPlan,
        rollout: AbstractRollout,
        total: int,
        held: HeldFolder | None,
        kept: Sequence[dict[str, Any]],
        bests: dict[int, Best],
    ):
        """`total`: updates of the training; `kept`, `bests`: lines and best policies of what was done before."""
        self._plan, self._rollout, self._total, self._held = plan, rollout, total, held
        self.lines, self.bests = list(kept), bests
        folder, check = (None, lambda: None) if held is None else (held.path, held.check)
        self._journal = Journal(folder, EVALUATIONS, self.lines, check)
        self._opened: Any = None  # the state of the environments that episodes are played in
        self._unsaved: set[int] = set()  # seeds whose best policy the disk did not take
        # What the next best of a seed has to exceed, as the lines have it: a file may be of what is done again.
        found = {line["seed"]: line["return_mean"] for line in kept if line["best"] and line["seed"] in bests}
        self._bar = {seed: _in_32_bits(mean) for seed, mean in found.items()}
        self._last = {line["seed"]: line["iteration"] for line in kept}
        self._evidence = {line["seed"]: found for line in kept if (found := _evidence_of(line)) is not None}

    def room(self, iteration: int) -> int:
        """How many updates may be done before the next is due."""
        return self._plan.every - iteration % self._plan.every

    def due(self, seed: int, iteration: int) -> bool:
        """Whether one is, of this seed's policy."""
        is_time = iteration % self._plan.every == 0 or iteration >= self._total
        return is_time and self._last.get(seed, -1) < iteration

    def evaluate(
        self, at: tuple[int, int, int], policy: AbstractPolicy, networks: PyTree, is_ending: Callable[[], bool]
    ) -> dict[str, Any] | None:
        """What the policy of a seed earns, as a line; `None` where the training ends amid it.

        `at`: the seed, its updates and its agent steps. Raises `InputError` where an episode does not end, and what the
        environment raises.
        """

        def look() -> None:
            if is_ending():
                raise _GivenUp

        seed, iteration, steps = at
        try:
            returns, lengths, evidence = self._played(seed, iteration, policy, look)
        except _GivenUp:
            return None
        mean = mean_interval(returns)
        earned = _in_32_bits(mean.value)
        line = {
            "seed": seed, "iteration": iteration, "steps": steps, "episodes": len(returns),
            "return_mean": finite(mean.value), "return_low": finite(mean.low), "return_high": finite(mean.high),
            "length_mean": finite(float(lengths.mean())),
            "best": math.isfinite(earned) and earned > self._bar.get(seed, -math.inf),
        }  # fmt: skip
        if self._plan.stop_at is not None:
            self._evidence[seed] = evidence
            line["evidence"] = as_json(dataclasses.asdict(evidence))
        self._opened, self._last[seed] = None, iteration
        self.lines.append(line)
        self._journal.add(line)
        if line["best"]:
            self._bar[seed] = earned
            self.bests[seed] = Best(networks, iteration, earned)
            with contextlib.suppress(OSError):  # it is tried again at the end
                self._save(seed)
        return line

    def _played(
        self, seed: int, iteration: int, policy: AbstractPolicy, look: Callable[[], None]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Evidence]:
        """Returns and lengths of fresh episodes, and the evidence for a stop, for which there may be more episodes.

        They go on while they speak for it. A mean over as many as there happen to be good ones would be biased.
        """
        plan, found = self._plan, []
        acting = Deterministic(policy) if plan.deterministic else policy
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), _KEYS), iteration)
        planned = 1 + -(-self._total // plan.every)  # evaluations in all, the one before the first update too
        evidence = self._evidence.get(seed, Evidence()).staked(1 / planned)
        for batch in range(MOST_BATCHES):
            batch_key = jax.random.fold_in(key, batch)
            found.append(run_episodes(acting, self._rollout, plan.episodes, batch_key, look, self._open))
            returns = found[-1][0]
            if plan.stop_at is None or self._is_enough(evidence) or not np.isfinite(returns).all():
                break
            evidence = evidence.after(returns, plan.stop_at, plan.lowest_return)
            if self._is_enough(evidence) or returns.mean() <= plan.stop_at:
                break
        return *found[0], evidence

    def _open(self, state: Any) -> None:
        self._opened = state

    def check_alive(self, seconds: float) -> None:
        """Raises `EnvironmentFault` where an environment that is played in has not answered for so long."""
        if self._opened is not None:
            self._rollout.check_alive(self._opened, seconds)

    def _is_enough(self, evidence: Evidence) -> bool:
        return evidence.total * (1 - self._plan.confidence) >= 1

    def reached(self, seeds: Sequence[int]) -> str:
        """Why the training may end, in words; empty while a seed has not reached what it is to stop at."""
        plan = self._plan
        if plan.stop_at is None or not all(self._is_enough(self._evidence.get(seed, Evidence())) for seed in seeds):
            return ""
        return f"the mean return has reached {plan.stop_at:g}, with a confidence of {100 * plan.confidence:g} %"

    def _save(self, seed: int) -> None:
        """Writes the best policy of a seed. Raises `OSError` where it cannot."""
        if self._held is not None:
            self._unsaved.add(seed)
            self._held.check()
            self.bests[seed].save(self._held.path / policy_file(seed, best=True))
            self._unsaved.remove(seed)

    def finish(self) -> None:
        """Writes what the disk did not take on the way. Raises `OSError` where it still does not."""
        if not self._journal.whole and self._held is not None:
            write_evaluations(self._held.path, self.lines)
        for seed in sorted(self._unsaved):
            self._save(seed)


def _in_32_bits(x: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(x))


def _evidence_of(line: dict[str, Any]) -> Evidence | None:
    """As a line holds it; `None` where it holds none."""
    held = line.get("evidence")
    if not isinstance(held, dict) or held.keys() != {field.name for field in dataclasses.fields(Evidence)}:
        return None
    capital: Any = held["capital"]
    if not isinstance(capital, list) or len(capital) != len(SHARES):
        return None
    rest: list[Any] = [held[name] for name in ("lowest", "highest", "count")]
    return Evidence(tuple(capital), *rest) if all(type(x) in (int, float) for x in [*capital, *rest]) else None
