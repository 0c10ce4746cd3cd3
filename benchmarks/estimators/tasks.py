"""What is measured, who takes part, and what is wanted of us."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Answers = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Contender:
    """A script of `peers/` in the environment `venv` (`None`: the Python that runs this)."""

    name: str
    script: str = "run_logpi.py"
    venv: str | None = None
    note: str = ""


def seconds(answer: dict[str, Any]) -> float:
    """Of one call among others."""
    return answer["seconds"]


def first_seconds(answer: dict[str, Any]) -> float:
    """Of a call right after those of another contender."""
    return answer["first_seconds"]


def peak(answer: dict[str, Any]) -> float:
    """Resident memory of the process at its highest."""
    return answer["peak_mib"]


def seconds_each(answer: dict[str, Any]) -> float:
    """Of one sample."""
    return answer["seconds"] / answer["seconds_for"]


@dataclass(frozen=True)
class Target:
    """A ratio of two contenders that must not be above `bound`; without one it is only reported."""

    ours: str
    theirs: str
    bound: float | None
    quantity: Callable[[dict[str, Any]], float] = seconds

    @property
    def name(self) -> str:
        """Which ratio of what."""
        of = "" if self.quantity is seconds else f", {self.quantity.__name__.replace('_', ' ')}"
        return f"{self.ours} / {self.theirs}{of}"

    def ratios(self, measurements: dict[str, Answers]) -> list[float]:
        """Within each round, so that a machine that slows down between rounds moves no ratio."""
        ours, theirs = (measurements.get(name, []) for name in (self.ours, self.theirs))
        return [self.quantity(a) / self.quantity(b) for a, b in zip(ours, theirs, strict=False)]

    def is_met(self, measurements: dict[str, Answers]) -> bool:
        """Whether the median of the ratios keeps the bound."""
        found = self.ratios(measurements)
        return bool(found) and (self.bound is None or statistics.median(found) <= self.bound)


@dataclass(frozen=True)
class Task:
    """A comparison. Where each round is `fresh`, so is each process, and its memory can be read off."""

    name: str
    title: str
    contenders: tuple[Contender, ...]
    targets: tuple[Target, ...]
    fresh: bool = False
    gradient: tuple[float, ...] = ()  # the exact one, which all contenders must come close to


def both(ours: str, theirs: str, bound: float | None) -> tuple[Target, Target]:
    """Two targets: for calls in a row, and for the first call after those of others."""
    return Target(ours, theirs, bound), Target(ours, theirs, bound, first_seconds)


OURS = (
    Contender("estimate", note="the public call: value, gradient and every error"),
    Contender("compiled", note="the compiled run inside of that call"),
)
ONE_BATCH = Contender("one_batch", note="jax.jit(jax.value_and_grad(J)) of 100,000 samples, leave-one-out, no errors")
PEERS = (
    Contender("tfp", "run_tfp.py", "tfp", "value and gradient, no errors, no baseline"),
    Contender("optax", "run_optax.py", "optax", "gradient, no errors, no baseline"),
    Contender("storchastic", "run_storchastic.py", "storchastic", "value and gradient, leave-one-out, no errors"),
)
BESIDE_PEERS = tuple(
    target
    for ours, bound in ((OURS[0], 1.0), (OURS[1], 1.0), (ONE_BATCH, None))
    for theirs in PEERS
    for target in both(ours.name, theirs.name, bound)
)

_ALL = (
    Task(
        "network",
        "4,096 samples (32 replicates x 128) through an 8-64-64-4 softmax policy, observations drawn too",
        (
            *OURS,
            Contender("plain", note="jax.grad of the mean of 4,096 score terms: no value, no baseline, no errors"),
            Contender("vmap_grad", note="a gradient for each sample at once, then means and errors"),
            Contender("vmap_grad_chunked", note="the same, in chunks of 64 samples"),
        ),
        (
            *both("compiled", "plain", 1.4),
            *both("estimate", "plain", 1.4),
            *both("compiled", "vmap_grad", 0.1),
            *both("estimate", "vmap_grad", 0.1),
            *both("compiled", "vmap_grad_chunked", None),
        ),
    ),
    Task(
        "gaussian",
        "100,000 samples (64 replicates) of a Gaussian with two parameters, by the score function with leave-one-out",
        (*OURS, Contender("draw", note="100,000 normal numbers in one jitted call")),
        (*both("compiled", "draw", 2.2), *both("estimate", "draw", 2.2)),
    ),
    Task(
        "memory",
        "The same Gaussian, 250 samples a replicate, each number of samples in a process of its own",
        tuple(Contender(f"{n:,}") for n in (10**4, 10**6, 10**7, 10**8)),
        (
            Target("100,000,000", "10,000", 1.05, peak),
            Target("100,000,000", "1,000,000", 1.2, seconds_each),
            Target("100,000,000", "10,000,000", 1.2, seconds_each),
        ),
        fresh=True,
    ),
    Task(
        "quadratic",
        "Peers: 100,000 samples of N(.5, e^.1^2), gradient of E[(x - .1)^2] in mean and log-deviation",
        (*OURS, ONE_BATCH, *PEERS),
        BESIDE_PEERS,
        gradient=(0.8, 2.4428),
    ),
    Task(
        "coins",
        "Peers: 100,000 samples of six coins b, gradient of E[(w.b - .45)^2] in their logits",
        (*OURS, ONE_BATCH, *PEERS),
        BESIDE_PEERS,
        gradient=(0.03096, 0.0726, 0.11571, 0.14738, 0.15818, 0.14759),
    ),
)

TASKS = {task.name: task for task in _ALL}
