"""Options of a training: how often it is stored and evaluated, and where it stops or goes on.

Its folder keeps them for a resume.
"""

import dataclasses
import math
import numbers
import re
from typing import Any

from ..errors import check_between, check_fields, check_flag, check_whole, choice, InputError, shown

HIGHEST_RETURN = 1e30
KEPT = "kept"  # said of an option: as it was before


@dataclasses.dataclass(frozen=True)
class Every:
    """How often: after so many seconds, or so many updates. With neither, only at the end."""

    seconds: float = math.inf
    updates: int = 2**31

    def __post_init__(self):
        check_fields(self, check_whole, "updates", low=1, high=2**31)
        check_fields(self, check_between, "seconds", low=1e-3)

    @classmethod
    def parse(cls, text: "str | int | float | Every | None") -> "Every":
        """`"30s"`, `"5m"`, `500` (updates), or `None`. Raises `InputError` for anything else."""
        if isinstance(text, Every):
            return text
        word = str(text).strip() if isinstance(text, str | numbers.Number) else ""
        if text is None or word.lower() in ("none", "off"):
            return Every()
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", word)
        if found is None or float(found[1]) == 0 or (not found[2] and "." in found[1]):
            raise InputError(
                f"checkpoint-every is {shown(text)}, but it must be a time or a number of updates: give 30s, 5m or 500."
            )
        if not found[2]:
            return Every(updates=int(found[1]))
        return Every(seconds=float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]])


@dataclasses.dataclass(frozen=True)
class FaultTolerance:
    """What a training does against loss and trouble. None of it changes what is learned from good numbers."""

    every: Every = dataclasses.field(default_factory=lambda: Every(seconds=30.0))
    skip: bool = False  # updates that lead to NaN, in place of stopping there
    restart: bool = False  # environments that break down, in place of stopping there
    step_timeout: float = 120.0  # seconds that environments on the host may take for a step

    def __post_init__(self):
        check_fields(self, check_between, "step_timeout", low=1e-3)
        check_fields(self, check_flag, "skip", "restart")

    def changed(
        self,
        checkpoint_every: str | int | float | Every | None = KEPT,
        on_nan: str = KEPT,
        on_env_error: str = KEPT,
        step_timeout: float | None = None,
    ) -> "FaultTolerance":
        """With what the arguments of `train` and `resume` say in its place; "kept" and no time-out say nothing.

        Raises `InputError` for what they cannot be.
        """
        given: dict[str, Any] = {}
        if not _is_kept(checkpoint_every):
            given["every"] = Every.parse(checkpoint_every)
        if not _is_kept(on_nan):
            given["skip"] = choice("on_nan", on_nan, ("stop", "skip")) == "skip"
        if not _is_kept(on_env_error):
            given["restart"] = choice("on_env_error", on_env_error, ("stop", "restart")) == "restart"
        if step_timeout is not None:
            given["step_timeout"] = step_timeout
        return dataclasses.replace(self, **given)


def _is_kept(value: object) -> bool:
    return isinstance(value, str) and value == KEPT  # an array compares its entries


@dataclasses.dataclass(frozen=True)
class EvaluationPlan:
    """Evaluations of a training on the way: in environments of their own, of the policy as it is then.

    The first is before any update, the last after all of them. They change nothing of what is learned. What a stop
    rests on, with its sources, is in `logpi.statistics.betting`. Raises `InputError` for what they cannot be.
    """

    every: int  # updates
    episodes: int = 20  # fresh ones, of each seed's policy
    deterministic: bool = False  # by each policy's likeliest actions, in place of drawn ones
    env: Any = None  # another environment than the one that is trained in: all that `train` takes for one
    stop_at: float | None = None  # ends the training once the mean return has reached this, in every seed
    lowest_return: float | None = None  # that an episode can have; without it, what `Evidence.after` takes for it
    confidence: float = 0.95  # that a training whose policies never reach it is not ended

    def __post_init__(self):
        check_fields(self, check_whole, "every", "episodes", low=1)
        check_fields(self, check_flag, "deterministic")
        check_fields(self, _check_return, "stop_at", "lowest_return")
        check_fields(self, check_between, "confidence", low=0.5, high=1 - 1e-6)
        if self.lowest_return is not None and self.stop_at is not None and self.lowest_return >= self.stop_at:
            raise InputError(
                f"lowest_return is {self.lowest_return}, but it must be below stop_at, {self.stop_at}, which every "
                "return would reach: give a lower one."
            )

    def whole(self, updates: int) -> "EvaluationPlan":
        """At multiples of so many updates alone, which are a row of metrics."""
        return dataclasses.replace(self, every=-(-self.every // updates) * updates)


def evaluation_plan(
    every: Any,
    stop_at: Any,
    num_updates: int,
    before: EvaluationPlan | None = None,
) -> EvaluationPlan | None:
    """The plan that the arguments of `train` and `resume` make: `before`, with what they say in its place.

    "kept" says nothing, `None` that there is none; where there was no plan, that is the same of `stop_at`. Where only
    `stop_at` is given, there are 20 evaluations. Raises `InputError` for what they cannot be.
    """
    if _is_kept(every):
        plan = before
    elif every is None or isinstance(every, EvaluationPlan):
        plan = every
    else:
        updates = check_whole("evaluate_every", every, 1)
        plan = EvaluationPlan(updates) if before is None else dataclasses.replace(before, every=updates)
    if _is_kept(stop_at) or (stop_at is None and (plan is None or before is None)):
        return plan
    plan = plan or EvaluationPlan(max(1, num_updates // 20))
    return dataclasses.replace(plan, stop_at=stop_at)


def _check_return(name: str, value: Any) -> float | None:
    """A return, or that there is none. Raises `InputError` for anything else."""
    number = check_between(name, value, -HIGHEST_RETURN, HIGHEST_RETURN, optional=True)
    return None if number is None else float(number)
