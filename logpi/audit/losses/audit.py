"""Does the gradient of a loss from elsewhere climb the expected reward?"""

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ...errors import check_between, InputError
from ...parameters import check_key
from ..alignment import align, Alignment
from ..reports import Check, Report
from . import invariance_checks, kl_checks
from .batches import all_groups, arrays, ROLES, some_groups
from .frameworks import Derivative, derivative_of, roles_of
from .sequences import draw, end_logits, first_token_right, pass_rates, Sequences

RATES = (0.05, 0.5)  # of the problem with two prompts
ZERO = 1e-9  # of the norm of the true gradient; central differences leave some 1e-10
MISMATCH = (0.1, 0.5)  # standard deviations of what the sampler's logits have more


@dataclasses.dataclass(frozen=True)
class Auditor:
    """A loss with what is needed to find its expected gradient on any problem."""

    derivative: Derivative
    roles: tuple[str, ...]
    group_size: int
    rows: bool
    sign: float  # -1: the loss is minimised
    framework: str = "jax"  # what differentiates
    ordered: bool = False

    def update(self, problem: Sequences) -> np.ndarray:
        """The expected gradient of what is maximised, by enumeration of all groups; NaN where some group has it."""
        batches = all_groups(problem, self.group_size, ordered=self.ordered, rows=self.rows)
        found = self.sign * self.derivative(batches)
        return problem.expected(
            found.reshape(len(problem.logits), -1, self.group_size, problem.length), self.group_size, self.ordered
        )

    def align(self, problem: Sequences, meaning: str) -> Alignment:
        """The expected update next to the gradient of the expected reward."""
        found, truth = self.update(problem), problem.reward_gradient()
        if np.linalg.norm(found) <= ZERO * np.linalg.norm(truth):
            found = np.zeros_like(found)  # rounding of what cancels
        return align(problem.name, found, truth, meaning=meaning)


def loss(
    subject: Any,
    key: PRNGKeyArray | None = None,
    *,
    problem: Sequences | None = None,
    group_size: int = 4,
    rows: bool = False,
    minimise: bool = True,
    beta: float | None = None,
    framework: str = "auto",
    tolerance: float = 1e-6,
) -> Report:
    r"""Audits a loss, a function of arrays that returns one number, in JAX, PyTorch or NumPy.

    Only d loss / d log_prob is asked for; the expectation over all groups of `group_size` sequences is exact. The
    arguments are found by name. Each token has `log_prob`, `behaviour_log_prob` (of what drew the sequences),
    `reference_log_prob`, `mask` (true where there is a token), `value` (an exact critic, before the token) and
    `advantage` (reward less the mean reward of the others of the group, the same for all tokens): [B, T]. Each
    sequence has a `reward` and the id of its `group`: [B]. With `rows`, for losses over flat rows such as PPO's over
    steps, sequences have one token and every array is [B].

    Looks at: the direction on sequences; with one token and real rewards; with prompts of two pass rates; with a
    reward for the first token alone; at the KL term (with rewards of 0), if `reference_log_prob` is asked for, and at
    its weight, if that should be `beta`; off policy, if `behaviour_log_prob` is; and at masks, row order, split
    batches and groups of one. A scale is no mistake. `problem` takes the place of the random one, which `key` draws.
    For `framework`, see `frameworks.derivative_of`. Raises `InputError` for what is no function, or cannot be called.
    """
    check_between("tolerance", tolerance, 0.0)
    check_between("group_size", group_size, 1)
    key = check_key(jax.random.key(0) if key is None else key)
    main = _main(problem, key, rows)
    auditor = audited(subject, main, group_size, rows=rows, minimise=minimise, framework=framework)
    roles = auditor.roles
    checks, notes = invariance_checks.looks(main, auditor.derivative, roles, group_size, rows)
    if any(check.name == "row order" and not check.passed for check in checks):
        auditor = dataclasses.replace(auditor, ordered=True)
    own = dataclasses.replace(main, reference=main.logits)  # where KL terms have a gradient of 0
    whole = auditor.align(own, f"groups of {group_size}, on policy, by enumeration")
    first = _first(whole)
    if not all(check.passed for check in first):
        notes.append("the direction and its reasons: mend what is found first")
        return Report(_name(subject), (*first, *checks), tuple(notes), (whole,))
    rest, others = _directions(auditor, key, whole, tolerance)
    if "reference_log_prob" in roles and not np.linalg.norm(main.kl_gradient()) > 0:
        notes.append("the KL term: the problem's reference is its policy")
    elif "reference_log_prob" in roles:
        more, rows_of = kl_checks.looks(auditor.update, main, whole.scale, beta, tolerance)
        rest, others = rest + more, others + rows_of
        notes += [] if beta is not None else ["the weight of the KL term: give beta=, what it should be"]
    if "behaviour_log_prob" in roles:
        more, rows_of = _off_policy(auditor, own)
        rest, others = rest + more, others + rows_of
    return Report(_name(subject), (*first, *rest, *checks), tuple(notes), (whole, *others))


def _main(problem: Sequences | None, key: PRNGKeyArray, rows: bool) -> Sequences:
    """The problem given, or a random one."""
    shape = {"vocabulary": 4, "length": 1} if rows else {"vocabulary": 3, "length": 3}
    main = draw(key, "binary", name="right or wrong", **shape) if problem is None else problem
    if rows and main.length > 1:
        raise InputError(f"rows=True is for problems of one token, not of {main.length}: leave it out.")
    if not np.linalg.norm(main.reward_gradient()) > 0:
        raise InputError("the problem's true gradient is zero, so there is no direction: give other rewards.")
    return main


def audited(
    subject: Any,
    problem: Sequences,
    group_size: int,
    *,
    rows: bool = False,
    minimise: bool = True,
    framework: str = "auto",
) -> Auditor:
    """A loss made ready for `Auditor.update`, tried on `problem`. Raises `InputError` if it cannot be called."""
    roles = roles_of(subject, ROLES)
    index, ids = some_groups(problem, 2, (group_size,))
    derivative, used = derivative_of(subject, roles, framework, arrays(problem, 0, index, ids, rows=rows))
    return Auditor(derivative, roles, group_size, rows, -1.0 if minimise else 1.0, used)


def _name(subject: Any) -> str:
    return getattr(subject, "__name__", type(subject).__name__)


def _first(whole: Alignment) -> list[Check]:
    """What must hold before there is a direction to look at."""
    finite = np.isfinite(whole.scale)
    gone, wrong = finite and whole.scale == 0.0 and np.isnan(whole.cosine), finite and whole.scale < 0
    return [
        Check(
            "finite gradient", float(not finite), 0.0, 0.0, "1: some group gives NaN or infinity",
            "add a small number to what is divided by; take exp and log of what the mask keeps only",
        ),
        Check(
            "zero gradient", float(gone), 0.0, 0.0, "1: the expected gradient is zero",
            "log_prob must reach the loss undetached, weighted by rewards: the mean of log_prob alone has none",
        ),
        Check(
            "sign", float(wrong), 0.0, 0.0, "1: a step makes the expected reward smaller",
            "what is minimised is minus advantage times log_prob; say minimise=False where it is maximised",
        ),
    ]  # fmt: skip


def _directions(
    auditor: Auditor, key: PRNGKeyArray, whole: Alignment, tolerance: float
) -> tuple[list[Check], list[Alignment]]:
    """Whether it is the gradient's direction, and on problems with one possible reason each."""
    shape = {"vocabulary": 4 if auditor.rows else 3, "length": 1}
    one = draw(jax.random.fold_in(key, 1), "real", name="one token, real rewards", **shape)
    real = auditor.align(dataclasses.replace(one, reference=one.logits), "no lengths to divide by")
    rates = auditor.align(pass_rates(*RATES), f"one token, right with probability {RATES[0]} and {RATES[1]}")
    reasons = []
    checks = [
        _bent(
            "deviation", real, tolerance, "one token with real rewards",
            "divide no reward by a deviation that it is part of, or by that of all prompts over a long time",
        ),
        _bent(
            "difficulty", rates, tolerance, "prompts of two pass rates",
            "a division by the group's deviation gives hard and easy prompts more weight: leave it out",
        ),
    ]  # fmt: skip
    reasons += ["a division by a deviation"] if not all(check.passed for check in checks) else []
    found = [real, rates]
    if not auditor.rows:
        length = _length(auditor, tolerance)
        reasons += ["a division by lengths"] if not length.passed else []
        checks.append(length)
    why = f"found: {' and '.join(reasons)}, see below" if reasons else (
        "weigh every token of a sequence by the same number, reward less a baseline without the sequence's own reward"
    )  # fmt: skip
    return [_bent("direction", whole, tolerance, whole.name, why), *checks], found


def _bent(name: str, found: Alignment, tolerance: float, meaning: str, cure: str) -> Check:
    size = found.direction_error if found.scale > 0 else float("inf")
    return Check(name, size, 0.0, tolerance, f"direction error, {meaning}", cure)


def _length(auditor: Auditor, tolerance: float) -> Check:
    """The logits of the end after the first token, which a reward for the first token leaves alone."""
    problem = first_token_right()
    found = auditor.update(problem)
    right, wrong = (float(found[place[0]]) for place in end_logits(problem))
    whole = max(float(np.linalg.norm(found)), 1e-30)
    size = max(abs(right), abs(wrong)) / whole
    return Check(
        "length", size, 0.0, tolerance,
        f"of the gradient's norm: the end's logit, which earns nothing ({right:+.3g} after a right token, {wrong:+.3g} "
        "after a wrong one)",
        "divide the sum over tokens by a constant, such as the longest length, not by lengths or by a count of tokens",
    )  # fmt: skip


def _off_policy(auditor: Auditor, main: Sequences) -> tuple[list[Check], list[Alignment]]:
    """Sequences drawn by another policy. Most losses are not exact then: a table, and a check of the sense alone."""
    noise, found = np.random.default_rng(7).standard_normal(main.logits.shape), []
    for size in MISMATCH:
        other = dataclasses.replace(main, name=f"off policy {size}", behaviour=main.logits + size * noise)
        found.append(auditor.align(other, f"the sampler's logits are {size} times N(0, 1) off"))
    check = Check(
        "off policy", max(0.0, 1.0 - found[0].cosine), 0.0, 0.5, f"1 - cosine, {found[0].name}",
        "weigh by the ratio exp(log_prob - behaviour_log_prob), not by its inverse",
    )  # fmt: skip
    return [check], found
